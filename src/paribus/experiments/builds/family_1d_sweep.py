"""B1: the response of a feature to the rungs of one family, with everything else held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.experiments.builds._confounding import observed_by_rung
from paribus.experiments.builds._placebo import placebo_table
from paribus.experiments.builds._sweep import SweepPlan, Swept, add_up, supported
from paribus.experiments.builds.build_experiment import (
    EFFECT_COLUMNS,
    LEAST_TESTED,
    BuildExperiment,
    EffectVector,
    base_numbers,
    beyond_least,
    effect_rows,
    row_means,
)
from paribus.experiments.headline import largest as largest_effect
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Curve, Figure, Table
from paribus.spec import field

if TYPE_CHECKING:
    import pandas as pd

    from paribus.experiments.base import Recorder
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.measure.stream import Stream
    from paribus.subjects.builds.states import States


@dataclass(frozen=True, kw_only=True)
class Family1dSweep(BuildExperiment):
    """Set one family to absent and to each rung in every context, and measure the feature."""

    type: ClassVar[str] = "family_1d_sweep"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "dose-response: set one family to each rung in every context"

    family: str = field(help="The family to sweep, by name or abbreviation.")
    rungs: list[int] | None = field(None, low=0, help="Rungs in AP; null: all of the vocabulary's.")
    include_absent: bool = field(True, help="Whether the baseline is the absent family (else the lowest rung).")
    support: str = field(
        "prefix", choices=("prefix", "per_rung", "common"), help="Which contexts a rung is measured on."
    )
    placebo_contexts: int = field(200, low=0, help="Contexts for the placebo (other families, same rung); 0: none.")

    def levels(self, setup: BuildSetup) -> list[int | None]:
        """Return the levels in order, the baseline first.

        Raises:
            ConfigError: If the vocabulary lacks the family or a rung.
        """
        from paribus.errors import ConfigError

        family = setup.vocabulary.family(self.family)
        known = setup.edits.levels(family)
        wanted = sorted(set(known if self.rungs is None else self.rungs))
        for rung in wanted:
            setup.vocabulary.rung_index(family, rung)
        levels: list[int | None] = [*([None] if self.include_absent else []), *wanted]
        if len(levels) < 2:
            raise ConfigError(f"experiment.rungs={self.rungs}: a sweep needs at least two levels, absent included")
        return levels

    def validate(self, setup: BuildSetup) -> None:
        """Look up the family and its rungs before anything is run.

        Raises:
            ConfigError: If the vocabulary lacks one of them.
        """
        self.levels(setup)

    def prepare(self, setup: BuildSetup, recorder: Recorder | None) -> tuple[Stream, SweepPlan]:
        """Return what measures all levels, and the contexts that each is compared on.

        Raises:
            ConfigError: If no context can wear any of the rungs.
        """
        import numpy as np

        from paribus.measure.design import Design
        from paribus.measure.nulls import Contrasts

        levels = self.levels(setup)

        def edited(states: States) -> States:
            return setup.edits.sweep(self.hold(setup, states), self.family, levels)

        design = Design(edited, len(levels), description=self.family)
        feasible = setup.feasible(design, recorder)
        rungs = [level for level in levels if level is not None]
        setup.require(feasible[-len(rungs) :], f"{self.family} at any of the rungs {rungs}")
        support, kind = supported(feasible, self.support)
        weights = np.eye(len(levels))[1:]
        weights[:, 0] = -1.0
        contrasts = Contrasts(weights, support[1:]) if recorder is not None else None
        stream = setup.stream(design, recorder, contrasts=contrasts, ok=feasible)
        return stream, SweepPlan(levels, support, kind, feasible.sum(1))

    def effect_vector(self, setup: BuildSetup) -> EffectVector:
        """Return the mean effect of each rung."""
        import numpy as np

        stream, plan = self.prepare(setup, None)
        every = np.arange(len(setup.contexts))
        differences = plan.differences(stream.collected(len(every)).values[0], every)
        return EffectVector(tuple(map(_label, plan.levels[1:])), row_means(differences), differences)

    def run(self, setup: BuildSetup, recorder: Recorder) -> Aggregates:
        """Sweep, then tell the shape of the curve, the observational counterpart and the placebo."""
        import numpy as np

        setup.describe(recorder)
        stream, plan = self.prepare(setup, recorder)
        swept = add_up(setup, plan, stream)
        frame = self.rung_deltas(setup, recorder, swept)
        observed = observed_by_rung(setup, self.family, plan.levels)
        frame = frame.merge(observed[["rung", "observational_delta"]], on="rung", how="left")
        frame["confounding_gap"] = frame["observational_delta"] - frame["mean_delta"]
        recorder.table(
            Table(
                "rung_deltas",
                f"One row per level of {self.family}: the feature with the family set to it, against the baseline.",
                Evidence.INTERVENTIONAL,
                frame,
                _COLUMNS,
            )
        )
        recorder.table(
            Table(
                "observed_by_rung",
                f"The same corpus grouped by the highest {self.family} token each context happens to show.",
                Evidence.OBSERVATIONAL,
                observed,
            )
        )
        placebo = placebo_table(setup, self, self.family, plan.levels, self.placebo_contexts)
        if placebo is not None:
            recorder.table(placebo)
        shape = self.shape(setup, swept, frame)
        self.draw(setup, recorder, frame, shape)
        effects = frame["mean_delta"].to_numpy()[1:]
        largest = int(np.nanargmax(np.abs(effects))) if np.isfinite(effects).any() else 0
        largest_effect(recorder, "max_effect", frame.iloc[1 + largest])
        return Aggregates(
            mean_delta=float(np.nanmean(effects)),
            std_delta=float(np.nanstd(effects, ddof=1)) if np.isfinite(effects).sum() > 1 else 0.0,
            n_samples=len(setup.contexts),
            n_conditions=len(plan.levels),
            **base_numbers(setup),
            custom={
                "family": self.family,
                "max_rung_delta": float(effects[largest]),
                "max_rung": plan.levels[1:][largest],
                "largest_confounding_gap": float(np.nanmax(np.abs(frame["confounding_gap"]), initial=0.0)),
                **shape,
            },
        )

    def rung_deltas(self, setup: BuildSetup, recorder: Recorder, swept: Swept) -> pd.DataFrame:
        """Return the main table: the baseline first, then one tested row per rung."""
        import numpy as np
        import pandas as pd

        from paribus.stats.intervals import EXACT_ZERO, REFERENCE

        plan = swept.plan
        labels = [_label(level) for level in plan.levels]
        table = effect_rows(
            setup,
            recorder,
            swept.delta,
            "rung_deltas",
            differences_z=swept.delta_z,
            null=swept.null,
            labels=labels[1:],
        )
        first: dict[str, Any] = dict.fromkeys(table.columns, np.nan)
        zero = ("mean_delta", "ci_low", "ci_high", "ci_adj_low", "ci_adj_high", "mean_delta_z")
        first |= dict.fromkeys(zero, 0.0)
        first |= {"skewed": False, "ci_method": EXACT_ZERO, "p_method": REFERENCE, "n": int(plan.support[0].sum())}
        first["n_clusters"] = len(np.unique(setup.cluster[plan.support[0]]))
        frame = pd.concat([pd.DataFrame([first]), table], ignore_index=True)
        frame.insert(0, "rung", [level or 0 for level in plan.levels])
        frame.insert(1, "label", labels)
        frame.insert(2, "support", plan.kind)
        frame.insert(3, "mean_activation", swept.mean)
        frame.insert(4, "firing_rate", swept.firing_rate)
        frame["untested"] = plan.untested(LEAST_TESTED)
        told = [f"{label}: {why}" for label, why in zip(labels, frame["untested"], strict=True) if why]
        if told:
            recorder.warn(f"not tested in {self.family}: {'; '.join(told)}")
        return frame

    def shape(self, setup: BuildSetup, swept: Swept, frame: pd.DataFrame) -> dict[str, Any]:
        """Return threshold rung, trend, monotone and logistic fit, from the rungs measured on the common contexts."""
        import dataclasses

        import numpy as np

        from paribus.stats.dose_response import isotonic_fit, logistic_fit

        doses = frame["rung"].to_numpy(dtype=float)
        means, n = frame["mean_activation"].to_numpy(), frame["n"].to_numpy(dtype=float)
        use = swept.plan.ordered()
        beyond = np.flatnonzero(beyond_least(setup, frame))
        found = swept.ranks.trend(rng=setup.rng("trend"), n_permutations=setup.stats.n_permutations)
        fit = logistic_fit(doses[use], means[use], n[use])
        return {
            "threshold_rung": None if not len(beyond) else int(doses[beyond[0]]),
            "trend_rho": found.rho,
            "trend_p": found.p,
            "trend_method": found.method,
            "isotonic_r2": isotonic_fit(doses[use], means[use], n[use]).r2,
            "logistic_fit": None if fit is None else dataclasses.asdict(fit),
            **self.slope(setup, swept),
            "sd": setup.sd,
        }

    def slope(self, setup: BuildSetup, swept: Swept) -> dict[str, Any]:
        """Return the mean slope per AP with its interval, over the rungs that form one curve.

        Each context has a least-squares slope of its own; the interval is that of their mean by source build. It tells
        a dose-response in one number also where no S-shaped curve fits.
        """
        from paribus.stats.effects import effect_table

        ends = ("", "_low", "_high", "_method", "_p", "_p_method")
        names = [f"slope_per_ap{end}" for end in ends]
        if swept.slope is None or swept.slope.n[0] < LEAST_TESTED:
            return {**dict.fromkeys(names), "slope_up_to": None}
        row = effect_table(swept.slope, setup.cluster, spec=setup.stats, rng=setup.rng("slope")).iloc[0]
        values = [row[name] for name in ("mean_delta", "ci_low", "ci_high", "ci_method", "p", "p_method")]
        ordered = swept.plan.ordered()
        reach = max(level or 0 for level, of_curve in zip(swept.plan.levels, ordered, strict=True) if of_curve)
        return {
            **{name: each if isinstance(each, str) else float(each) for name, each in zip(names, values, strict=True)},
            "slope_up_to": reach,
        }

    def draw(self, setup: BuildSetup, recorder: Recorder, frame: pd.DataFrame, shape: dict[str, Any]) -> None:
        """Declare the dose-response figure and the curve."""
        rungs = [int(r) for r in frame["rung"]]
        known = frame["mean_activation"].notna()
        recorder.curve(
            Curve(
                f"activation_{setup.vocabulary.family(self.family).name}",
                tuple(float(r) for r, k in zip(rungs, known, strict=True) if k),
                tuple(float(v) for v in frame.loc[known, "mean_activation"]),
                "ap",
            )
        )
        has_null = bool(frame["null_low"].notna().any())
        nulls = {"null": "null_median", "null_low": "null_low", "null_high": "null_high"} if has_null else {}
        threshold = {} if shape["threshold_rung"] is None else {"threshold": shape["threshold_rung"]}
        recorder.figure(
            Figure(
                "dose_response",
                "dose_response",
                ("rung_deltas",),
                {"x": "rung", "y": "mean_delta", "low": "ci_low", "high": "ci_high"}
                | {"firing": "firing_rate", "n": "n", "support": "support"}
                | nulls,
                f"Setting {self.family} to each rung",
                "Mean change of the activation against the baseline in the same contexts, with its interval; grey: the "
                "same change of like features of this model, in this feature's sd.",
                {"xlabel": f"{self.family} (AP)", "ylabel": "change of activation", "null_label": "like features"}
                | threshold,
            )
        )


def _label(level: int | None) -> str:
    return "absent" if level is None else f"{level} AP"


_COLUMNS = {
    **EFFECT_COLUMNS,
    "rung": "AP the family is set to; 0 is absent",
    "support": "common: measured on one set of contexts; own: on the contexts that can wear this rung",
    "observational_delta": "difference of means between contexts that show this rung and those without the family",
    "confounding_gap": "observational_delta - mean_delta: what comes with the rung but is not done by it",
    "untested": "why the level has no test and no interval: how many contexts can wear it; empty where it has them",
}
