"""The one-layer transformer of the modular-addition studies, with every place named."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paribus.errors import CheckpointError, ConfigError
from paribus.models.loading import fit_state, load_state
from paribus.models.modular_transformer import ModularTransformerSpec


class Attention(nn.Module):
    """Multi-head attention whose pattern can be held constant.

    The pattern is ``coeff * softmax(q k / sqrt(d_head)) + (1 - coeff)``: 1 is ordinary attention, 0 is uniform
    attention (Zhong et al. 2023, arXiv 2306.17844). There is no causal mask.

    Places: ``pattern`` (``[n, heads, to, from]``) and ``out.input`` (``[n, positions, heads * d_head]``).
    """

    def __init__(self, d_model: int, n_heads: int, coeff: float) -> None:
        """Make the four maps, without biases."""
        super().__init__()
        self.num_heads, self.coeff = n_heads, coeff
        self.q, self.k, self.v, self.out = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))
        self.pattern = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return what attention adds ``[n, positions, d_model]``."""
        n, length, width = x.shape
        q, k, v = (each(x).view(n, length, self.num_heads, -1).transpose(1, 2) for each in (self.q, self.k, self.v))
        scores = q @ k.transpose(2, 3) / math.sqrt(width // self.num_heads)
        weights = self.pattern(self.coeff * torch.softmax(scores, -1) + (1 - self.coeff))
        added: Tensor = self.out((weights @ v).transpose(1, 2).reshape(n, length, width))
        return added


class Block(nn.Module):
    """Attention and a layer of ReLU units, each added to the stream; no layer norm.

    Places: ``attn``, ``mlp.1`` (the units after ReLU), ``mid`` and ``post`` (the stream after each).
    """

    def __init__(self, d_model: int, n_heads: int, d_mlp: int, coeff: float) -> None:
        """Make both parts."""
        super().__init__()
        self.attn = Attention(d_model, n_heads, coeff)
        self.mlp = nn.Sequential(nn.Linear(d_model, d_mlp), nn.ReLU(), nn.Linear(d_mlp, d_model))
        self.mid, self.post = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream after the block ``[n, positions, d_model]``."""
        x = self.mid(x + self.attn(x))
        after: Tensor = self.post(x + self.mlp(x))
        return after


class ModularTransformer(nn.Module):
    """Reads two numbers below ``p`` and scores every possible answer.

    Places: ``embed`` (of both numbers, without their positions), ``stream`` (with them), those of ``blocks.N``, and
    ``unembed.input`` (the stream at the last position).

    Example:
        >>> ModularTransformer(7, d_model=8)(torch.tensor([[1, 2], [3, 4]])).shape
        torch.Size([2, 7])
    """

    def __init__(
        self,
        p: int,
        *,
        d_model: int = 128,
        n_heads: int = 4,
        d_mlp: int | None = None,
        n_layers: int = 1,
        attn_coeff: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        """Draw the weights.

        Args:
            p: How many numbers there are.
            d_model: Width of the stream.
            n_heads: Heads of a layer.
            d_mlp: ReLU units of a layer; four times ``d_model`` if None.
            n_layers: Layers.
            attn_coeff: How much of the attention pattern is computed, the rest being constant.
            generator: Draws the weights; None for the global state.
        """
        super().__init__()
        self.p = p
        self.embed = nn.Embedding(p, d_model)
        self.position = nn.Parameter(torch.empty(2, d_model))
        self.stream = nn.Identity()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.blocks = nn.ModuleList(Block(d_model, n_heads, d_mlp, attn_coeff) for _ in range(n_layers))
        self.unembed = nn.Linear(d_model, p, bias=False)
        self.draw(generator)

    def draw(self, generator: torch.Generator | None) -> None:
        """Draw the weights: normal with sd ``1 / sqrt(d_model)``, for the answers ``1 / sqrt(p)``; biases are zero."""
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.endswith("bias"):
                    weight.zero_()
                else:
                    scale = self.p if name.startswith("unembed") else self.position.shape[1]
                    weight.copy_(torch.randn(weight.shape, generator=generator) / math.sqrt(scale))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores ``[n, p]`` of the answers for pairs ``tokens [n, 2]``."""
        x = self.stream(self.embed(tokens) + self.position)
        for block in self.blocks:
            x = block(x)
        scores: Tensor = self.unembed(x[:, -1])
        return scores


def own_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict of this network, also where ``state`` is that of a published Clock and Pizza network.

    Args:
        state: This network's own, or ``embed.W_E [d, p]``, ``pos_embed.W_pos [2, d]``, of each block
            ``attn.W_{Q,K,V} [heads, d_head, d]``, ``attn.W_O [d, d]``, ``mlp.{W_in [m, d], b_in, W_out [d, m], b_out}``
            and ``unembed.W_U [d, p]``.

    Raises:
        KeyError: If a tensor is missing.
    """
    if "embed.W_E" not in state:
        return dict(state)
    own = {"embed.weight": state["embed.W_E"].T, "position": state["pos_embed.W_pos"][:2]}
    own["unembed.weight"] = state["unembed.W_U"].T
    for block in sorted({".".join(name.split(".")[:2]) for name in state if name.startswith("blocks.")}):
        for mine, theirs in (("q", "W_Q"), ("k", "W_K"), ("v", "W_V")):
            own[f"{block}.attn.{mine}.weight"] = state[f"{block}.attn.{theirs}"].flatten(0, 1)
        own[f"{block}.attn.out.weight"] = state[f"{block}.attn.W_O"]
        for mine, part in (("0", "in"), ("2", "out")):
            own[f"{block}.mlp.{mine}.weight"] = state[f"{block}.mlp.W_{part}"]
            own[f"{block}.mlp.{mine}.bias"] = state[f"{block}.mlp.b_{part}"]
    return {name: value.contiguous() for name, value in own.items()}


def build(
    spec: ModularTransformerSpec, n_tokens: int, length: int, n_classes: int, generator: torch.Generator
) -> nn.Module:
    """Return the network of a spec, with its weights.

    Raises:
        ConfigError: If the data are no pairs of numbers with an answer among them.
        CheckpointError: If its file is missing, unsafe or of another architecture.
    """
    if length != 2 or n_tokens != n_classes:
        raise ConfigError(
            f"model=modular_transformer: reads pairs of {n_classes} numbers, the data hold {length} of {n_tokens}"
        )
    model = ModularTransformer(
        n_tokens,
        d_model=spec.d_model,
        n_heads=spec.n_heads,
        n_layers=spec.n_layers,
        attn_coeff=spec.attn_coeff,
        generator=generator,
    )
    if spec.weights is None:
        return model
    state = load_state(spec.weights)
    try:
        state = own_state(state)
    except KeyError as missing:
        raise CheckpointError(f"{spec.weights}: lacks the tensor {missing}") from None
    fit_state(model, state)
    return model
