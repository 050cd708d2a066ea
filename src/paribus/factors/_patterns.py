"""Attention heads whose pattern is set to its mean: they still move values, but no longer choose from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Ints
from paribus.engine.intervention import Intervention
from paribus.engine.plan import agrees, tolerance
from paribus.engine.replacements import Graft
from paribus.engine.short_names import blocks
from paribus.errors import ConfigError, DataError
from paribus.factors._heads import LayeredHeads
from paribus.factors._units import Channels
from paribus.factors._vectors import on_contexts
from paribus.measure.executor import Executor
from paribus.measure.place import Place, heads_at
from paribus.measure.subject import Subject
from paribus.models.nets.handed_on import PATTERN, hand_on

__all__ = ["PATTERN", "Patterns", "patterns_of"]
AT_ONCE = 64
"""Contexts whose patterns are held together while their mean is taken."""


@dataclass(frozen=True)
class Spans:
    """Where each context's own positions are, and how many; the others are padding.

    Attributes:
        first: The first of them ``[n_contexts]``.
        length: How many there are ``[n_contexts]``.
        whole: How many positions a pattern has.
    """

    first: Ints
    length: Ints
    whole: int


@dataclass(frozen=True, eq=False)
class Patterns(LayeredHeads):
    """The patterns of heads, each set to its mean over the contexts fitted on, position by position.

    Positions are counted from the first one that is read, and a mean is one over contexts of as many of them.

    Attributes:
        said: Names of the heads, the same as where their outputs are ablated.
        spans: Where contexts are in their patterns, if they are padded.
        mean_patterns: For each layer the mean pattern ``[heads, to, from]`` of every length.
    """

    said: tuple[str, ...] = ()
    spans: Spans | None = None
    mean_patterns: tuple[Mapping[int, Tensor], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """As the heads are called when their outputs are ablated."""
        return self.said

    def fit(self, executor: Executor, rows: Ints) -> Patterns:
        """Return the same heads with the mean patterns of contexts ``rows``."""
        spans, sites = self.spans, self.sites
        if spans is None:
            return replace(self, mean_patterns=tuple({0: one} for one in _means(executor, sites, rows, slice(None))))
        found: list[dict[int, Tensor]] = [{} for _ in sites]
        for length in np.unique(spans.length[rows]).tolist():
            alike = rows[spans.length[rows] == length]
            for first in np.unique(spans.first[alike]).tolist():
                own = alike[spans.first[alike] == first]
                for layer, mean in zip(found, _means(executor, sites, own, slice(first, first + length)), strict=True):
                    share = len(own) / len(alike)
                    layer[length] = layer[length] + share * mean if length in layer else share * mean
        return replace(self, mean_patterns=tuple(found))

    def check_rows(self, subject: Subject, reported: Ints, fit: Ints) -> None:
        """Refuse contexts of a length that none of those fitted on has."""
        if self.spans is None:
            return
        missing = np.setdiff1d(self.spans.length[reported], self.spans.length[fit])
        if len(missing):
            raise DataError(
                f"experiment.ablations={PATTERN}: a context of {missing[0]} positions has none of as many among those "
                "that are not reported, whose mean pattern it would get; use mean, or contexts of one length"
            )

    def _edit(self, index: int, channels: list[int], columns: Ints) -> Intervention:
        if not self.mean_patterns:
            raise ConfigError("factor heads: ablation=pattern must be fitted before it is used")
        wanted, means = torch.tensor(channels), self.mean_patterns[index]
        return self.places[index].within(Graft(wanted, self._placed(means, wanted, columns)), columns)

    def _placed(self, means: Mapping[int, Tensor], wanted: Tensor, columns: Ints) -> Tensor:
        """Return the mean patterns of heads for contexts ``[b, k, to, from]``: 0 where they are padding."""
        spans = self.spans
        if spans is None:
            mean = means[0][wanted]
            return mean.expand(len(columns), *mean.shape)
        placed = torch.zeros(len(columns), len(wanted), spans.whole, spans.whole)
        for row, (first, length) in enumerate(zip(spans.first[columns], spans.length[columns], strict=True)):
            own = slice(first, first + length)
            placed[row, :, own, own] = means[int(length)][wanted]
        return placed


def patterns_of(units: LayeredHeads | Channels, executor: Executor) -> Patterns:
    """Return the patterns of heads; a network of ``transformers`` hands them on from now on.

    Args:
        units: The heads, by the place of their outputs.
        executor: The network.

    Raises:
        ConfigError: If only some positions are meant, or no module hands the pattern through and none can be put there.
    """
    places = units.places if isinstance(units, LayeredHeads) else (units.place,)
    if any(place.at_some for place in places):
        raise ConfigError(
            f"experiment.ablations={PATTERN}: a pattern is of all positions; leave positions out of place"
        )
    sites = [_site(str(place.site.module), executor) for place in places]
    if isinstance(units, LayeredHeads):
        heads, numbers = units.heads, units.numbers
    else:
        n_heads = heads_at(executor.network, units.place.site)
        heads, numbers = tuple((0, head) for head in range(n_heads)), (0,)
    bound = tuple(on_contexts(Place.parse(site), executor) for site in sites)
    spans = _spans(executor, sites[0])
    return Patterns(bound, heads, 1, PATTERN, units.rng, numbers=numbers, said=tuple(units.names), spans=spans)


def _spans(executor: Executor, site: str) -> Spans | None:
    """Return where contexts are in their patterns; None where all of them fill these."""
    subject = executor.subject
    if subject.lengths is None:
        return None
    lengths = np.asarray(subject.lengths)
    begins = np.zeros_like(lengths) if subject.begins is None else np.asarray(subject.begins)
    return Spans(begins, lengths, int(executor.values(site, np.arange(1)).shape[-1]))


def _site(projection: str, executor: Executor) -> str:
    """Return the site of the pattern of the heads that an output projection takes.

    Raises:
        ConfigError: If no module of the layer hands it through and none can be put there, or several do.
    """
    network = executor.network
    try:
        layers = blocks(network, projection)
    except ConfigError:  # no list of layers: the module around the projection
        layers = ()
    around = next((one for one in layers if projection.startswith(f"{one}.")), projection.rpartition(".")[0])
    inside, reason = _inside(network, around), ""
    if not inside:
        try:
            _hand_on(executor)
        except ConfigError as error:
            reason = f" ({error})"
        inside = _inside(network, around)
    if len(inside) == 1:
        return f"{around}.{inside[0]}@1".lstrip(".")
    raise ConfigError(
        f"experiment.ablations={PATTERN}: no module named {PATTERN!r} hands on the attention of {projection}, so that "
        f"it cannot be set{reason}; use zero, mean or resample"
    )


def _inside(network: nn.Module, around: str) -> list[str]:
    return [name for name, _ in network.get_submodule(around).named_modules() if name.rpartition(".")[2] == PATTERN]


def _hand_on(executor: Executor) -> None:
    """Let a network of transformers hand its patterns on, which is tried on its first and its shortest context."""
    lengths = executor.subject.lengths
    rows = np.array([0, 0 if lengths is None else int(np.argmin(lengths))])
    inputs = executor.subject.held(executor.subject.cells(rows))
    allowed = tolerance(executor.format, executor.device)
    hand_on(executor.network, lambda: executor.output_of(inputs), lambda one, other: agrees(one, other, allowed))


def _means(executor: Executor, sites: Sequence[str], rows: Ints, own: slice) -> list[Tensor]:
    """Return the mean pattern ``[heads, to, from]`` of some contexts at each site, at the positions ``own``."""
    totals: list[Tensor] = []
    for start in range(0, len(rows), AT_ONCE):
        found = executor.values_at(sites, rows[start : start + AT_ONCE])
        parts = [found[site][:, :, own, own].double().sum(0) for site in sites]
        totals = [total + part for total, part in zip(totals, parts, strict=True)] if totals else parts
    return [(total / len(rows)).float() for total in totals]
