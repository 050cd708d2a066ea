"""B15: whether two halves of the data agree on the effects another experiment reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.validation._validated import Validation, lean, n_exchangeable, shuffled
from paribus.results.schema import Aggregates, Figure, Table
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.base import Recorder
    from paribus.experiments.builds.build_experiment import EffectVector
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.experiments.validation._agreement import Agreement


FEW_BUILDS = 12


@dataclass(frozen=True, kw_only=True)
class SplitHalf(Validation):
    """Split the source builds in two many times, run the target on each half, and correlate its effects."""

    type: ClassVar[str] = "split_half"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "do two halves of the source builds agree on another experiment's effects?"

    n_splits: int = field(100, low=10, high=10000, help="Random splits of the source builds in two halves.")
    n_shuffles: int = field(199, low=39, high=100000, help="Null draws: sign patterns, or shuffles of activations.")
    shuffle_splits: int = field(
        3, low=1, help="Splits that the tested mean is taken over where each has to be computed anew (observational)."
    )

    def run(self, setup: BuildSetup, recorder: Recorder) -> Aggregates:
        """Compare the halves, then the halves of data in which nothing is left to find."""
        import numpy as np

        from paribus.errors import ConfigError
        from paribus.experiments.validation._agreement import split_clusters
        from paribus.stats.permutation import MONTE_CARLO

        n_clusters = len(np.unique(setup.cluster))
        if n_clusters < FEW_BUILDS:
            raise ConfigError(f"split_half: {n_clusters} source builds are too few to split; at least {FEW_BUILDS}")
        setup.describe(recorder)
        vector, kept = self.usable_vector(setup)
        first = split_clusters(setup.cluster, self.n_splits, setup.rng("split_half"))
        if vector.differences is not None:
            found = self.flipped(setup, vector.differences[kept], first)
        else:
            found = self.recomputed(setup, recorder, kept, first)
        self.tables(setup, recorder, vector, kept, found)
        level = 1 - setup.stats.confidence
        defined = np.isfinite(found.mean_r)
        if not defined:
            recorder.warn("the effects are all equal, so halves cannot be correlated; nothing is validated")
        recorder.metric("split_half_r", found.mean_r)
        return Aggregates(
            n_samples=len(setup.contexts),
            n_conditions=len(kept),
            custom={
                "target": self.target.type,
                "null": self.null_name(vector),
                "mean_r": found.mean_r,
                "spearman_brown": found.reliability,
                "tested_r": found.statistic,
                "null_mean_r": float(np.nanmean(found.null)) if np.isfinite(found.null).any() else float("nan"),
                "null_percentile": _percentile(found),
                "p": found.p,
                "p_method": MONTE_CARLO,
                "alternative": "greater",
                "passed": bool(defined and found.p <= level and found.mean_r > 0),
                "n_entries": len(kept),
                "n_left_out": len(vector.values) - len(kept),
            },
        )

    def flipped(self, setup: BuildSetup, differences: Floats, first: Bools) -> Agreement:
        """Compare halves of paired differences, tested under random signs of whole source builds."""
        from paribus.experiments.validation._agreement import interventional

        return interventional(differences, setup.cluster, first, self.n_shuffles, setup.rng("split_half_null"))

    def recomputed(self, setup: BuildSetup, recorder: Recorder, kept: Ints, first: Bools) -> Agreement:
        """Run the target on every half, tested under activations shuffled among source builds."""
        from paribus.experiments.validation._agreement import observational

        if n_exchangeable(setup) < FEW_BUILDS:
            recorder.warn("hardly any source builds have the same number of contexts, so that shuffling changes little")
        base = lean(setup)
        base.corpus_measured  # noqa: B018 - measured once, before the copies are made
        draws = shuffled(base, self.n_shuffles, "split_half_null")
        current: dict[int, BuildSetup] = {}

        def vector(shuffle: int | None, rows: Ints) -> Floats:
            source = base
            if shuffle is not None:
                if shuffle not in current:
                    current.clear()
                    current[shuffle] = next(draws)
                source = current[shuffle]
            values: Floats = self.target.effect_vector(source.restrict(rows)).values
            return values[kept]

        return observational(vector, first, self.n_shuffles, min(self.shuffle_splits, self.n_splits))

    def null_name(self, vector: EffectVector) -> str:
        """Return what the null is, in words."""
        observed = "activations shuffled among source builds"
        return observed if vector.differences is None else "signs of whole source builds flipped"

    def tables(self, setup: BuildSetup, recorder: Recorder, vector: EffectVector, kept: Ints, found: Agreement) -> None:
        """Hand the tables and the figure over."""
        import numpy as np
        import pandas as pd

        evidence = self.evidence
        recorder.table(
            Table(
                "split_correlations",
                "One row per split of the source builds, and one per null draw (a mean over splits).",
                evidence,
                pd.DataFrame(
                    {
                        "kind": ["observed"] * len(found.r) + ["null"] * len(found.null),
                        "number": [*range(len(found.r)), *range(len(found.null))],
                        "r": np.concatenate([found.r, found.null]),
                    }
                ),
                {"r": "correlation of the two halves' effects; for null draws its mean over the tested splits"},
            )
        )
        recorder.table(
            Table(
                "entries",
                "One row per entry of the effect vector, from all of the data.",
                evidence,
                pd.DataFrame(
                    {
                        "entry": vector.labels,
                        "effect": vector.values,
                        "used": np.isin(np.arange(len(vector.values)), kept),
                    }
                ),
                {"used": "whether it stands on enough contexts (30) to be correlated"},
            )
        )
        recorder.figure(
            Figure(
                "split_half",
                "validation_histogram",
                ("split_correlations",),
                {"value": "r", "group": "kind"},
                f"Do halves of the data agree on {self.target.type}?",
                "Correlation of the effects of two halves for every split; grey: its mean over splits with "
                f"{self.null_name(vector)}.",
                {"observed": found.statistic, "p": found.p, "null_group": "null", "xlabel": "correlation of halves"},
            )
        )


def _percentile(found: Agreement) -> float:
    from paribus.stats.nulls import null_percentile

    return float(null_percentile(found.statistic, found.null))
