"""Token sequences for the measurement layer: sequences as contexts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from paribus.engine.given import Given
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.measure import ArrayCells, ArraySubject, Contexts
from paribus.subjects.tokens.data import Targets, TokenData
from paribus.subjects.tokens.readouts import token_readouts

CORRUPTED = "_corrupted"
"""What the splits of corrupted sequences are called after those of the clean ones."""
END = "end"
"""The last token that is read of each sequence."""


class TokenSubject(ArraySubject):
    """Sequences as contexts; a cell holds a sequence's ids, and where sequences are padded what is read of them.

    Attributes:
        data: The sequences.
    """

    name = "tokens"

    def __init__(self, data: TokenData) -> None:
        """Hold the sequences."""
        self.data = data
        super().__init__(
            Contexts(
                inputs=data.given,
                cluster=data.clusters,
                label=data.labels,
                domain=data.domains,
                splits=data.splits,
                output_names=data.class_names,
                domain_names=data.domain_names,
            )
        )
        self.readouts = token_readouts(data)
        self.pairs = data.pairs
        self.positions = {**data.positions, END: _ends(data)}
        self.styles = tuple(data.renderings)
        self.paired_class = data.paired_class

    def paired(self) -> TokenSubject | None:
        """Return clean sequences and their corrupted ones; without pairs, those beside which there are others.

        What is read of a corrupted sequence is the answer to the clean one.
        """
        if self.pairs is not None:
            return self
        return None if self.data.control is None else TokenSubject(_with_control(self.data))

    def refused_position(self, position: int) -> str:
        """Return why a number is no position of all sequences: it is beyond them, or padding in some of them."""
        length = self.data.ids.shape[1]
        if not -length <= position < length:
            return f"sequences have {length} positions, from 0"
        padded = 0 if self.data.mask is None else int((self.data.mask[:, position] == 0).sum())
        if not padded:
            return ""
        return f"is padding in {padded} of {len(self)} sequences of different lengths; name positions, as in @end"

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
        axis = site.channel_axis(site.validate(network), value.ndim)
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


def _with_control(data: TokenData) -> TokenData:
    """Return sequences and, as their corrupted ones, those without what makes them special."""
    assert data.control is not None
    n = len(data.ids)
    targets = None
    if data.targets is not None:
        targets = Targets(*(np.concatenate([part, part]) for part in data.targets.parts()))
    return replace(
        data,
        ids=torch.cat([data.ids, data.control]),
        labels=None if data.labels is None else np.concatenate([data.labels, data.labels]),
        clusters=np.concatenate([data.clusters, data.clusters]),
        splits={**data.splits, **{name + CORRUPTED: rows + n for name, rows in data.splits.items()}},
        mask=None if data.mask is None else torch.cat([data.mask, data.mask]),
        positions={name: np.concatenate([table, table]) for name, table in data.positions.items()},
        targets=targets,
        pairs=np.stack([np.arange(n), np.arange(n) + n], axis=1),
        control=None,
        digest="",
    )
