"""Mines, tests and inserts sets of tokens that go with high activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from paribus.arrays import Bools
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import (
    EFFECT_COLUMNS,
    beyond_least,
    design_effects,
    firing_rates,
    row_means,
    standings_of,
    summed,
)
from paribus.experiments.builds._high_group import high_group
from paribus.experiments.builds._itemsets import (
    GearSet,
    associated,
    associations,
    gear_sets,
    insertion_design,
    presence_of,
)
from paribus.experiments.builds._standing import (
    ABSENT,
    BEYOND,
    NONZERO,
    STANDINGS,
    UNDECIDED,
    UNMEASURED,
    WITHIN,
    with_n,
)
from paribus.experiments.builds.frequent_itemsets.spec import FrequentItemsets
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import EffectVector
from paribus.experiments.headline import picked
from paribus.measure.design import Design
from paribus.methods.contrast import to_baseline
from paribus.results.columns import MADE
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.max_statistic import enrichment
from paribus.stats.permutation import EXACT
from paribus.subjects.builds.contexts import Contexts

VECTOR_SETS = 200


def vector_sets(experiment: FrequentItemsets, setup: BuildSetup) -> list[GearSet]:
    """Return the sets with the largest support in the unsliced corpus."""
    return _mined(experiment, setup, setup.corpus.contexts)[:VECTOR_SETS]


def frequent(experiment: FrequentItemsets, setup: BuildSetup) -> list[GearSet]:
    """Return the sets that enough of the contexts hold, by falling support.

    Raises:
        ConfigError: If there is none.
    """
    sets = _mined(experiment, setup, setup.contexts)
    if not sets:
        raise ConfigError(
            f"experiment.min_support={experiment.min_support:g}: no set is held by so many of "
            f"{len(setup.contexts)} contexts; lower it"
        )
    return sets


def _mined(experiment: FrequentItemsets, setup: BuildSetup, contexts: Contexts) -> list[GearSet]:
    return gear_sets(contexts.codes, setup.vocabulary, min_support=experiment.min_support, max_size=experiment.max_size)


def effect_vector(experiment: FrequentItemsets, setup: BuildSetup) -> EffectVector:
    """Return the log lift of the sets with the largest support in the unsliced corpus."""
    sets = vector_sets(experiment, setup)
    present = presence_of(sets, setup.edits, setup.contexts.states())
    high = high_group(setup.observed.f, experiment.high_quantile)
    lift = associations(present, high, setup.cluster, setup.stats)["lift"].to_numpy() if sets else np.zeros(0)
    return EffectVector(tuple(each.label for each in sets), np.log(lift))


def run(experiment: FrequentItemsets, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Mine, test, and with ``confirm`` insert."""
    setup.describe(recorder)
    sets = frequent(experiment, setup)
    if len(sets) > experiment.max_itemsets:
        recorder.warn(
            f"{len(sets)} closed sets reach min_support={experiment.min_support:g}; the {experiment.max_itemsets} of "
            "largest support are tested (max_itemsets)"
        )
        sets = sets[: experiment.max_itemsets]
    high = high_group(setup.observed.f, experiment.high_quantile)
    frame, order = tested(experiment, setup, recorder, sets, high)
    sets = [sets[i] for i in order]
    says = (
        f"One row per closed set of gear held by at least {experiment.min_support:.3g} of the contexts: how much "
        "more often it occurs in the contexts where the feature is high. Nothing was changed in the model."
    )
    recorder.table(Table("itemsets", says, Evidence.OBSERVATIONAL, frame, _COLUMNS))
    confirmed = confirm(experiment, setup, recorder, sets[: experiment.top], frame) if experiment.confirm else None
    draw(experiment, recorder, frame, confirmed)
    significant = associated(frame, 1 - setup.stats.confidence)
    inserted = pd.Series(dtype=float) if confirmed is None else confirmed["mean_delta"]
    picked(recorder, "top_lift", *(float(frame[name].iloc[0]) for name in ("lift", "lift_adj_low", "lift_adj_high")))
    return Aggregates(
        **summed(setup, inserted),
        n_conditions=len(frame),
        custom={
            "n_itemsets": len(frame),
            "n_significant": int(significant.sum()),
            "n_high": int(high.sum()),
            "top_itemset": str(frame["itemset"].iloc[0]),
            "top_lift": float(frame["lift"].iloc[0]),
            "top_p_adj": float(frame["p_adj"].iloc[0]),
            **_verdicts(confirmed, setup),
        },
    )


def tested(
    experiment: FrequentItemsets, setup: BuildSetup, recorder: Recorder, sets: Sequence[GearSet], high: Bools
) -> tuple[pd.DataFrame, list[int]]:
    """Return the table of all sets, the most surprising first, and the place of each row among ``sets``."""
    present = presence_of(sets, setup.edits, setup.contexts.states())
    frame = associations(present, high, setup.cluster, setup.stats)
    frame.insert(0, "itemset", [each.label for each in sets])
    frame.insert(1, "size", [len(each.levels) for each in sets])
    if high.any():
        found = enrichment(
            present,
            high,
            setup.cluster,
            rng=setup.rng("itemsets"),
            n_permutations=setup.stats.n_permutations,
            alternative=experiment.alternative,
            unit=experiment.unit,
        )
        frame["z"], frame["p"], frame["p_method"], frame["p_adj"] = found.z, found.p, found.method, found.p_adj
        if found.n_exchangeable < found.n / 4 and experiment.unit == "block":
            recorder.warn("few source builds have another one of their size to change places with; try unit=row")
    else:
        frame["z"], frame["p"], frame["p_method"], frame["p_adj"] = 0.0, 1.0, EXACT, 1.0
        recorder.warn("the feature is constant over these contexts: none is higher than the others")
    by = (np.arange(len(frame)), -frame["z"].abs().fillna(0.0), frame["p_adj"].fillna(2.0))
    order = np.lexsort(by)
    return frame.iloc[order].reset_index(drop=True), [int(i) for i in order]


def confirm(
    experiment: FrequentItemsets, setup: BuildSetup, recorder: Recorder, sets: Sequence[GearSet], observed: pd.DataFrame
) -> pd.DataFrame:
    """Insert each set into random contexts that lack it, and return (and record) the paired effects."""
    part = setup.sample(experiment.confirm_contexts, "confirm")
    design = Design(
        lambda states: insertion_design(part, sets, experiment.hold(part, states)),
        1 + len(sets),
        description="inserting",
    )
    names, weights = [each.label for each in sets], to_baseline(1 + len(sets))
    frame, _, f = design_effects(part, recorder, design, weights, "confirm_effects", labels=names)
    frame.insert(0, "itemset", names)
    frame.insert(1, "mean_activation", row_means(f[1:]))
    frame.insert(2, "firing_rate", firing_rates(f[1:]))
    frame["observational_lift"] = observed["lift"].to_numpy()[: len(sets)]
    frame["observational_p_adj"] = observed["p_adj"].to_numpy()[: len(sets)]
    frame["confirmed"] = beyond_least(setup, frame) & ((frame["mean_delta"] > 0) == (frame["observational_lift"] > 1))
    frame["standing"] = standings_of(part, frame)
    meanings = {
        **EFFECT_COLUMNS,
        "observational_lift": "lift of the set in the corpus, which may be confounded",
        "observational_p_adj": "family-wise p of that lift",
        "standing": f"what may be said of the effect: {STANDINGS}",
        "confirmed": "the effect has the sign of the lift, and its p_adj and simultaneous interval put it "
        "beyond min_effect sd",
    }
    says = f"One row per top set: it is inserted into {len(part.contexts)} random contexts, those that lack it count."
    recorder.table(Table("confirmed", says, Evidence.INTERVENTIONAL, frame, meanings))
    return frame


def draw(experiment: FrequentItemsets, recorder: Recorder, frame: pd.DataFrame, confirmed: pd.DataFrame | None) -> None:
    """Declare the figure of the top sets, beside it what inserting them does."""
    shown = frame.head(experiment.top).copy()
    values, ends, names = ["lift"], ["lift"], ["lift (log scale)"]
    caption = "Lift of the sets that stand out most, with interval; filled: family-wise p below the level. Observed."
    if confirmed is not None:
        shown["inserted_delta"] = confirmed["mean_delta"].to_numpy()
        for name in ("low", "high", "method"):
            shown[f"inserted_{name}"] = confirmed[f"ci_{name}"].to_numpy()
        values, ends = ["lift", "inserted_delta"], ["lift", "inserted"]
        names.append("effect of inserting it")
        caption += " Right: change of the activation when the set is inserted into contexts that lack it."
    meanings = _COLUMNS | {"inserted_delta": "interventional: mean paired effect of inserting the set"}
    says = "The sets that stand out most; inserted_* (with confirm) come from the intervention."
    recorder.table(Table("top_itemsets", says, Evidence.OBSERVATIONAL, shown, meanings))
    bounds = {end: [f"{stem}_{end}" for stem in ends] for end in ("low", "high")}
    drawn = Figure.of("forest", "top_itemsets", name="itemset_lift", label="itemset", value=values, p="p_adj", **bounds)
    axes = {"xlabel": names, "reference": [1.0, 0.0], "logx": [True, False], "labels": ["as observed", "inserted"]}
    looks = {"max_rows": experiment.top, "alpha": 0.05}
    recorder.figure(drawn.titled("Sets of gear where the feature is high", caption, **axes, **looks))


def _verdicts(confirmed: pd.DataFrame | None, setup: BuildSetup) -> dict[str, Any]:
    if confirmed is None:
        return {"confirmed": None}
    along = confirmed[confirmed["observational_p_adj"] <= 1 - setup.stats.confidence]
    rest = along[~along["confirmed"]]
    by_standing = rest.groupby("standing")["itemset"].apply(list)
    return {
        "n_confirmed": int(along["confirmed"].sum()),
        "only_correlated": by_standing.get(ABSENT, []),
        "moves_little": [*by_standing.get(WITHIN, []), *by_standing.get(NONZERO, [])],
        "against_the_correlation": by_standing.get(BEYOND, []),
        "undecided": with_n(rest[rest["standing"].isin([UNDECIDED, UNMEASURED])], "itemset"),
        "confirmed": along.loc[along["confirmed"], "itemset"].tolist(),
    }


_COLUMNS = {
    "itemset": "rungs that every context of the row reaches; a rung stands for the lower ones of its family",
    "size": "families in the set",
    "support": "share of all contexts that hold it",
    "support_high": "share of the high contexts that hold it",
    "support_rest": "share of all others, zeros included, that hold it",
    "lift": "share among the high contexts over the share among all, half counts added; direction as counted",
    "lift_low": "lower end of its interval by source build",
    "lift_high": "upper end",
    "lift_method": MADE,
    "lift_adj_low": "lower end of the interval that holds for all sets of the table together (Bonferroni)",
    "odds_ratio": "odds among high contexts over odds among the others, half counts added; direction as counted",
    "odds_adj_low": "lower end of the interval that holds for all sets of the table together; beside p_adj",
    "z": "hypergeometric z of the number of high contexts that hold it",
    "p": "permutation p of whole source builds (unit=row: of one random context of each), for this set alone",
    "p_adj": "family-wise p over all sets of the table (Westfall and Young's step-down maximum)",
}
