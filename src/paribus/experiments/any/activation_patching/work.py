"""The work of patching pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats, Ints
from paribus.engine.short_names import layer_of
from paribus.experiments.any._effect_map import MADE, WHERE, map_or_forest, parts_of
from paribus.experiments.any._effect_vector import by_rows
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import first_together
from paribus.experiments.any._head_scores import score_and_effect, scores_beside
from paribus.experiments.any._ranking import by_size, ranks
from paribus.experiments.any._session import At, at_checkpoints
from paribus.experiments.any._share_of_total import COLUMNS as SHARE_OF_TOTAL
from paribus.experiments.any._share_of_total import shares_of_total
from paribus.experiments.any.activation_patching.places import asked_for, clean_rows, on_pairs, pairs_of
from paribus.experiments.any.activation_patching.spec import DENOISE, ActivationPatching
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors._donated import Donated, donated
from paribus.measure.place import Place
from paribus.methods.ablate import Ablated, ablate, singles, together
from paribus.methods.contrast import Null
from paribus.methods.patch import unrelated, whole
from paribus.results.columns import interval
from paribus.results.schema import Aggregates
from paribus.stats.clusters import ClusterSums, joined
from paribus.stats.effects import complete_table, effect_table

NAME = "activation_patching"
UNRELATED = "unrelated donors"
SAME = "same in both"
UNREAD = "no effect at all"
SHARED = {
    "direction": "denoise: values of the clean context in the corrupted one; noise: the other way round",
    **SHARE_OF_TOTAL,
}
COLUMNS = {
    **SHARED,
    "layer": "number of the layer",
    "place": "the place by its module",
    "rank": "place of the row by the size of its effect on pairs that are not reported, from 1",
    "score": "attention of the head from a repeated token to what followed it before, in the clean contexts; "
    "observational, and not an effect",
    "remark": f"{SAME}: both contexts have the same value there, so that a patch changes nothing by construction; "
    f"{UNREAD}: the values differ, and what is read does not depend on them",
}
TOGETHER = {
    **SHARED,
    "k": "places patched together",
    "members": "the places",
    "sum_of_singles": "sum of the effects of each of them alone",
    "sum_share": "sum_of_singles / total; missing where total is within 3 standard errors of 0",
    "beyond_sum": "mean_delta - sum_of_singles: what patching them together does beyond that, in the readout's unit; "
    "where it has the other sign than total they do less together",
    **interval("beyond_sum", "its 95 % interval over clusters"),
}


def run(experiment: ActivationPatching, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Patch at every checkpoint; hand over ``patches``, ``k_sweep`` and ``groups``, and their figures.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If contexts are no pairs, or none are left to rank on or to report.
    """
    setup = on_pairs(setup)
    single: list[Part] = []
    sets: list[Part] = []
    groups: list[Part] = []
    for at in at_checkpoints(experiment, setup, recorder, clean_rows(experiment, setup)):
        places = _Places(experiment, at)
        places.look(at.rows.reported, recorder)
        for direction in experiment.directions:
            found = _Direction(experiment, at, places, direction)
            single.append(found.patches())
            sets += found.first()
            groups += found.groups()
    to, kind = Reported.of(at, COLUMNS | WHERE), at.kind
    frame = effects(
        to, single, name="patches", what="One row per checkpoint, direction and place patched.", largest=True
    )
    _say_unmoved(recorder, frame)
    title = "Effect of the counterpart's value"
    map_or_forest(recorder, "patch_map", title, frame, kind, panel="direction", table="patches", made=MADE)
    together = replace(to, columns=TOGETHER)
    largest = ""
    if sets:
        swept = effects(together, sets, name="k_sweep", what="One row per checkpoint, direction and K.")
        largest = str(swept["level"].iloc[int(swept["k"].argmax())])
        title, null = "The first K places patched together", "random places of the same layers"
        first_together(to, swept, title, xlabel="places patched", null=null, panel="direction")
    if groups:
        effects(together, groups, name="groups", what="One row per checkpoint, direction and group.")
    score_and_effect(recorder, frame, "patches", kind, "direction")
    return summed_up(to, frame, directions=list(experiment.directions), largest_set=largest)


def _single(experiment: ActivationPatching, at: At) -> tuple[Sequence[str], ClusterSums]:
    """Measure the effect of every place, in one direction after the other."""
    places = _Places(experiment, at)
    ways = [_Direction(experiment, at, places, direction) for direction in experiment.directions]
    labels = [f"{name}, {way.direction}" for way in ways for name in places.names]
    return labels, joined([way.single for way in ways])


def _compared(experiment: ActivationPatching, setup: NetworkSetup) -> int:
    """Look up pairs, places and groups; return how many rows there are."""
    pairs = pairs_of(setup.contexts, clean_rows(experiment, setup))
    return len(asked_for(experiment, setup.executor(), pairs).names) * len(experiment.directions)


class _Places:
    """The places at one checkpoint, with the values of both contexts of every pair."""

    def __init__(self, experiment: ActivationPatching, at: At) -> None:
        pairs = pairs_of(at.setup.contexts, at.rows)
        asked = asked_for(experiment, at.executor, pairs)
        self.names, self.asked = asked.names, asked
        self.units: Donated = donated(asked.bound, asked.names, asked.sites, pairs, at.executor)

        self.at = at
        self.scores: Floats | None = None

    def look(self, rows: Ints, recorder: Recorder) -> None:
        """Read the observational scores of heads, where each row is one head at all positions."""
        parsed = self.asked.places
        if any(place.heads is None or len(place.heads) > 1 or place.at_some for place in parsed):
            return
        heads = [(self._layer(place) or 0, *(place.heads or ())) for place in parsed]
        self.scores = scores_beside(self.at.executor, rows, [(layer, head) for layer, head in heads], recorder)

    def _layer(self, place: Place) -> int | None:
        return layer_of(str(place.site), self.at.executor.network)

    def labels(self) -> list[dict[str, object]]:
        """Return the columns that say where each row is."""
        named = zip(self.names, self.asked.places, parts_of(self.asked.places), strict=True)
        return [
            {
                "level": name,
                "layer": self._layer(place),
                **parts,
                "place": str(place),
                **({} if self.scores is None else {"score": float(self.scores[index])}),
            }
            for index, (name, place, parts) in enumerate(named)
        ]


class _Direction:
    """One direction at one checkpoint."""

    def __init__(self, experiment: ActivationPatching, at: At, places: _Places, direction: str) -> None:
        self.experiment, self.at, self.places, self.direction = experiment, at, places, direction
        self.setup, self.recorder, rows, self.complete = at.setup, at.recorder, at.rows, at.rows.complete
        self.units: Donated = places.units
        counterpart = places.units.donors
        denoised = direction == DENOISE
        self.rows = counterpart[rows.reported] if denoised else rows.reported
        self.ranked_on = counterpart[rows.fit] if denoised else rows.fit
        made = self._given(singles(len(places.names)), self.rows)
        self.single, self.means, self.base = made.sums, made.means[1:], float(made.means[0])
        self.units = replace(self.units, unread=(self.single.means == 0) & (self.single.sd == 0) & ~self.units.same)
        self.total = whole(at.reading(self.rows), counterpart, at.setup.rng(NAME))
        self.order = self._ranking()

    def _given(self, off: Bools, rows: Ints, n_null: int = 0, stream: str = NAME) -> Ablated:
        """Return the effect of sets of places; clusters are joined alike for all sets, alone or together."""
        joining = self.setup.rng(NAME)
        return self.at.ask(ablate, self.units, off, stream=stream, rows=rows, n_null=n_null, joining=joining)

    def _ranking(self) -> Ints:
        """Return the places by the size of their effect on pairs that are not reported; as they come without those."""
        if not len(self.ranked_on):
            return np.arange(len(self.places.names))
        return by_size(self._given(singles(len(self.places.names)), self.ranked_on).sums)

    def patches(self) -> Part:
        """Return the rows of single places."""
        null, beside = self._null()
        rank = ranks(self.order)
        assert self.units.unread is not None
        rows = [
            {
                **label,
                "direction": self.direction,
                "rank": float(rank[index]) if len(self.ranked_on) else float("nan"),
                "remark": SAME if self.units.same[index] else UNREAD if self.units.unread[index] else "",
                "null": UNRELATED if beside[index] else "",
                **share,
            }
            for index, (label, share) in enumerate(zip(self.places.labels(), self._shares(self.single), strict=True))
        ]
        drawn = None if null is None else Null(null, UNRELATED)
        return Part(self.at.epoch, rows, self.single, self.means, drawn)

    def _null(self) -> tuple[Floats | None, Bools]:
        """Return effects of unrelated donors ``[k, draws]``, NaN in rows that have none, and which rows have them."""
        k = len(self.places.names)
        beside = np.zeros(k, bool)
        n = min(self.experiment.n_donors, self.setup.stats.n_null)
        most = self.experiment.n_beside or k
        some = [index for index in self.order if self.units.able[index]][:most]
        if not n or not some:
            return None, beside
        rng = self.setup.rng(f"{NAME} {self.direction} donors")
        drawn = self.units.unrelated(self.rows, n, self.at.executor, rng)
        if not drawn:
            self.recorder.warn("No null of unrelated donors: a context has no other of its length in another cluster.")
            return None, beside
        null, off, rng = np.full((k, n), np.nan), together([[one] for one in some], k), self.setup.rng(NAME)
        null[some] = unrelated(self.at.reading(self.rows), drawn, off, rng=rng)
        beside[some] = True
        return null, beside

    def first(self) -> list[Part]:
        """Return the rows of the first K together, beside random places of the same layers."""
        able = [index for index in self.order if self.units.able[index]]
        ks = [k for k in sorted(self.experiment.ks) if k <= len(able)]
        if not ks:
            return []
        sets = [able[:k] for k in ks]
        labels = [f"first {k}" for k in ks]
        return [self._together(sets, labels, [{"dose": float(k)} for k in ks])]

    def groups(self) -> list[Part]:
        """Return the rows of the groups that were named."""
        if not self.experiment.groups:
            return []
        sets = [
            [self.places.names.index(one) for one in self.experiment.members(group)] for group in self.experiment.groups
        ]
        return [self._together(sets, self.experiment.groups, [{} for _ in sets])]

    def _together(self, sets: Sequence[Sequence[int]], labels: Sequence[str], more: Sequence[dict[str, float]]) -> Part:
        off, n_null = together(sets, len(self.places.names)), self.setup.stats.n_null
        made = self._given(off, self.rows, n_null, f"{NAME} {self.direction} sets")
        alone = np.stack([self.single.sums[list(members)].sum(0) for members in sets])
        beyond = self._beyond(made.sums, alone)
        rows = [
            {
                "level": label,
                **own,
                "direction": self.direction,
                "k": len(members),
                "members": " ".join(self.places.names[one] for one in members),
                "sum_of_singles": float(summed),
                "sum_share": float(summed) / share["total"] if np.isfinite(share["share"]) else float("nan"),
                **past,
                **share,
            }
            for label, own, members, summed, past, share in zip(
                *(labels, more, sets, [self.single.means[list(members)].sum() for members in sets], beyond),
                self._shares(made.sums),
                strict=True,
            )
        ]
        return Part.of(self.at, rows, made, made.means[1:])

    def _beyond(self, sums: ClusterSums, alone: Floats) -> list[dict[str, object]]:
        """Return what sets do beyond the sums of their members, with intervals over clusters."""
        past = replace(sums, sums=sums.sums - alone)
        spec, rng = self.setup.stats, self.setup.rng("beyond")
        clusters = self.setup.contexts.cluster
        table = complete_table(past) if self.complete else effect_table(past, clusters, spec=spec, rng=rng)
        return [
            {
                "beyond_sum": row["mean_delta"],
                "beyond_sum_low": row["ci_low"],
                "beyond_sum_high": row["ci_high"],
                "beyond_sum_method": row["ci_method"],
            }
            for row in table.to_dict("records")
        ]

    def _shares(self, sums: ClusterSums) -> list[dict[str, Any]]:
        between, rounding = "clean and corrupted contexts", self.at.executor.rounding
        return shares_of_total(self.at, self.total, sums, between, rounding=rounding)


def _say_unmoved(recorder: Recorder, frame: pd.DataFrame) -> None:
    for remark, says in (
        (SAME, "hold the same value in both contexts of every pair, so that patching them changes nothing"),
        (UNREAD, "change nothing when they are patched: what is read does not depend on them"),
    ):
        names = frame["level"][frame["remark"] == remark].unique()
        if len(names):
            few = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            recorder.warn(f"Exactly 0: {few} {says}.")


validate, effect_vector, promised = by_rows(_compared, _single, on_pairs)
