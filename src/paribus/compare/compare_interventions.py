"""Training conditions compared over all finished runs of the shortcut study: one figure, one table of tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.compare.declared import ENDPOINTS, TYPE_OF
from paribus.compare.where import check_names, check_where
from paribus.errors import ConfigError, ExperimentError, nearest
from paribus.experiments.base import Experiment, Recorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.spec import field

if TYPE_CHECKING:
    import pandas as pd

TYPES = ("train_classifier", "probe_trajectory", "subspace_ablation", "activation_steering", "domain_swap")
DEFAULT = [
    "raw_ood_accuracy", "ablation_delta_ood", "steering_margin_slope", "swap_effect", "domain_probe_accuracy",
]  # fmt: skip

EFFECTS: Mapping[str, str] = {
    "unit": "unit of value",
    "value": "the endpoint in this run",
    "ci_low": "lower end of the run's own interval, over its contexts; missing where the run gives none",
    "ci_high": "upper end",
    "auroc_change": "change of the AUROC by the same edit, where the endpoint is an accuracy that a threshold moves",
    "epoch": "checkpoint it was read at",
}
UNITS: Mapping[str, str] = {
    "value": "mean over the training-set sizes that all seeds of the condition have",
    "n_sizes": "how many sizes that are",
}
TESTS: Mapping[str, str] = {
    "smallest_p": "smallest p the design can reach, whatever the data",
    "smallest_p_adj": "the same after Holm, were all other tests unremarkable",
    "design": "paired_sign_flip where both arms have the same seeds, label_permutation otherwise",
    "difference": "mean of the condition minus mean of the reference, over seeds",
    "ci_low": "lower end of the interval that inverts the test of p: 0 is outside exactly where p <= 1 - confidence",
    "ci_method": "how: sign_flip or paired_sign_flip, label_permutation; student_t or welch_t where the test cannot "
    "reject with so few runs, and no claim rests on it; none below four runs or where all units are equal",
    "ci_adj_low": "lower end at the level at which Holm judged the row: 0 is outside exactly where p_adj <= "
    "1 - confidence; none where the design cannot reach that level",
    "p": "two-sided, exact where it can be enumerated",
    "p_adj": "Holm over this table",
    "p_mann_whitney": "exact Mann-Whitney p of unpaired arms, beside the p that is adjusted",
    "auroc_change": "the AUROC beside an accuracy, over the same units, with auroc_ci_low, auroc_ci_high and auroc_p; "
    "not adjusted. Where accuracy moves and the AUROC does not, the threshold moved",
    "flag": "seeds or sizes that one arm lacks",
}


@dataclass(frozen=True)
class CompareInterventions(Experiment):
    """Compare training conditions over all finished runs of a study.

    Example:
        >>> CompareInterventions(where=["seed=0..7"]).where
        ['seed=0..7']
    """

    type: ClassVar[str] = "compare_interventions"
    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "runs"
    summary: ClassVar[str] = "Compare training conditions over all finished runs: one figure, exact tests over seeds."
    needs: ClassVar[tuple[str, ...]] = ()

    version: ClassVar[int] = 2

    endpoints: list[str] = field(
        DEFAULT,
        choices=tuple(ENDPOINTS),
        help="Endpoints that the experiments declare; the tests are adjusted over exactly these.",
    )
    reference: str = field("standard", help="Training condition that the others are compared with.")
    method: str = field(
        "mean_difference",
        help="Eraser whose ablation is compared; the probe's rows leave most of the domain's effect standing.",
    )
    direction: str = field("between_domain_pc", help="Steering direction that is compared.")
    layer: str = field("", help="Probed layer of the domain-probe endpoint; empty: the last one.")
    level: str = field(
        "", unstated="", help="Row of an experiment on any network (its level) that its endpoint is read at."
    )
    at: str = field("peak_val", help="Checkpoint read where runs hold several: peak_val, final or epoch:N.")
    factors: list[str] = field(
        ["training.weight_decay", "training.init_scale", "training.grokfast"],
        help="Params whose main effects are tested where their full factorial was run.",
    )
    where: list[str] = field(
        [], help="Conditions on the runs: n_train=300, seed=0..7, training=a|b, tag.sweep=ID, started>=2026-11-20."
    )
    runs: list[str] = field(
        [],
        science=False,
        help="Ids of the runs to compare (that of a study's job stands for its steps); empty: all of the study.",
    )
    missing_seeds: str = field("flag", choices=("flag", "refuse"), help="What to do when one arm lacks seeds.")
    mixed_code: str = field("flag", choices=("flag", "refuse"), help="What to do when code versions mix.")
    accuracy_limits: list[float] | None = field(None, low=0.0, high=1.0, help="Limits of the accuracy axes.")
    chance: float | None = field(
        None, low=0.0, high=1.0, help="Reference line of the figure; null: chance as the runs' label probes tell it."
    )

    def check(self) -> None:
        """Check the checkpoint rule, the limits, the endpoints and the restriction.

        Raises:
            ConfigError: If one of them cannot be read.
        """
        epoch = self.at.startswith("epoch:") and self.at.removeprefix("epoch:").isdigit()
        if self.at not in ("peak_val", "final") and not epoch:
            raise ConfigError(f"CompareInterventions.at: must be peak_val, final or epoch:N, got {self.at!r}")
        limits = self.accuracy_limits
        if limits is not None and (len(limits) != 2 or limits[0] >= limits[1]):
            raise ConfigError(f"CompareInterventions.accuracy_limits: must be [low, high], got {limits!r}")
        if not self.endpoints or len(set(self.endpoints)) < len(self.endpoints):
            raise ConfigError("CompareInterventions.endpoints: name each endpoint once, at least one")
        generic = sorted(name for name in self.endpoints if "level" in ENDPOINTS[name].choices)
        if generic and not self.level:
            raise ConfigError(f"CompareInterventions.level: {generic[0]} needs one, such as level='unit 3'")
        check_where("CompareInterventions", self.where)

    def reads(self) -> tuple[str, ...]:
        """Return the types of experiments whose endpoints are compared."""
        return self.types()[1:]

    def types(self) -> tuple[str, ...]:
        """Return the experiment types whose runs are compared: the study's, and those of further endpoints."""
        return tuple(dict.fromkeys((*TYPES, *(TYPE_OF[name] for name in self.endpoints))))

    def validate(self, setup: RunsSetup) -> None:
        """Look up what the restriction names, in the runs that there are."""
        if self.where:
            self.check_runs(setup.runs)

    def check_runs(self, runs: Sequence[CollectedRun]) -> None:
        """Check the restriction against the runs that there are.

        Raises:
            ConfigError: If it names something that none of them has, or leaves none.
        """
        from paribus.compare.collect import candidates

        check_names("CompareInterventions", self.where, candidates(runs, self.types()))

    def run(self, setup: RunsSetup, recorder: Recorder) -> Aggregates:
        """Compare the runs of ``setup`` and hand over tables, tests and the figure.

        Raises:
            ExperimentError: If there is nothing to compare, or something the settings refuse.
        """
        from paribus.compare.contrasts import condition_table, contrast_table, factor_table
        from paribus.compare.effects import (
            ablation_curves,
            chance_of,
            chosen_epochs,
            described,
            run_effects,
            steering_curves,
        )
        from paribus.compare.endpoints import Choice
        from paribus.compare.units import units_of

        runs = self._select(setup.runs, recorder)
        choice = Choice(self.method, self.direction, self.layer, self.at, chosen_epochs(runs, self.at), self.level)
        effects, notes = run_effects(runs, self.endpoints, choice, self.reference)
        steered, unread = steering_curves(runs, choice)
        curves = ablation_curves(runs, choice), steered
        if effects.empty and all(curve.empty for curve in curves):
            said = f"; {notes[0]}" if notes else ""
            raise ExperimentError(
                "compare_interventions: no finished run to compare; it reads runs of "
                f"{', '.join(self.reads())} that name their training condition, and found {len(setup.runs)} runs "
                f"in all{said}"
            )
        rng, spec = setup.rng("compare_interventions"), setup.stats
        units, uneven = units_of(effects)
        conditions = condition_table(units, spec=spec, rng=rng)
        self._reference(effects, recorder)
        tests, missing = contrast_table(effects, self.endpoints, self.reference, spec=spec, rng=rng)
        factors, crowded = factor_table(effects, runs, self.endpoints, self.factors, spec=spec, rng=rng)
        if missing and self.missing_seeds == "refuse":
            raise ExperimentError(f"compare_interventions: {missing[0]} missing_seeds=flag compares what is there")
        for line in dict.fromkeys((*notes, *unread, *uneven, *missing, *crowded)):
            recorder.warn(line)
        _hand_over(recorder, effects, units, conditions, tests, factors, curves)
        chance = chance_of(runs) if self.chance is None else self.chance
        self._figures(recorder, effects, tests, described(runs), chance, spec.confidence)
        return self._aggregates(effects, conditions, tests, factors, recorder, spec.confidence)

    def _select(self, runs: Sequence[CollectedRun], recorder: Recorder) -> list[CollectedRun]:
        from paribus.compare.collect import select

        self.check_runs(runs)
        selection = select(runs, self.types(), self.where)
        for line in selection.left_out:
            recorder.warn(line)
        if selection.mixed and self.mixed_code == "refuse":
            raise ExperimentError(f"compare_interventions: {selection.mixed[0]} mixed_code=flag compares them anyway")
        for line in selection.mixed:
            recorder.warn(line)
        return list(selection.runs)

    def _reference(self, effects: pd.DataFrame, recorder: Recorder) -> None:
        present = sorted(set(effects["training"]))
        if present and self.reference not in present:
            recorder.warn(
                f"No finished run of the reference condition {self.reference!r}: nothing could be tested "
                f"({nearest(self.reference, present)})."
            )
        elif len(present) == 1:
            recorder.warn(f"Only the condition {present[0]!r} has finished runs: nothing could be tested.")

    def _figures(
        self,
        recorder: Recorder,
        effects: pd.DataFrame,
        tests: pd.DataFrame,
        what: str,
        chance: float | None,
        confidence: float,
    ) -> None:
        options: dict[str, Any] = {"conditions": self._order(effects), "confidence": confidence}
        if chance is not None:
            options["hline"] = chance
        if self.accuracy_limits is not None:
            options["ylim"] = list(self.accuracy_limits)
        recorder.figure(
            Figure(
                "figure_intervention_comparison",
                "intervention_comparison",
                ("ablation_curves", "steering_curves"),
                {"condition": "training", "n_train": "n_train", "seed": "seed", "epoch": "epoch", "raw": "raw",
                 "ablated": "ablated", "alpha": "alpha", "accuracy": "accuracy"},
                f"The shortcut under intervention, by training condition: {what}eraser {self.method}",
                f"Top: OOD accuracy over training, unedited (solid) and with the {self.method} subspace projected out "
                f"(dashed). Bottom: OOD accuracy along {self.direction}; where the site feeds a linear head this is "
                "the threshold curve of the margins. One thin curve per run; mean and t band only where every run of "
                "the group was measured.",
                options,
            )
        )  # fmt: skip
        if not effects.empty:
            recorder.figure(
                Figure(
                    "endpoints", "strip", ("units", "conditions"),
                    {"x": "training", "y": "value", "pair": "seed", "panel": "label", "unit": "unit",
                     "mean": "mean", "low": "ci_low", "high": "ci_high"},
                    "Declared endpoints, one point per seed",
                    "Grey lines join seeds that several conditions share; a seed's training-set sizes are averaged. "
                    "Bars: mean over seeds with the interval of the table `conditions`.",
                    {"confidence": confidence},
                )
            )  # fmt: skip
        if tests["difference"].notna().any():
            recorder.figure(
                Figure(
                    "differences", "forest", ("tests",),
                    {"label": "training", "value": "difference", "low": "ci_adj_low", "high": "ci_adj_high",
                     "panel": "label", "unit": "unit", "p": "p_adj"},
                    f"Difference from {self.reference}, over seeds",
                    "Mean difference with the interval at the level of Holm's adjustment over all endpoints and "
                    "conditions, as p is; none where so few seeds cannot reach that level.",
                    {"xlabel": "difference"},
                )
            )  # fmt: skip

    def _order(self, effects: pd.DataFrame) -> list[str]:
        others = sorted(set(effects["training"]) - {self.reference})
        return [self.reference, *(others or (["grokking"] if self.reference == "standard" else []))]

    def _aggregates(
        self,
        effects: pd.DataFrame,
        conditions: pd.DataFrame,
        tests: pd.DataFrame,
        factors: pd.DataFrame,
        recorder: Recorder,
        confidence: float,
    ) -> Aggregates:
        from paribus.compare import sentences

        lines = sentences.reach(tests, confidence)
        lines += [sentences.condition_line(row, confidence) for _, row in conditions.iterrows()]
        lines += [sentences.contrast_line(row, confidence) for _, row in tests.iterrows()]
        lines += [sentences.factor_line(row, confidence) for _, row in factors.iterrows()]
        established = [row for _, row in tests.iterrows() if sentences.is_established(row, confidence)]
        for _, row in tests.iterrows():
            if row["difference"] == row["difference"]:
                recorder.metric(
                    f"{row['endpoint']}/{row['training']}_minus_{row['reference']}", float(row["difference"])
                )
        return Aggregates(
            n_samples=int(effects["run_id"].nunique()),
            n_conditions=int(effects["training"].nunique()),
            custom={
                "summary": lines,
                "n_seeds": {str(c): int(rows["seed"].nunique()) for c, rows in effects.groupby("training")},
                "n_established": len(established),
                "established": [f"{row['endpoint']}: {row['training']}" for row in established],
                "smallest_p": None if tests["smallest_p"].isna().all() else float(tests["smallest_p"].min()),
            },
        )


def _hand_over(
    recorder: Recorder,
    effects: pd.DataFrame,
    units: pd.DataFrame,
    conditions: pd.DataFrame,
    tests: pd.DataFrame,
    factors: pd.DataFrame,
    curves: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    kind = Evidence.COMPARISON
    recorder.table(Table("run_effects", "One row per run and declared endpoint.", kind, effects, EFFECTS))
    recorder.table(Table("units", "One row per endpoint, condition and seed.", kind, units, UNITS))
    within = "Each endpoint within each condition, over seeds; p against no effect."
    recorder.table(Table("conditions", within, kind, conditions, TESTS))
    recorder.table(Table("tests", "Each condition against the reference, Holm over all rows.", kind, tests, TESTS))
    if not factors.empty:
        recorder.table(Table("factors", "Main effects within seed and the other factors, Holm.", kind, factors, TESTS))
    recorder.table(
        Table("ablation_curves", "OOD accuracy over epochs, raw and ablated, of every run.", kind, curves[0])
    )
    recorder.table(Table("steering_curves", "OOD accuracy over alpha of every run.", kind, curves[1]))
