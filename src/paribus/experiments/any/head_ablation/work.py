"""The work of taking heads away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paribus.arrays import Bools, Ints
from paribus.engine.short_names import layer_of
from paribus.experiments.any._constant_units import CONSTANT, constant_units
from paribus.experiments.any._effect_map import map_or_forest
from paribus.experiments.any._effect_vector import by_rows
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import first_together
from paribus.experiments.any._head_scores import score_and_effect, scores_beside
from paribus.experiments.any._ranking import ranked, ranks
from paribus.experiments.any._session import At, at_checkpoints, bind, rows_of
from paribus.experiments.any.generic import AUTO
from paribus.experiments.any.head_ablation.spec import HeadAblation
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors._heads import LayeredHeads
from paribus.factors._patterns import PATTERN, patterns_of
from paribus.factors._units import Channels
from paribus.factors.spec import Heads
from paribus.measure.executor import Executor
from paribus.methods.ablate import Ablated, ablate, like_sets, singles, together
from paribus.results.schema import Aggregates
from paribus.stats.clusters import ClusterSums, joined
from paribus.stats.nulls import placed

MADE = "Outlined: established, with p adjusted by the largest of all heads and an interval that holds for all."
EVERY_LAYER = "L*.heads"
COLUMNS = {
    "layer": "layer of the head, from 0",
    "head": "its number in the layer",
    "ablation": "what a head that is taken away is set to: 0, its mean, the value in another context",
    "rank": "place of the head by effect on contexts that are not reported, from 1",
    "score": "attention of the head from a repeated token to what followed it before, on these contexts; "
    "observational, and not an effect",
    "remark": "constant here: the head's value does not differ between contexts, so that this ablation cannot show it",
    "k": "heads taken away together",
    "ranking": "what made them the first: the size of the effect on contexts that are not reported",
    "members": "the heads",
}
PATTERNS = {
    "ablation": f"{COLUMNS['ablation']}; {PATTERN}: its attention pattern, set to its mean, position by position",
}
UNMATCHED = {
    "unmatched_null_low": "2.5 % quantile of the same mean for random sets of heads of any layer",
    "unmatched_null_median": "median of these",
    "unmatched_null_high": "97.5 % quantile of these: without a match by layer a set hits a critical head by chance",
    "unmatched_null_percentile": "percentile of mean_delta among these, 0 to 100; not a p",
}


def run(experiment: HeadAblation, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Take heads away at every checkpoint; hand over ``heads`` and ``k_sweep``, and their figures.

    Raises:
        ConfigError: If the network has no heads.
        DataError: If no contexts are left to rank on or to report.
    """
    single: list[Part] = []
    sets: list[Part] = []
    for at in at_checkpoints(experiment, setup, recorder):
        for ablation in experiment.ablations:
            one, several, base = _Measuring(experiment, at, ablation).parts()
            single.append(one)
            sets += several
    beside = (UNMATCHED if experiment.unmatched else {}) | (PATTERNS if PATTERN in experiment.ablations else {})
    to, kind = Reported.of(at, COLUMNS | beside), at.kind
    frame = effects(to, single, name="heads", what="One row per checkpoint, ablation and head.", largest=True)
    title, panel = "Effect of taking a head away", "ablation" if len(experiment.ablations) > 1 else ""
    map_or_forest(recorder, "head_map", title, frame, kind, panel=panel, table="heads", made=MADE)
    if sets:
        swept = effects(to, sets, name="k_sweep", what="One row per checkpoint, ablation and K.")
        title, null = "The first K heads taken away together", "random sets, as many heads in each layer"
        first_together(to, swept, title, xlabel="heads taken away", null=null, **({"panel": panel} if panel else {}))
    score_and_effect(recorder, frame, "heads", kind, "ablation")
    return summed_up(to, frame, baseline_mean=base, ablations=list(experiment.ablations))


def _single(experiment: HeadAblation, at: At) -> tuple[Sequence[str], ClusterSums]:
    """Measure the effect of each head taken away alone, one ablation after the other; sets hold the same heads."""
    found = [_Measuring(experiment, at, ablation) for ablation in experiment.ablations]
    labels = [f"{name}, {one.ablation}" for one in found for name in one.names]
    return labels, joined([one.single().sums for one in found])


def _compared(experiment: HeadAblation, setup: NetworkSetup) -> int:
    """Look up the heads; return how many rows there are."""
    rows, executor = rows_of(experiment, setup), setup.executor()
    units = [_units(experiment, setup, executor, ablation) for ablation in experiment.ablations]
    for one in units:
        one.check_rows(setup.contexts, rows.reported, rows.fit)
    return sum(len(one.names) for one in units)


class _Measuring:
    """One ablation at one checkpoint."""

    def __init__(self, experiment: HeadAblation, at: At, ablation: str) -> None:
        self.experiment, self.at, self.ablation = experiment, at, ablation
        self.setup, self.recorder, self.rows = at.setup, at.recorder, at.rows
        self.units = _units(experiment, at.setup, at.executor, ablation).fit(at.executor, at.rows.fit)
        self.names = self.units.names

    def parts(self) -> tuple[Part, list[Part], float]:
        """Return the rows of single heads, those of sets, and the mean of the readout with all heads."""
        order = ranked(self.at, self.units)
        found = self.single()
        rank = ranks(order)
        constant = constant_units(self.units, self.at.executor, self.rows.reported)
        scored = scores_beside(self.at.executor, self.rows.reported, self._places(), self.recorder)
        labels = [
            {
                "level": name,
                "layer": layer,
                "head": head,
                "ablation": self.ablation,
                "rank": int(rank[index]),
                **({} if scored is None else {"score": float(scored[index])}),
                "remark": CONSTANT if constant[index] else "",
            }
            for index, (name, (layer, head)) in enumerate(zip(self.names, self._places(), strict=True))
        ]
        single = Part(self.at.epoch, labels, found.sums, found.means[1:])
        return single, self._sets(order), float(found.means[0])

    def single(self) -> Ablated:
        """Return the effect of each head taken away alone."""
        return self._ablated(singles(len(self.names)), 0)

    def _ablated(self, off: Bools, n_null: int) -> Ablated:
        return self.at.ask(ablate, self.units, off, stream=f"head_ablation {self.ablation}", n_null=n_null)

    def _sets(self, order: Ints) -> list[Part]:
        ks = [k for k in sorted(self.experiment.ks) if k < len(self.names)]
        if not ks:
            return []
        off = together([order[:k] for k in ks], len(self.names))
        made = self._ablated(off, self.setup.stats.n_null)
        beside = self._unmatched(off, made)
        labels = [
            {
                "level": f"first {k}",
                "dose": float(k),
                "k": k,
                "ranking": "effect",
                "ablation": self.ablation,
                "members": " ".join(self.names[index] for index in order[:k]),
                **unmatched,
            }
            for k, unmatched in zip(ks, beside, strict=True)
        ]
        return [Part.of(self.at, labels, made, made.means[1:])]

    def _unmatched(self, off: Bools, made: Ablated) -> list[dict[str, float]]:
        """Return where sets stand among random ones of any layer, where that is asked for."""
        n_null = self.setup.stats.n_null
        if not self.experiment.unmatched or not n_null or not isinstance(self.units, LayeredHeads):
            return [{} for _ in off]
        units = replace(self.units, matched=False)
        rng = self.setup.rng(f"head_ablation {self.ablation} unmatched")
        null = like_sets(self.at.reading(), units, off, n_null, rng)
        if null is None:
            return [{} for _ in off]
        columns = placed(made.sums.means, null.draws, scale=made.sums.scale)
        return [{f"unmatched_{name}": float(one[row]) for name, one in columns.items()} for row in range(len(off))]

    def _places(self) -> list[tuple[int, int]]:
        if isinstance(self.units, LayeredHeads):
            return [(self.units.layer(index), head) for index, head in self.units.heads]
        layer = layer_of(self.units.sites[0], self.at.executor.network) or 0
        return [(layer, int(name.rpartition(" ")[2])) for name in self.names]


def _units(experiment: HeadAblation, setup: NetworkSetup, executor: Executor, ablation: str) -> LayeredHeads | Channels:
    place = EVERY_LAYER if experiment.place == AUTO else experiment.place
    outputs = "mean" if ablation == PATTERN else ablation
    found = bind("factor", Heads(ablation=outputs), experiment, setup, executor, place=place)
    assert isinstance(found, LayeredHeads | Channels)
    return patterns_of(found, executor) if ablation == PATTERN else found


validate, effect_vector, promised = by_rows(_compared, _single)
