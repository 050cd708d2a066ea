"""A transformer whose weights are written down: are the last two tokens the same? Which parts answer is known.

Layer 0: head 0 copies the token before to where it is read; head 1 copies as well, to where nothing reads; head 2
always writes a constant that the answer needs. The MLP has one unit for each token that is on where both are it,
a unit that is always on and is needed, units that see the tokens and are not read, and units that are never on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

N_TOKENS, LENGTH = 4, 4
SAME = tuple(range(N_TOKENS))
"""Units that are on where both tokens are the same."""
ALWAYS, UNREAD, OFF = (4,), (5, 6, 7, 8), (9, 10)
RELEVANT_UNITS = {f"unit {one}" for one in (*SAME, *ALWAYS)}
RELEVANT_HEADS = {"head 0", "head 2"}
CONSTANT_UNITS = {f"unit {one}" for one in (*ALWAYS, *OFF)}
CONSTANT_HEADS = {"head 2"}
TOKEN, PLACE, BEFORE, ELSEWHERE, CONSTANT, ANSWER = (
    slice(0, 4), slice(4, 8), slice(8, 12), slice(12, 16), slice(16, 17), slice(17, 18),
)  # fmt: skip
"""Where in the stream things stand."""
WIDTH, HEAD = 18, 6


class Attention(nn.Module):
    """Heads that look at the position before (head 2: at the first one)."""

    def __init__(self) -> None:
        super().__init__()
        self.n_heads = 3
        self.v, self.out = nn.Linear(WIDTH, 3 * HEAD), nn.Linear(3 * HEAD, WIDTH, bias=False)
        for linear in (self.v, self.out):
            nn.init.zeros_(linear.weight)
        nn.init.zeros_(self.v.bias)
        with torch.no_grad():
            for head, where in enumerate((BEFORE, ELSEWHERE)):
                for token in range(N_TOKENS):
                    self.v.weight[head * HEAD + token, token] = 1
                    self.out.weight[where.start + token, head * HEAD + token] = 1
            self.v.bias[2 * HEAD] = 1
            self.out.weight[CONSTANT, 2 * HEAD] = 1

    def forward(self, x: Tensor) -> Tensor:
        value = self.v(x)
        before = torch.cat([value[:, :1], value[:, :-1]], dim=1)
        heads = [before[:, :, : 2 * HEAD], value[:, :1, 2 * HEAD :].expand(-1, x.shape[1], -1)]
        return self.out(torch.cat(heads, dim=2))


class Block(nn.Module):
    """Attention, then an MLP of ReLUs."""

    def __init__(self) -> None:
        super().__init__()
        n = len(SAME) + len(ALWAYS) + len(UNREAD) + len(OFF)
        self.attn = Attention()
        self.mlp = nn.ModuleDict({"up": nn.Linear(WIDTH, n), "down": nn.Linear(n, WIDTH, bias=False)})
        up, down = self.mlp["up"], self.mlp["down"]
        for one in (up.weight, up.bias, down.weight):
            nn.init.zeros_(one)
        with torch.no_grad():
            for token, unit in enumerate(SAME):  # on where all three are: both tokens, and the constant of head 2
                up.weight[unit, token] = up.weight[unit, BEFORE.start + token] = up.weight[unit, CONSTANT] = 1
                up.bias[unit] = -2
                down.weight[ANSWER, unit] = 4
            up.bias[list(ALWAYS)] = 1
            down.weight[ANSWER, list(ALWAYS)] = -2
            for token, unit in enumerate(UNREAD):
                up.weight[unit, token] = 3
            up.bias[list(OFF)] = -1
            down.weight[ANSWER, list(OFF)] = 5

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.mlp["down"](torch.relu(self.mlp["up"](x)))


class Same(nn.Module):
    """Logits of (different, same) of the last two tokens of ``[n, LENGTH]`` ids."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Block()])
        self.answer = nn.Linear(WIDTH, 2, bias=False)
        nn.init.zeros_(self.answer.weight)
        with torch.no_grad():
            self.answer.weight[:, ANSWER] = torch.tensor([[-0.5], [0.5]])

    def forward(self, ids: Tensor) -> Tensor:
        x = torch.zeros(*ids.shape, WIDTH)
        x[:, :, TOKEN] = nn.functional.one_hot(ids, N_TOKENS).float()
        x[:, :, PLACE] = torch.eye(LENGTH)
        for layer in self.layers:
            x = layer(x)
        return self.answer(x[:, -1])


def sequences(n: int = 240, seed: int = 0) -> tuple[Tensor, np.ndarray]:
    """Return ids, half of them with the same token twice at the end, and which have."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, N_TOKENS, (n, LENGTH))
    same = np.arange(n) % 2
    other = (ids[:, -1] + rng.integers(1, N_TOKENS, n)) % N_TOKENS
    ids[:, -2] = np.where(same, ids[:, -1], other)
    return torch.from_numpy(ids), same
