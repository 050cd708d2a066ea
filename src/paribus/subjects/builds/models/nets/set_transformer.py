"""Set completion: a set transformer that reads ability tokens and a weapon and scores every token of the whole set.

The blocks are those of Lee et al., "Set Transformer" (ICML 2019): MAB (attention block), ISAB (through inducing points)
and pooling by attention from seeds, followed here by a cross attention from every token to the pooled seeds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention with the parameter names of ``torch.nn.MultiheadAttention``."""

    def __init__(self, width: int, n_heads: int) -> None:
        """Create projections for ``n_heads`` heads of ``width / n_heads``."""
        super().__init__()
        self.n_heads = n_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        if not self.in_proj_weight.is_meta:
            nn.init.xavier_uniform_(self.in_proj_weight)
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, pad: Tensor | None) -> Tensor:
        """Attend from ``query [B, Q, H]`` to ``key [B, K, H]``; ``pad [B, K]`` is True where a key is padding."""
        width = query.shape[-1]
        if query is key:
            q, k, v = F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        else:
            q = F.linear(query, self.in_proj_weight[:width], self.in_proj_bias[:width])
            k, v = F.linear(key, self.in_proj_weight[width:], self.in_proj_bias[width:]).chunk(2, -1)
        mask = None if pad is None else ~pad[:, None, None, :]
        mixed = F.scaled_dot_product_attention(self._heads(q), self._heads(k), self._heads(v), attn_mask=mask)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.n_heads, -1).transpose(1, 2)


def feed_forward(width: int) -> nn.Sequential:
    """Return Linear(H, 4H), GELU, Linear(4H, H).

    Example:
        >>> import torch
        >>> feed_forward(4)(torch.zeros(2, 4)).shape
        torch.Size([2, 4])
    """
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


def norm(width: int, used: bool) -> nn.Module:
    """Return a LayerNorm, or nothing where layer norms are off.

    Example:
        >>> norm(4, used=False)
        Identity()
    """
    return nn.LayerNorm(width) if used else nn.Identity()


class MAB(nn.Module):
    """Attention block: ``x = LN1(q + attention(q, k, k))``; ``LN2(x + FF(x))``."""

    def __init__(self, width: int, n_heads: int, use_layer_norm: bool) -> None:
        """Create the block."""
        super().__init__()
        self.mha = Attention(width, n_heads)
        self.feedforward = feed_forward(width)
        self.layer_norm1 = norm(width, use_layer_norm)
        self.layer_norm2 = norm(width, use_layer_norm)

    def forward(self, query: Tensor, key: Tensor, pad: Tensor | None = None) -> Tensor:
        """Return the query's positions ``[B, Q, H]`` after attending to ``key [B, K, H]``."""
        x = self.layer_norm1(query + self.mha(query, key, pad))
        return self.layer_norm2(x + self.feedforward(x))  # type: ignore[no-any-return]


class ISAB(nn.Module):
    """Self attention through inducing points: ``h = MAB1(inducing, x)``; ``LN(MAB2(x, h) + x)``."""

    def __init__(self, width: int, n_heads: int, n_inducing: int, use_layer_norm: bool) -> None:
        """Create the block."""
        super().__init__()
        self.inducing_points = nn.Parameter(torch.empty(1, n_inducing, width))
        if not self.inducing_points.is_meta:
            nn.init.xavier_uniform_(self.inducing_points)
        self.mab1 = MAB(width, n_heads, use_layer_norm)
        self.mab2 = MAB(width, n_heads, use_layer_norm)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, pad: Tensor) -> Tensor:
        """Return ``[B, L, H]``; ``pad [B, L]`` is True at padding."""
        hidden = self.mab1(self.inducing_points.expand(len(x), -1, -1), x, pad)
        return self.layer_norm(self.mab2(x, hidden) + x)  # type: ignore[no-any-return]


class Pool(nn.Module):
    """Pooling by attention from seed vectors, then a linear map."""

    def __init__(self, width: int, n_heads: int, n_seeds: int, use_layer_norm: bool) -> None:
        """Create the block."""
        super().__init__()
        self.seed_vectors = nn.Parameter(torch.empty(1, n_seeds, width))
        if not self.seed_vectors.is_meta:
            nn.init.xavier_uniform_(self.seed_vectors)
        self.mab = MAB(width, n_heads, use_layer_norm)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, pad: Tensor) -> Tensor:
        """Return ``[B, n_seeds, H]``."""
        return self.out_proj(self.mab(self.seed_vectors.expand(len(x), -1, -1), x, pad))  # type: ignore[no-any-return]


class SelfBlock(nn.Module):
    """Self attention among the pooled seeds."""

    def __init__(self, width: int, n_heads: int, use_layer_norm: bool) -> None:
        """Create the block."""
        super().__init__()
        self.mab = MAB(width, n_heads, use_layer_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[B, S, H]``."""
        return self.mab(x, x)  # type: ignore[no-any-return]


class SetTransformer(nn.Module):
    """Two ISABs, pooling, two self-attention blocks, each but the pooling with a residual around it."""

    def __init__(self, width: int, n_heads: int, n_inducing: int, use_layer_norm: bool) -> None:
        """Create the blocks."""
        super().__init__()
        self.enc_layer1 = ISAB(width, n_heads, n_inducing, use_layer_norm)
        self.enc_layer2 = ISAB(width, n_heads, n_inducing, use_layer_norm)
        self.dec_layer1 = Pool(width, n_heads, n_inducing, use_layer_norm)
        self.dec_layer2 = SelfBlock(width, n_heads, use_layer_norm)
        self.dec_layer3 = SelfBlock(width, n_heads, use_layer_norm)

    def forward(self, x: Tensor, pad: Tensor) -> Tensor:
        """Return the pooled seeds ``[B, S, H]`` of ``x [B, L, H]``."""
        x = self.enc_layer1(x, pad) + x
        x = self.enc_layer2(x, pad) + x
        pooled = self.dec_layer1(x, pad)
        pooled = self.dec_layer2(pooled) + pooled
        return self.dec_layer3(pooled) + pooled  # type: ignore[no-any-return]


class SetLayer(nn.Module):
    """One layer: the set transformer's seeds, and a cross attention from every token to them."""

    def __init__(self, width: int, n_heads: int, n_inducing: int, use_layer_norm: bool, outer_norm: bool) -> None:
        """Create the layer; ``outer_norm`` is about its own two norms."""
        super().__init__()
        self.set_transformer = SetTransformer(width, n_heads, n_inducing, use_layer_norm)
        self.cross_attention = MAB(width, n_heads, use_layer_norm)
        self.feedforward = feed_forward(width)
        self.layer_norm1 = norm(width, outer_norm)
        self.layer_norm2 = norm(width, outer_norm)

    def forward(self, x: Tensor, pad: Tensor) -> Tensor:
        """Return ``[B, L, H]``."""
        x = self.layer_norm1(x + self.cross_attention(x, self.set_transformer(x, pad)))
        return self.layer_norm2(x + self.feedforward(x))  # type: ignore[no-any-return]


class SetCompletionNet(nn.Module):
    """Ability tokens and a weapon to one logit per token; the pooled vector is the input of ``output_layer``."""

    def __init__(
        self,
        *,
        n_tokens: int,
        n_weapons: int,
        embedding: int,
        hidden: int,
        n_layers: int,
        n_heads: int,
        n_inducing: int,
        use_layer_norm: bool = True,
        outer_norm: bool = True,
    ) -> None:
        """Create the network; ``input_proj`` exists only where embedding and hidden width differ."""
        super().__init__()
        self.ability_embedding = nn.Embedding(n_tokens, embedding)
        self.weapon_embedding = nn.Embedding(n_weapons, embedding)
        self.input_proj = nn.Linear(embedding, hidden) if embedding != hidden else nn.Identity()
        self.transformer_layers = nn.ModuleList(
            SetLayer(hidden, n_heads, n_inducing, use_layer_norm, outer_norm) for _ in range(n_layers)
        )
        self.output_layer = nn.Linear(hidden, n_tokens)

    def forward(self, tokens: Tensor, weapon: Tensor, pad: Tensor) -> Tensor:
        """Return logits ``[B, V]``.

        Args:
            tokens: Ability token ids ``[B, L]``.
            weapon: Weapon ids ``[B, 1]``.
            pad: ``[B, L]``, True at padding. A row of nothing but padding pools to zeros (never NaN).
        """
        seen = pad & ~(pad.all(1, keepdim=True) & _first(pad))
        x = self.input_proj(self.ability_embedding(tokens) + self.weapon_embedding(weapon))
        for layer in self.transformer_layers:
            x = layer(x, seen)
        real = (~pad).to(x.dtype).unsqueeze(-1)
        pooled = (x * real).sum(1) / real.sum(1).clamp_min(1.0)
        return self.output_layer(pooled)  # type: ignore[no-any-return]


def _first(pad: Tensor) -> Tensor:
    """True in the first column: attention of an all-padding row needs at least one key."""
    first = torch.zeros_like(pad)
    first[:, 0] = True
    return first
