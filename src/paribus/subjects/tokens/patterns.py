"""Attention patterns, read from a network while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Floats, Ints
from paribus.engine.short_names import ATTENTIONS, blocks, layers_with
from paribus.errors import ConfigError
from paribus.measure.executor import Executor
from paribus.measure.readout import Readout
from paribus.models.nets.handed_on import PATTERN
from paribus.subjects.tokens.data import Targets, TokenData

ATTENTION = "attention"
Visit = Callable[[slice, list[Tensor], Tensor], None]
"""Gets a range of cells, layer by layer their patterns ``[m, heads, to, from]``, and the network's output."""


def looking_layers(network: nn.Module) -> tuple[int, ...]:
    """Return the numbers of the layers with attention: those whose patterns are seen, in this order.

    Raises:
        ConfigError: If there are none.
    """
    return layers_with(network, "attn", ATTENTION)


def visit_patterns(executor: Executor, cells: Any, visit: Visit) -> None:
    """Run a network on cells ``[m]`` and hand over the attention patterns of all layers with attention.

    A pattern is the value of a module called ``pattern`` inside a layer's attention, or the second thing that the
    attention itself returns (as those of ``transformers`` do where they compute one).

    Raises:
        ConfigError: If a layer shows no pattern.
    """
    network = executor.network
    names = [blocks(network, ATTENTION)[index] for index in looking_layers(network)]
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
def _kept(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Keep the pattern of every layer of the latest pass."""
    kept: dict[str, Tensor] = {}
    with contextlib.ExitStack() as stack:
        for name in names:
            module = _shows(network.get_submodule(name))

            def hook(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
                given = output if isinstance(output, tuple | list) else [output]
                found = [one for one in given if isinstance(one, Tensor) and one.ndim == 4]
                if found and found[-1].shape[2] <= found[-1].shape[3]:
                    kept[name] = found[-1].detach().float()

            stack.callback(module.register_forward_hook(hook).remove)
        yield kept


def _shows(block: nn.Module) -> nn.Module:
    attention = next(each for name, each in block.named_children() if name in ATTENTIONS)
    inside = next((each for name, each in attention.named_modules() if name.rpartition(".")[2] == PATTERN), None)
    return attention if inside is None else inside


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


def first_time(data: TokenData, rows: Ints, at: Tensor, to: Tensor) -> TokenData:
    """Return data that ask, in some sequences, for the tokens that are asked for where each stood first.

    A token after a repeated one counts where it followed the first occurrence too.

    Args:
        data: The sequences.
        rows: Which of them.
        at: The positions of repeated tokens ``[n, t]``, -1 where there are fewer.
        to: Those after their first occurrences ``[n, t]``.
    """
    assert data.targets is not None
    own, from_, then = data.ids.numpy(), at.clamp(min=0).numpy(), to.clamp(min=0).numpy()
    asked = (at[:, :, None].numpy() == data.targets.positions[rows][:, None]).any(2) & (at.numpy() >= 0)
    row = rows[:, None]
    asked &= own[row, then] == own[row, np.minimum(from_ + 1, own.shape[1] - 1)]  # else another token followed then
    positions, ids = np.full((len(own), at.shape[1]), -1), np.zeros((len(own), at.shape[1]), np.int64)
    positions[:, 0] = 0  # sequences that are not read need a target too
    positions[rows], ids[rows] = np.where(asked, then - 1, -1), np.where(asked, own[row, then], 0)
    return replace(data, targets=Targets(positions, ids), digest="")


@dataclass(frozen=True)
class Looked:
    """Attention scores of heads on sequences with a repeat, and the losses of the network.

    Attributes:
        prefix: Mean attention from a repeated token to the one after its first occurrence ``[n, layers, heads]``.
        previous: Mean attention from the same tokens to the one before each ``[n, layers, heads]``.
        losses: Mean loss ``[n, readouts]``.
    """

    prefix: Floats
    previous: Floats
    losses: Floats


def look(executor: Executor, rows: Ints, at: Tensor, to: Tensor, readouts: Sequence[Readout] = ()) -> Looked:
    """Measure the attention scores of every head while a network reads some sequences.

    Args:
        executor: The network.
        rows: The sequences ``[n]``.
        at: From which positions ``[n, t]``, -1 where there are fewer.
        to: To which ``[n, t]``.
        readouts: What is read of the output besides.
    """
    places = (to, at - 1)
    found: dict[int, list[Floats]] = {}
    losses: dict[int, Floats] = {}

    def visit(batch: slice, patterns: list[Tensor], output: Tensor) -> None:
        read = [each.read(output, rows[batch])[0][0].double().cpu().numpy() for each in readouts]
        losses[batch.start] = np.stack(read, 1) if read else np.empty((len(rows[batch]), 0))
        found[batch.start] = [_mean_attention(patterns, at[batch], place[batch]) for place in places]

    visit_patterns(executor, executor.subject.cells(rows), visit)
    starts = sorted(found)
    prefix, previous = (np.concatenate([found[start][k] for start in starts]) for k in range(2))
    return Looked(prefix, previous, np.concatenate([losses[start] for start in starts]))


def _mean_attention(patterns: Sequence[Tensor], at: Tensor, to: Tensor) -> Floats:
    """Return the mean attention of every head over pairs of positions ``[m, layers, heads]``."""
    asked = (at >= 0).double()
    index = torch.arange(len(at))[:, None]
    layers = []
    for pattern in patterns:
        taken = pattern.cpu()[index, :, at.clamp(min=0), to.clamp(min=0)].double()  # [m, t, heads]
        layers.append((taken * asked[:, :, None]).sum(1) / asked.sum(1, keepdim=True))
    return np.asarray(torch.stack(layers, 1).numpy())


def scores_of_heads(executor: Executor, rows: Ints) -> dict[tuple[int, int], float]:
    """Return the mean attention of each head, by layer and number, from a repeated token to what followed it before.

    Raises:
        ConfigError: If the network shows no attention pattern.
    """
    data: TokenData = cast(Any, executor.subject).data
    found = look(executor, rows, *prefixes(data.ids[rows])).prefix.mean(0)
    numbers = looking_layers(executor.network)
    return {(numbers[layer], head): float(found[layer, head]) for layer, head in np.ndindex(*found.shape)}
