"""Attention patterns, read from a network while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Floats, Ints
from paribus.engine.short_names import ATTENTIONS, blocks
from paribus.errors import ConfigError
from paribus.measure.executor import Executor
from paribus.subjects.tokens.data import TokenData

PATTERN = "pattern"
"""A module of this name inside an attention hands the pattern through."""
Visit = Callable[[slice, list[Tensor], Tensor], None]
"""Gets a range of cells, layer by layer their patterns ``[m, heads, to, from]``, and the network's output."""


def visit_patterns(executor: Executor, cells: Any, visit: Visit) -> None:
    """Run a network on cells ``[m]`` and hand over the attention patterns of all layers, batch by batch.

    A pattern is the value of a module called ``pattern`` inside a layer's attention, or the second thing that the
    attention itself returns (as those of ``transformers`` do where they compute one).

    Raises:
        ConfigError: If a layer shows no pattern.
    """
    network = executor.network
    names = blocks(network, "attention")
    with _kept(network, names) as kept:

        def step(rows: slice, output: Tensor, _: Any) -> None:
            missing = [name for name in names if name not in kept]
            if missing:
                raise ConfigError(
                    f"{missing[0]}: its attention shows no pattern [n, heads, to, from]; it may use a fused kernel "
                    "(attn_implementation=eager computes one)"
                )
            visit(rows, [kept.pop(name) for name in names], output)

        executor.run(cells, "", step)


@contextlib.contextmanager
def _kept(network: nn.Module, names: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """Keep the pattern of every layer of the latest pass."""
    kept: dict[str, Tensor] = {}
    with contextlib.ExitStack() as stack:
        for name in names:
            module = _shows(network.get_submodule(name))

            def hook(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
                found = [one for one in _flat(output) if isinstance(one, Tensor) and one.ndim == 4]
                if found and found[-1].shape[2] <= found[-1].shape[3]:
                    kept[name] = found[-1].detach().float()

            stack.callback(module.register_forward_hook(hook).remove)
        yield kept


def _shows(block: nn.Module) -> nn.Module:
    attention = next(each for name, each in block.named_children() if name in ATTENTIONS)
    inside = next((each for name, each in attention.named_modules() if name.rpartition(".")[2] == PATTERN), None)
    return attention if inside is None else inside


def _flat(output: Any) -> list[Any]:
    return list(output) if isinstance(output, tuple | list) else [output]


def prefixes(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return where an induction head would look, by sequence: from which positions, and to which ``[n, t]``.

    From every token that occurred before, to the one after its first occurrence; -1 where a sequence has fewer.

    Example:
        >>> at, to = prefixes(torch.tensor([[5, 6, 7, 5, 6], [1, 2, 3, 4, 2]]))
        >>> at.tolist(), to.tolist()
        ([[3, 4], [4, -1]], [[1, 2], [2, -1]])
    """
    found: list[list[tuple[int, int]]] = []
    for row in ids.tolist():
        first: dict[int, int] = {}
        pairs = []
        for at, token in enumerate(row):
            if first.setdefault(token, at) + 1 < at:
                pairs.append((at, first[token] + 1))
        found.append(pairs)
    both = torch.full((2, len(found), max(map(len, found), default=0)), -1)
    for row, pairs in enumerate(found):
        if pairs:
            both[:, row, : len(pairs)] = torch.tensor(pairs).T
    return both[0], both[1]


def prefix_scores(executor: Executor, rows: Ints, at: Tensor, to: Tensor) -> tuple[Floats, float]:
    """Return the mean attention from ``at`` to ``to`` of every head ``[n, layers, heads]``, and the mean loss."""
    found: dict[int, Floats] = {}
    losses: dict[int, Floats] = {}
    readout = executor.subject.readouts["loss"](executor)

    def visit(batch: slice, patterns: list[Tensor], output: Tensor) -> None:
        losses[batch.start] = readout.read(output, rows[batch])[0][0].double().cpu().numpy()
        own_at, own_to = at[batch], to[batch]
        asked = (own_at >= 0).double()
        index = torch.arange(len(own_at))[:, None]
        layers = []
        for pattern in patterns:
            taken = pattern.cpu()[index, :, own_at.clamp(min=0), own_to.clamp(min=0)].double()  # [m, t, heads]
            layers.append((taken * asked[:, :, None]).sum(1) / asked.sum(1, keepdim=True))
        found[batch.start] = torch.stack(layers, 1).numpy()

    visit_patterns(executor, executor.subject.cells(rows), visit)
    joined = np.concatenate([found[start] for start in sorted(found)])
    return joined, float(np.concatenate([losses[start] for start in sorted(losses)]).mean())


def scores_of_heads(executor: Executor, rows: Ints) -> dict[tuple[int, int], float]:
    """Return the mean attention of each head, by layer and number, from a repeated token to what followed it before.

    Raises:
        ConfigError: If the network shows no attention pattern.
    """
    data: TokenData = cast(Any, executor.subject).data
    found = prefix_scores(executor, rows, *prefixes(data.ids[rows]))[0].mean(0)
    return {(layer, head): float(found[layer, head]) for layer, head in np.ndindex(*found.shape)}
