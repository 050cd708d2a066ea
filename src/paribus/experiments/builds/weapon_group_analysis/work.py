"""Compares the weapons of contexts of high and of low activation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import base_numbers
from paribus.experiments.builds._high_group import high_group, low_group
from paribus.experiments.builds._itemsets import associated, associations
from paribus.experiments.builds._weapon_stats import weapon_labels
from paribus.experiments.builds._weapon_swaps import skipped
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.builds.weapon_group_analysis.spec import WeaponGroupAnalysis
from paribus.experiments.effect_vector import EffectVector
from paribus.experiments.headline import largest_size
from paribus.results.columns import MADE
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table, ends
from paribus.stats.blocks import one_row_per_cluster
from paribus.stats.intervals import Methods
from paribus.stats.max_statistic import enrichment
from paribus.stats.multiplicity import adjust
from paribus.stats.permutation import EXACT, draws_for


def listed(experiment: WeaponGroupAnalysis, setup: BuildSetup) -> Ints:
    """Return the weapons with enough contexts in the unsliced corpus."""
    count = np.bincount(setup.corpus.contexts.weapon, minlength=setup.weapons.size)
    return np.flatnonzero(count >= experiment.min_examples)


def effect_vector(experiment: WeaponGroupAnalysis, setup: BuildSetup) -> EffectVector:
    """Return the log odds ratio of every weapon with enough contexts in the unsliced corpus."""
    wanted = listed(experiment, setup)
    rows, high = groups(experiment, setup)
    present = setup.contexts.weapon[rows, None] == wanted
    odds = associations(present, high[rows], setup.cluster[rows], setup.stats)["odds_ratio"].to_numpy()
    labels = weapon_labels(setup.weapons)
    return EffectVector(tuple(labels[i] for i in wanted), np.log(odds))


def groups(experiment: WeaponGroupAnalysis, setup: BuildSetup) -> tuple[Ints, Bools]:
    """Return the contexts in one of the two groups, and which of all contexts are high."""
    f = setup.observed.f
    high = high_group(f, experiment.high_quantile)
    return np.flatnonzero(high | low_group(f, experiment.low_quantile, high)), high


def run(experiment: WeaponGroupAnalysis, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Compare, test, and name what is enriched and what is depleted."""
    setup.describe(recorder)
    if (nothing := skipped(setup, recorder)) is not None:
        return nothing
    rows, high = groups(experiment, setup)
    if not high.any():
        recorder.warn("the feature is constant over these contexts: none is higher than the others")
    frame = tested_groups(experiment, setup, recorder, rows, high)
    says = (
        "One row per weapon: its odds among the contexts where the feature is high, over its odds where it is "
        "low. Weapons come with their builds, so these are correlations."
    )
    recorder.table(Table("weapon_enrichment", says, Evidence.OBSERVATIONAL, frame, _COLUMNS))
    draw(experiment, recorder, frame)
    found = associated(frame, 1 - setup.stats.confidence)
    more, less = found & (frame["odds_ratio"] > 1), found & (frame["odds_ratio"] < 1)
    odds = {"log_odds": "odds_ratio", "ci_adj_low": "odds_adj_low", "ci_adj_high": "odds_adj_high"}
    logs = frame.assign(**{name: np.log(frame[of].astype(float)) for name, of in odds.items()})
    largest_size(recorder, "max_log_odds", logs, "log_odds")
    return Aggregates(
        n_samples=len(rows),
        n_conditions=len(frame),
        **base_numbers(setup),
        custom={
            "skipped": False,
            "n_high": int(high.sum()),
            "n_low": int(len(rows) - high.sum()),
            **_top(frame),
            "enriched": [str(name) for name in frame.loc[more, "weapon"]],
            "depleted": [str(name) for name in frame.loc[less, "weapon"]],
            "n_enriched": int(more.sum()),
            "n_depleted": int(less.sum()),
            "test": experiment.test,
        },
    )


def tested_groups(
    experiment: WeaponGroupAnalysis, setup: BuildSetup, recorder: Recorder, rows: Ints, high: Bools
) -> pd.DataFrame:
    """Return one row per weapon with enough contexts, the most surprising first."""
    weapon, cluster = setup.contexts.weapon[rows].astype(np.int64), setup.cluster[rows]
    count = np.bincount(weapon, minlength=setup.weapons.size)
    wanted = np.flatnonzero(count >= experiment.min_examples)
    labels, kits = weapon_labels(setup.weapons), setup.weapons.weapons
    frame = pd.DataFrame(
        {
            "weapon": [labels[i] for i in wanted],
            "kind": [kits[i].kind for i in wanted],
            "sub": [kits[i].sub for i in wanted],
            "special": [kits[i].special for i in wanted],
            "n": count[wanted],
        }
    )
    if not len(wanted):
        recorder.warn(f"no weapon has {experiment.min_examples} contexts in both groups together (min_examples)")
        tested = ("p", "p_method", "p_adj")
        ends = [f"odds_{end}" for end in ("low", "high", "method", "adj_low", "adj_high")]
        return frame.assign(**{name: [] for name in ("lift", "odds_ratio", *ends, *tested)})
    present = weapon[:, None] == wanted
    table = associations(present, high[rows], cluster, setup.stats)
    table = table.drop(columns=["support", "n_present"]).rename(
        columns={"support_high": "share_high", "support_rest": "share_low", "n_high_present": "n_high"}
    )
    frame = pd.concat([frame, table], axis=1)
    frame["p"], frame["p_method"] = p_values(experiment, setup, recorder, present, high[rows], cluster)
    frame["p_adj"] = adjust(frame["p"].to_numpy(), setup.stats.adjust)
    order = np.lexsort((-np.abs(np.log(frame["odds_ratio"])), frame["p"].fillna(2.0)))
    return frame.iloc[order].reset_index(drop=True)


def p_values(
    experiment: WeaponGroupAnalysis, setup: BuildSetup, recorder: Recorder, present: Bools, high: Bools, cluster: Ints
) -> tuple[Floats, Methods]:
    """Return p and method of each weapon, with source builds as the units."""
    if not high.any():
        return np.ones(present.shape[1]), np.full(present.shape[1], EXACT, dtype=object)
    rng = setup.rng("weapon_enrichment")
    if experiment.test == "fisher":
        kept = one_row_per_cluster(cluster, rng)
        return _fisher(present[kept], high[kept]), np.full(present.shape[1], EXACT, dtype=object)
    draws = draws_for(present.shape[1], setup.stats.n_permutations)
    found = enrichment(present, high, cluster, rng=rng, n_permutations=draws)
    if found.n_exchangeable < found.n / 4:
        recorder.warn("few source builds have another one of their size to change places with; try test=fisher")
    return found.p, found.method


def draw(experiment: WeaponGroupAnalysis, recorder: Recorder, frame: pd.DataFrame) -> None:
    """Declare the forest of odds ratios."""
    shown = frame.head(experiment.top_k_weapons).sort_values("odds_ratio", ascending=False, kind="stable")
    says = "The weapons that stand out most, for the figure; correlations."
    recorder.table(Table("top_weapons", says, Evidence.OBSERVATIONAL, shown.reset_index(drop=True), _COLUMNS))
    roles = {"label": "weapon", "value": "odds_ratio", "n": "n", "p": "p_adj", **ends("odds")}
    drawn = Figure.of("forest", "top_weapons", name="weapon_enrichment", **roles)
    says = (
        "Odds ratio of each weapon, high against low contexts, with interval by source build. Observed: "
        "weapons come with their builds."
    )
    looks = {"xlabel": "odds ratio (observed)", "logx": True, "reference": 1.0}
    recorder.figure(drawn.titled("Weapons where the feature is high", says, **looks))


def _fisher(present: Bools, high: Bools) -> Floats:
    """Return the two-sided exact p of each column, rows being independent."""
    a, b = present[high].sum(0), (~present[high]).sum(0)
    c, d = present[~high].sum(0), (~present[~high]).sum(0)
    tables = np.stack([np.stack([a, b], -1), np.stack([c, d], -1)], axis=1)
    return np.array([fisher_exact(each).pvalue for each in tables])


def _top(frame: pd.DataFrame) -> dict[str, Any]:
    if frame.empty:
        return {"top_weapon": None, "top_odds_ratio": None, "top_p_adj": None}
    first = frame.iloc[0]
    return {
        "top_weapon": str(first["weapon"]),
        "top_odds_ratio": float(first["odds_ratio"]),
        "top_p_adj": float(first["p_adj"]),
    }


_COLUMNS = {
    "n": "contexts of both groups that hold the weapon",
    "n_high": "those of them that are high",
    "share_high": "share of the high contexts that hold the weapon",
    "share_low": "share of the low contexts that hold it",
    "lift": "share among the high contexts over the share among both groups, half counts added; direction as counted",
    "odds_ratio": "its odds among high contexts over those among low ones, half counts added; direction as counted",
    "odds_low": "lower end of its interval by source build",
    "odds_high": "upper end",
    "odds_method": MADE,
    "odds_adj_low": "lower end of the interval that holds for all weapons of the table together; beside p_adj",
    "p_method": "exact, or monte_carlo",
    "p": "permutation of whole source builds, or Fisher's exact test on one context of each",
    "p_adj": "p adjusted over the rows of this table",
}
