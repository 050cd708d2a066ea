"""The directions of patching: which contexts get the values of which, at which places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from paribus.errors import ConfigError, DataError
from paribus.experiments.any._effect_map import parts_of
from paribus.experiments.any._session import At, Rows, bind, place_of, rows_of
from paribus.experiments.any._share_of_total import shares_of_total
from paribus.experiments.any.generic import AUTO
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.setup import NetworkSetup
from paribus.factors._patch import Patches
from paribus.factors.spec import Patch as PatchFactor
from paribus.measure.executor import Executor
from paribus.measure.place import Place
from paribus.methods.patch import Patched, patch


@dataclass(frozen=True)
class Way:
    """One direction: what is patched with what.

    Attributes:
        factor: Says where the values come from.
        rows: The contexts that get them.
        name: What the direction is called.
    """

    factor: PatchFactor
    rows: Rows
    name: str

    def patch(self, experiment: Patch, setup: NetworkSetup, executor: Executor, place: str) -> Patches:
        """Return the patch at a place; donors are the same at every place.

        Raises:
            ConfigError: If something that is named does not exist.
        """
        found = bind("factor", self.factor, experiment, setup, executor, place=place)
        assert isinstance(found, Patches)  # Patch.check has seen to it
        return found

    def measured(self, experiment: Patch, at: At) -> tuple[list[Patches], Patched]:
        """Return what is patched, a row each, and what that does.

        Rows are named as they were asked for: places, or directions and their parts.
        """
        patches: list[Patches] = []
        for text in experiment.at():
            bound = replace(self.patch(experiment, at.setup, at.executor, text), name=text)
            patches += bound.parts(at.executor, self.rows.fit)
        rows, joining, n_null = self.rows.reported, at.setup.rng("patch"), at.setup.stats.n_null
        given: dict[str, Any] = {"rows": rows, "joining": joining, "n_null": min(experiment.n_donors, n_null)}
        return patches, at.ask(patch, patches, patches[0].donors, stream=f"patch {self.name}", **given)

    def labels(self, at: At, patches: list[Patches], found: Patched) -> list[dict[str, object]]:
        """Return what each row is called, where it is patched, and its share of what patching everything does."""
        places = [Place.parse(place_of(one.name, at.executor)) for one in patches]
        shares = shares_of_total(at, found.total, found.sums, "donors and contexts")
        return [
            {
                "level": str(place) if one.name == AUTO else one.name,
                "direction": self.name,
                "site": str(place.site),
                "part": str(place).removeprefix(str(place.site)).strip("[]"),
                **named,
                **share,
            }
            for one, place, named, share in zip(patches, places, parts_of(places), shares, strict=True)
        ]


def ways_of(experiment: Patch, setup: NetworkSetup) -> list[Way]:
    """Return the directions that are patched: of pairs of two splits both, unless one is enough.

    Raises:
        ConfigError: If donors come from the split that is reported.
        DataError: If the two splits of pairs are not of one size.
    """
    rows = rows_of(experiment, setup)
    factor = experiment.factor
    if factor.donors != "split":
        return [Way(factor, rows, f"{factor.donors} -> {rows.said}")]
    if rows.said == factor.split:
        raise ConfigError(f"experiment.split={rows.said}: donors come from there; name the other split of the pairs")
    there, here = setup.contexts.splits[factor.split], setup.contexts.splits[rows.said]
    if len(there) != len(here):
        raise DataError(
            f"experiment.factor.split: {factor.split} has {len(there)} contexts, {rows.said} has {len(here)}; pairs "
            "are at the same places of both"
        )
    ways = [Way(factor, rows, f"{factor.split} -> {rows.said}")]
    if experiment.both:
        back = there[np.isin(here, rows.reported)]
        reverse = Rows(back, rows.fit, str(factor.split), rows.complete)
        ways.append(Way(replace(factor, split=rows.said), reverse, f"{rows.said} -> {factor.split}"))
    return ways
