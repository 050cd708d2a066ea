"""B15: whether another experiment would report the same effects where nothing is to be found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.arrays import Floats, Ints
from paribus.experiments.validation._validated import Validation, lean, n_exchangeable, shuffled
from paribus.results.schema import Aggregates, Figure, Table
from paribus.spec import field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paribus.experiments.base import Recorder
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.experiments.validation._shuffles import Judged


FEW_BUILDS = 12


@dataclass(frozen=True, kw_only=True)
class ShuffleNull(Validation):
    """Compute the target's effects again and again where they can only be chance, and see where its own stand."""

    type: ClassVar[str] = "shuffle_null"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "another experiment's effects against the same under shuffled activations or sign flips"

    n_shuffles: int = field(499, low=39, high=100000, help="Null draws: sign patterns, or shuffles of activations.")
    statistic: str = field(
        "rms", choices=("rms", "max_abs"), help="What sums the effects up: root mean square, or the largest one."
    )

    def run(self, setup: BuildSetup, recorder: Recorder) -> Aggregates:
        """Draw the null, judge every entry and the whole vector."""
        import numpy as np

        from paribus.errors import ConfigError
        from paribus.experiments.validation._shuffles import flipped_means, gathered, judged
        from paribus.stats.nulls import null_percentile
        from paribus.stats.permutation import MONTE_CARLO

        n_clusters = len(np.unique(setup.cluster))
        if n_clusters < FEW_BUILDS:
            raise ConfigError(f"shuffle_null: {n_clusters} source builds are too few; at least {FEW_BUILDS} are needed")
        setup.describe(recorder)
        vector, kept = self.usable_vector(setup)
        if vector.differences is not None:
            how = "signs of whole source builds flipped"
            null = flipped_means(vector.differences[kept], setup.cluster, self.n_shuffles, setup.rng("shuffle_null"))
        else:
            how = "activations shuffled among source builds"
            null = gathered(self.shuffled_vectors(setup, recorder, kept))
        found = judged(vector.values[kept], null, centred=vector.differences is not None)
        self.tables(setup, recorder, [vector.labels[i] for i in kept], found, how)
        level = 1 - setup.stats.confidence
        place = ("rms", "max_abs").index(self.statistic)
        beyond = np.flatnonzero(found.p_adj <= level)
        recorder.metric("shuffle_null_p", found.p_of[self.statistic])
        return Aggregates(
            mean_delta=float(found.values.mean()),
            std_delta=float(found.values.std(ddof=1)),
            n_samples=len(setup.contexts),
            n_conditions=len(kept),
            custom={
                "target": self.target.type,
                "null": how,
                "statistic": self.statistic,
                "observed": found.observed[self.statistic],
                "null_percentile": float(null_percentile(found.observed[self.statistic], found.drawn[:, place])),
                "p": found.p_of[self.statistic],
                "p_method": MONTE_CARLO,
                "passed": bool(found.p_of[self.statistic] <= level),
                "n_entries": len(kept),
                "n_left_out": len(vector.values) - len(kept),
                "entries_beyond_null": [vector.labels[kept[i]] for i in beyond][:20],
                "n_beyond_null": len(beyond),
            },
        )

    def shuffled_vectors(self, setup: BuildSetup, recorder: Recorder, kept: Ints) -> Iterator[Floats]:
        """Yield the target's vector under each shuffle."""
        if n_exchangeable(setup) < FEW_BUILDS:
            recorder.warn("hardly any source builds have the same number of contexts, so that shuffling changes little")
        base = lean(setup)
        base.corpus_measured  # noqa: B018 - measured once, before the copies are made
        draws = shuffled(base, self.n_shuffles, "shuffle_null")
        for each in recorder.progress(draws, total=self.n_shuffles, description="shuffles"):
            values: Floats = self.target.effect_vector(each).values
            yield values[kept]

    def tables(self, setup: BuildSetup, recorder: Recorder, labels: list[str], found: Judged, how: str) -> None:
        """Hand the tables and the figure over."""
        import numpy as np
        import pandas as pd

        from paribus.experiments.validation._shuffles import STATISTICS
        from paribus.stats.multiplicity import adjust
        from paribus.stats.nulls import null_percentile, null_quantiles
        from paribus.stats.permutation import MONTE_CARLO

        def placed(values: Floats, null: Floats) -> dict[str, Floats]:
            low, median, high = null_quantiles(null)
            percentile = null_percentile(values, null)
            return {"null_low": low, "null_median": median, "null_high": high, "null_percentile": percentile}

        p = np.array([found.p_of[name] for name in STATISTICS])
        observed = np.array([found.observed[name] for name in STATISTICS])
        summary = pd.DataFrame({"statistic": STATISTICS, "observed": observed, **placed(observed, found.drawn.T)})
        summary["p"], summary["p_method"], summary["p_adj"] = p, MONTE_CARLO, adjust(p, setup.stats.adjust)
        entries = pd.DataFrame({"entry": labels, "effect": found.values, **placed(found.values, found.null.T)})
        entries["p"], entries["p_method"], entries["p_adj"] = found.p, MONTE_CARLO, found.p_adj
        draws = pd.DataFrame(found.drawn, columns=list(STATISTICS))
        draws.insert(0, "draw", np.arange(len(draws)))
        null = {
            "null_low": f"2.5 % quantile with {how}",
            "null_median": f"median with {how}",
            "null_high": f"97.5 % quantile with {how}",
            "null_percentile": f"place among the draws with {how}, 0 to 100; not a p",
        }
        statistics = {
            "observed": "root mean square, or largest size, of the entries, each in units of its own spread",
            "p": "share of draws (the data among them) at least as large",
            "p_adj": "p adjusted over the rows of this table",
        }
        adjusted = {
            "p": "share of draws (the data among them) at least as far out, two-sided",
            "p_adj": "the same against the largest entry of every draw: family-wise over the table",
        }
        recorder.table(
            Table("statistics", "One row per statistic of the whole vector.", self.evidence, summary, null | statistics)
        )
        recorder.table(
            Table("entries", "One row per entry of the effect vector.", self.evidence, entries, null | adjusted)
        )
        recorder.table(Table("null_draws", f"One row per null draw: {how}.", self.evidence, draws))
        recorder.figure(
            Figure(
                "shuffle_null",
                "validation_histogram",
                ("null_draws",),
                {"value": self.statistic},
                f"Could {self.target.type} find this by chance?",
                f"The {self.statistic} of the effects (each in units of its own spread) with {how}, and as observed.",
                {
                    "observed": found.observed[self.statistic],
                    "p": found.p_of[self.statistic],
                    "xlabel": f"{self.statistic} of the effects",
                },
            )
        )
