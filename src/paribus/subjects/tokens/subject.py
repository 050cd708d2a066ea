"""Token sequences for the measurement layer: sequences as contexts."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Ints
from paribus.engine.given import Given
from paribus.engine.plan import agrees, difference, tolerance
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.measure import ArrayCells, ArraySubject, Executor
from paribus.subjects.tokens.data import Targets, TokenData
from paribus.subjects.tokens.factors import TokenAt
from paribus.subjects.tokens.patterns import scores_of_heads
from paribus.subjects.tokens.readouts import token_readouts

CORRUPTED = "_corrupted"
"""Suffix of the splits of corrupted sequences."""
END = "end"
"""The last token that is read of each sequence."""


class TokenSubject(ArraySubject):
    """Sequences as contexts; a cell holds a sequence's ids, and where sequences are padded what is read of them.

    Attributes:
        data: The sequences.

    Example:
        >>> from paribus.subjects.tokens.data import modular_addition
        >>> subject = TokenSubject(modular_addition(5, 0.6, seed=0))
        >>> len(subject), subject.cells(np.arange(2)).values[0].shape
        (25, (2, 2))
    """

    name = "tokens"

    def __init__(self, data: TokenData) -> None:
        """Hold the sequences."""
        self.data = data
        super().__init__(data.contexts(data.given, complete=data.complete))
        self.readouts = token_readouts(data)
        self.pairs = data.pairs
        if data.targets is not None:  # logits of every token at every position
            self.output_bytes = data.ids.shape[1] * data.n_tokens * 4
        self.lengths = None if data.mask is None else data.mask.sum(1).numpy()
        self.begins = None if data.mask is None else data.mask.long().argmax(1).numpy()
        if data.control is not None:
            self.head_scores = {"prefix_matching": scores_of_heads}
        self.positions = {**data.positions, END: _ends(data)}
        self.styles = tuple(data.renderings)
        self.paired_class = data.paired_class

    def paired(self) -> TokenSubject | None:
        """Return clean sequences and their corrupted ones.

        Without pairs, the corrupted ones are those that stand beside the sequences (without the repeat), or where
        sequences have labels the next one of the same split with another label. What is read of a corrupted sequence is
        the answer to the clean one.
        """
        if self.pairs is not None:
            return self
        if self.data.control is not None:
            made = TokenSubject(_beside(self.data, self.data.control))
            made.head_scores = self.head_scores
            return made
        if self.data.labels is None:
            return None
        others = _next_of_another_label(self.data)
        return None if others is None else TokenSubject(_beside(self.data, self.data.ids[others], others))

    def usual_factors(self, most_levels: int) -> list[TokenAt]:
        """Return other tokens at each position that all sequences have, but not where one of them has its sink.

        Where sequences are padded on the left positions count from the end, as they mean the same only there.
        """
        length, begins = self.data.ids.shape[1], np.zeros(1, np.int64) if self.begins is None else self.begins
        sinks = set(begins.tolist()) if self.data.sink else set()
        there = [one for one in range(length) if not self.refused_position(one) and one not in sinks]
        shift = length if begins.any() else 0
        return [TokenAt(position=one - shift, most=most_levels) for one in there]

    def words(self, columns: Ints) -> list[str]:
        """Return the token ids that are read of each sequence."""
        ids, mask = self.data.ids, self.data.mask
        read = [ids[one] if mask is None else ids[one][mask[one] > 0] for one in np.asarray(columns).tolist()]
        return [" ".join(map(str, one.tolist())) for one in read]

    def refused_position(self, position: int) -> str:
        """Return why a number is no position of all sequences: it is beyond them, or padding in some of them."""
        length = self.data.ids.shape[1]
        if not -length <= position < length:
            return f"sequences have {length} positions, from 0"
        padded = 0 if self.data.mask is None else int((self.data.mask[:, position] == 0).sum())
        if not padded:
            return ""
        return f"is padding in {padded} of {len(self)} sequences of different lengths; name positions, as in @end"

    def refuse_network(self, executor: Executor) -> None:
        """Refuse a network that takes no mask, or reads a padded sequence otherwise than the same one alone.

        Some count positions their own way (RoBERTa's begin after that of its padding token), some ignore the mask.

        Raises:
            ConfigError: If it does.
        """
        if self.data.mask is None:
            return
        row = int(self.data.mask.sum(1).argmin())
        passed, name = self.data.given.take(torch.tensor([row])), type(executor.network).__name__
        takes = inspect.signature(executor.network.forward).parameters
        further = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values())
        lacking = [one for one in passed.names if one is not None and one not in takes and not further]
        if lacking:
            raise ConfigError(
                f"model: {name} takes no {' and no '.join(lacking)}, which sequences of different lengths need"
                + ("; say data.padding=right" if lacking == ["position_ids"] else "")
            )
        read = self.data.mask[row] > 0
        alone = Given(
            (self.data.ids[[row]][:, read], torch.ones(1, int(read.sum()), dtype=torch.long)), passed.names[:2]
        )
        padded, own = (executor.output_of(one) for one in (passed, alone))
        if padded.ndim == 3 and padded.shape[1] == len(read):
            padded = padded[:, read.to(padded.device)]
        if padded.shape == own.shape and not agrees(padded, own, tolerance(executor.format, executor.device)):
            left = self.data.mask[:, 0].min() == 0
            raise ConfigError(
                f"model: {name} gives another output for a padded sequence than for the same one alone (by "
                f"{difference(padded, own):.2g}); "
                + ("say data.padding=right, or " if left else "")
                + "use sequences of one length"
            )

    def in_style(self, cells: ArrayCells, domain: int) -> ArrayCells:
        """Return the same contents as ``domain`` would write them.

        Raises:
            ConfigError: If that is not known.
        """
        if domain not in self.styles:
            raise ConfigError(f"data: no texts as the domain {domain} would write them (data.renderings)")
        shown = cells
        for index, value in enumerate(self.data.renderings[domain]):
            shown = shown.with_value(index, value.long().numpy()[cells.ctx])
        return shown

    def vectors(self, value: Tensor, inputs: Given, site: Site, network: nn.Module) -> Tensor:
        """Return the mean over positions, without padding, and without the first one where it is an attention sink."""
        sink, mask = self.data.sink, self.data.mask is not None
        if value.ndim != 3 or not (sink or mask):
            return super().vectors(value, inputs, site, network)
        axis = site.channel_axis(network, value.shape)
        h = value if axis == 2 else value.movedim(axis, 2)
        weights = inputs.tensors[1].to(h) if mask else h.new_ones(h.shape[:2])
        if sink:
            weights = weights.clone()
            # the first token that is read: sequences may be padded on the left
            weights[range(len(weights)), weights.argmax(1)] = 0
        return (h * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1)


def _ends(data: TokenData) -> np.ndarray:
    length = data.ids.shape[1]
    if data.mask is None:
        return np.full((len(data.ids), 1), length - 1)
    return np.asarray(length - 1 - data.mask.flip(1).argmax(1).numpy())[:, None]


def _next_of_another_label(data: TokenData) -> np.ndarray | None:
    """Return for each sequence the next one of its split that has another label ``[n]``; None where there is none."""
    assert data.labels is not None
    others = np.arange(len(data.ids))
    for rows in data.splits.values():
        labels = data.labels[rows]
        if (labels == labels[0]).all():
            return None
        ends = np.append(np.flatnonzero(np.diff(labels)), len(rows) - 1)  # the last of each run of equal labels
        found = (ends[np.searchsorted(ends, np.arange(len(rows)))] + 1) % len(rows)
        first = int(ends[0]) + 1  # where the last run has the label of the first one, it goes on there
        wraps = (found == 0) & (labels == labels[0])
        others[rows] = rows[np.where(wraps, first, found)]
    return others


def _beside(data: TokenData, corrupted: torch.Tensor, source: np.ndarray | None = None) -> TokenData:
    """Return sequences and their corrupted ones ``[n, length]``.

    Args:
        data: The sequences.
        corrupted: Beside each the other one.
        source: Which of the sequences each of those is; None: others, padded and named alike.
    """
    n = len(data.ids)
    of = np.arange(n) if source is None else source
    targets = None
    if data.targets is not None:
        targets = Targets(*(np.concatenate([part, part]) for part in data.targets.parts()))
    return replace(
        data,
        ids=torch.cat([data.ids, corrupted]),
        labels=None if data.labels is None else np.concatenate([data.labels, data.labels]),
        clusters=np.concatenate([data.clusters, data.clusters]),
        domains=None if data.domains is None else np.concatenate([data.domains, data.domains[of]]),
        contents=None if data.contents is None else np.concatenate([data.contents, data.contents[of]]),
        renderings={
            domain: (torch.cat([ids, ids[of]]), torch.cat([mask, mask[of]]))
            for domain, (ids, mask) in data.renderings.items()
        },
        splits={**data.splits, **{name + CORRUPTED: rows + n for name, rows in data.splits.items()}},
        mask=None if data.mask is None else torch.cat([data.mask, data.mask[torch.from_numpy(of)]]),
        positions={name: np.concatenate([table, table[of]]) for name, table in data.positions.items()},
        targets=targets,
        pairs=np.stack([np.arange(n), np.arange(n) + n], axis=1),
        control=None,
        digest="",
    )
