"""B10: which weapons are more common where a feature is high than where it is low."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.builds._high_group import check_fraction, high_group, low_group
from paribus.experiments.builds._itemsets import associated, associations
from paribus.experiments.builds._weapon_stats import weapon_labels
from paribus.experiments.builds._weapon_swaps import skipped
from paribus.experiments.builds.build_experiment import BuildExperiment, EffectVector, base_numbers
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.spec import field

if TYPE_CHECKING:
    import pandas as pd

    from paribus.experiments.base import Recorder
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.stats.intervals import Methods


@dataclass(frozen=True, kw_only=True)
class WeaponGroupAnalysis(BuildExperiment):
    """Compare the weapons of the contexts where the feature is high with those where it is low."""

    type: ClassVar[str] = "weapon_group_analysis"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "weapons enriched in the contexts where the feature is high against those where it is low"

    high_quantile: float = field(0.8, help="Contexts from this quantile of the activation on are high (a fraction).")
    low_quantile: float = field(0.5, help="Contexts up to this quantile are low (a fraction).")
    min_examples: int = field(10, low=1, help="Contexts a weapon needs in both groups together.")
    test: str = field(
        "permutation",
        choices=("permutation", "fisher"),
        help="Permutation of whole source builds, or Fisher's exact test on one random context of each.",
    )
    top_k_weapons: int = field(20, low=1, help="Weapons in the figure.")

    def check(self) -> None:
        """Check that the quantiles are fractions, the lower one below.

        Raises:
            ConfigError: If they are not.
        """
        from paribus.errors import ConfigError

        check_fraction("experiment.high_quantile", self.high_quantile)
        check_fraction("experiment.low_quantile", self.low_quantile)
        if self.low_quantile > self.high_quantile:
            raise ConfigError(
                f"experiment.low_quantile={self.low_quantile:g} must not lie above "
                f"experiment.high_quantile={self.high_quantile:g}"
            )

    def effect_vector(self, setup: BuildSetup) -> EffectVector:
        """Return the log odds ratio of every weapon with enough contexts in the unsliced corpus."""
        import numpy as np

        count = np.bincount(setup.corpus.contexts.weapon, minlength=setup.weapons.size)
        wanted = np.flatnonzero(count >= self.min_examples)
        rows, high = self.groups(setup)
        present = setup.contexts.weapon[rows, None] == wanted
        odds = associations(present, high[rows], setup.cluster[rows], setup.stats)["odds_ratio"].to_numpy()
        labels = weapon_labels(setup.weapons)
        return EffectVector(tuple(labels[i] for i in wanted), np.log(odds))

    def groups(self, setup: BuildSetup) -> tuple[Ints, Bools]:
        """Return the contexts in one of the two groups, and which of all contexts are high."""
        import numpy as np

        f = setup.observed.f
        high = high_group(f, self.high_quantile)
        return np.flatnonzero(high | low_group(f, self.low_quantile, high)), high

    def run(self, setup: BuildSetup, recorder: Recorder) -> Aggregates:
        """Compare, test, and name what is enriched and what is depleted."""
        import numpy as np

        setup.describe(recorder)
        if skipped(setup, recorder):
            return Aggregates(
                n_samples=len(setup.contexts), n_conditions=0, **base_numbers(setup), custom={"skipped": True}
            )
        rows, high = self.groups(setup)
        if not high.any():
            recorder.warn("the feature is constant over these contexts: none is higher than the others")
        frame = self.tested(setup, recorder, rows, high)
        recorder.table(
            Table(
                "weapon_enrichment",
                "One row per weapon: its odds among the contexts where the feature is high, over its odds where it is "
                "low. Weapons come with their builds, so these are correlations.",
                Evidence.OBSERVATIONAL,
                frame,
                _COLUMNS,
            )
        )
        self.draw(recorder, frame)
        found = associated(frame, 1 - setup.stats.confidence)
        more, less = found & (frame["odds_ratio"] > 1), found & (frame["odds_ratio"] < 1)
        if len(frame):
            recorder.metric("max_log_odds", float(np.log(frame["odds_ratio"]).abs().max()))
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
                "test": self.test,
            },
        )

    def tested(self, setup: BuildSetup, recorder: Recorder, rows: Ints, high: Bools) -> pd.DataFrame:
        """Return one row per weapon with enough contexts, the most surprising first."""
        import numpy as np
        import pandas as pd

        from paribus.stats.multiplicity import adjust

        weapon, cluster = setup.contexts.weapon[rows].astype(np.int64), setup.cluster[rows]
        count = np.bincount(weapon, minlength=setup.weapons.size)
        wanted = np.flatnonzero(count >= self.min_examples)
        if not len(wanted):
            recorder.warn(f"no weapon has {self.min_examples} contexts in both groups together (min_examples)")
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
            tested = ("p", "p_method", "p_adj")
            ends = [f"odds_{end}" for end in ("low", "high", "method", "adj_low", "adj_high")]
            return frame.assign(**{name: [] for name in ("lift", "odds_ratio", *ends, *tested)})
        present = weapon[:, None] == wanted
        table = associations(present, high[rows], cluster, setup.stats)
        table = table.drop(columns=["support", "n_present"]).rename(
            columns={"support_high": "share_high", "support_rest": "share_low", "n_high_present": "n_high"}
        )
        frame = pd.concat([frame, table], axis=1)
        frame["p"], frame["p_method"] = self.p_values(setup, recorder, present, high[rows], cluster)
        frame["p_adj"] = adjust(frame["p"].to_numpy(), setup.stats.adjust)
        order = np.lexsort((-np.abs(np.log(frame["odds_ratio"])), frame["p"].fillna(2.0)))
        return frame.iloc[order].reset_index(drop=True)

    def p_values(
        self, setup: BuildSetup, recorder: Recorder, present: Bools, high: Bools, cluster: Ints
    ) -> tuple[Floats, Methods]:
        """Return p and method of each weapon, with source builds as the units."""
        import numpy as np

        from paribus.stats.blocks import one_row_per_cluster
        from paribus.stats.max_statistic import enrichment
        from paribus.stats.permutation import EXACT, draws_for

        if not high.any() or high.all():
            return np.ones(present.shape[1]), np.full(present.shape[1], EXACT, dtype=object)
        rng = setup.rng("weapon_enrichment")
        if self.test == "fisher":
            kept = one_row_per_cluster(cluster, rng)
            return _fisher(present[kept], high[kept]), np.full(present.shape[1], EXACT, dtype=object)
        draws = draws_for(present.shape[1], setup.stats.n_permutations)
        found = enrichment(present, high, cluster, rng=rng, n_permutations=draws)
        if found.n_exchangeable < found.n / 4:
            recorder.warn("few source builds have another one of their size to change places with; try test=fisher")
        return found.p, found.method

    def draw(self, recorder: Recorder, frame: pd.DataFrame) -> None:
        """Declare the forest of odds ratios."""
        shown = frame.head(self.top_k_weapons).sort_values("odds_ratio", ascending=False, kind="stable")
        recorder.table(
            Table(
                "top_weapons",
                "The weapons that stand out most, for the figure; correlations.",
                Evidence.OBSERVATIONAL,
                shown.reset_index(drop=True),
                _COLUMNS,
            )
        )
        recorder.figure(
            Figure(
                "weapon_enrichment",
                "forest",
                ("top_weapons",),
                {"label": "weapon", "value": "odds_ratio", "low": "odds_low", "high": "odds_high"}
                | {"n": "n", "p": "p_adj"},
                "Weapons where the feature is high",
                "Odds ratio of each weapon, high against low contexts, with interval by source build. Observed: "
                "weapons come with their builds.",
                {"xlabel": "odds ratio (observed)", "logx": True, "reference": 1.0},
            )
        )


def _fisher(present: Bools, high: Bools) -> Floats:
    """Return the two-sided exact p of each column, rows being independent."""
    import numpy as np
    from scipy.stats import fisher_exact

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
    "lift": "share among the high contexts over the share among both groups, half counts added",
    "odds_ratio": "odds of the weapon among high contexts over its odds among low ones, half counts added",
    "odds_low": "lower end of its interval by source build",
    "odds_high": "upper end",
    "odds_method": "how it was made; none: why there is none",
    "odds_adj_low": "lower end of the interval that holds for all weapons of the table together; beside p_adj",
    "p_method": "exact, or monte_carlo",
    "p": "permutation of whole source builds, or Fisher's exact test on one context of each",
    "p_adj": "p adjusted over the rows of this table",
}
