"""A network built by hand that repeats: one head looks at the token before, one finds what followed a token earlier."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

RELEVANT = ("L0H1", "L1H2")
"""The head that looks back by one, and the induction head."""
HEADS = 3


class Attention(nn.Module):
    """Causal attention without biases; its pattern can be seen."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.n_heads, self.size = HEADS, size
        self.q, self.k, self.v = (nn.Linear(width, HEADS * size, bias=False) for _ in range(3))
        self.out = nn.Linear(HEADS * size, width, bias=False)
        self.pattern = nn.Identity()
        for each in (self.q, self.k, self.v, self.out):
            nn.init.zeros_(each.weight)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = (each(x).view(n, length, HEADS, self.size).transpose(1, 2) for each in (self.q, self.k, self.v))
        later = torch.ones(length, length, device=x.device).triu(1).bool()
        scores = (q @ k.transpose(2, 3)).masked_fill(later, -math.inf)
        mixed = self.pattern(scores.softmax(-1)) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, length, -1))

    def set(self, head: int, q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> None:
        """Give a head its maps ``[size, width]``, ``[width, size]`` for ``out``."""
        rows = slice(head * self.size, (head + 1) * self.size)
        for linear, weight in ((self.q, q), (self.k, k), (self.v, v)):
            linear.weight.data[rows] = weight
        self.out.weight.data[:, rows] = out


class Repeats(nn.Module):
    """The stream holds the token, its position, the token before and what is to come, each in channels of its own."""

    def __init__(self, n_tokens: int, length: int, **of_another_model: object) -> None:
        super().__init__()
        self.n_tokens, self.length = n_tokens, length
        width, size = 3 * n_tokens + length, max(n_tokens, length)
        self.embed = nn.Embedding(n_tokens, width)
        self.embed.weight.data = torch.eye(n_tokens, width)
        self.layers = nn.ModuleList(nn.ModuleDict({"attn": Attention(width, size)}) for _ in range(2))
        self.unembed = nn.Linear(width, n_tokens, bias=False)
        token, before, after = (slice(part * n_tokens, (part + 1) * n_tokens) for part in range(3))
        place = slice(3 * n_tokens, width)

        def read(part: slice) -> Tensor:
            found = torch.zeros(size, width)
            found[: part.stop - part.start, part] = torch.eye(part.stop - part.start)
            return found

        back = torch.zeros(size, width)
        back[: length - 1, place] = torch.eye(length)[1:]  # a place asks for the one before it
        self.layers[0]["attn"].set(1, 40 * back, read(place), read(token), read(before).T)
        self.layers[1]["attn"].set(2, 40 * read(token), read(before), read(token), read(after).T)
        self.layers[0]["attn"].v.weight.data[:size] = read(token)  # a head that is busy and writes nothing
        self.unembed.weight.data.zero_()
        self.unembed.weight.data[:, after] = 6 * torch.eye(n_tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        x[:, :, 3 * self.n_tokens :] += torch.eye(self.length, device=x.device)[: tokens.shape[1]]
        for layer in self.layers:
            x = x + layer["attn"](x)
        return self.unembed(x)
