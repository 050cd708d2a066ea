"""Attention heads whose pattern is set to its mean: they still move values, but no longer choose from where."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from paribus.arrays import Ints
from paribus.engine.intervention import Intervention
from paribus.engine.replacements import Graft
from paribus.engine.short_names import blocks
from paribus.errors import ConfigError
from paribus.factors._heads import LayeredHeads
from paribus.factors._units import Channels
from paribus.factors._vectors import on_contexts
from paribus.measure.executor import Executor
from paribus.measure.place import Place, heads_at

PATTERN = "pattern"
"""The ablation, and what a module is called that hands an attention pattern ``[n, heads, to, from]`` through."""
AT_ONCE = 256
"""Contexts whose patterns are held together while their mean is taken."""


@dataclass(frozen=True, eq=False)
class Patterns(LayeredHeads):
    """The patterns of heads, each set to its mean over the contexts fitted on, position by position.

    Attributes:
        said: Names of the heads, the same as where their outputs are ablated.
        mean_patterns: Mean pattern of each layer ``[heads, to, from]``.
    """

    said: tuple[str, ...] = ()
    mean_patterns: tuple[Tensor, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """As the heads are called when their outputs are ablated."""
        return self.said

    def fit(self, executor: Executor, rows: Ints) -> Patterns:
        """Return the same heads with the mean patterns of contexts ``rows``."""
        return replace(self, mean_patterns=tuple(_mean(executor, site, rows) for site in self.sites))

    def _edit(self, index: int, channels: list[int], columns: Ints) -> Intervention:
        if not self.mean_patterns:
            raise ConfigError("factor heads: ablation=pattern must be fitted before it is used")
        wanted = torch.tensor(channels)
        mean = self.mean_patterns[index][wanted]
        return self.places[index].within(Graft(wanted, mean.expand(len(columns), *mean.shape)), columns)


def patterns_of(units: LayeredHeads | Channels, executor: Executor) -> Patterns:
    """Return the patterns of heads.

    Args:
        units: The heads, by the place of their outputs.
        executor: The network.

    Raises:
        ConfigError: If only some positions are meant, sequences have several lengths, or no module hands the pattern
            through.
    """
    places = units.places if isinstance(units, LayeredHeads) else (units.place,)
    if any(place.at_some for place in places):
        raise ConfigError(
            f"experiment.ablations={PATTERN}: a pattern is of all positions; leave positions out of place"
        )
    if executor.subject.lengths is not None:
        raise ConfigError(
            f"experiment.ablations={PATTERN}: a mean pattern needs sequences of one length, these are padded; use "
            "zero, mean or resample"
        )
    sites = [_site(str(place.site.module), executor.network) for place in places]
    if isinstance(units, LayeredHeads):
        heads, numbers = units.heads, units.numbers
    else:
        n_heads = heads_at(executor.network, units.place.site)
        heads, numbers = tuple((0, head) for head in range(n_heads)), (0,)
    bound = tuple(on_contexts(Place.parse(site), executor) for site in sites)
    return Patterns(bound, heads, 1, PATTERN, units.rng, numbers=numbers, said=tuple(units.names))


def _site(projection: str, network: nn.Module) -> str:
    """Return the module that hands the pattern through whose heads an output projection takes.

    Raises:
        ConfigError: If there is none in the layer, or several.
    """
    try:
        layers = blocks(network, projection)
    except ConfigError:  # no list of layers: the module around the projection
        layers = ()
    around = next((one for one in layers if projection.startswith(f"{one}.")), projection.rpartition(".")[0])
    inside = [one for one, _ in network.get_submodule(around).named_modules() if one.rpartition(".")[2] == PATTERN]
    if len(inside) == 1:
        return f"{around}.{inside[0]}".lstrip(".")
    raise ConfigError(
        f"experiment.ablations={PATTERN}: no module named {PATTERN!r} hands on the attention of {projection}, so that "
        "it cannot be set (modular_transformer has one, models of transformers have none); use zero, mean or resample"
    )


def _mean(executor: Executor, site: str, rows: Ints) -> Tensor:
    total: Tensor | None = None
    for start in range(0, len(rows), AT_ONCE):
        part = executor.values(site, rows[start : start + AT_ONCE]).double().sum(0)
        total = part if total is None else total + part
    assert total is not None
    return (total / len(rows)).float()
