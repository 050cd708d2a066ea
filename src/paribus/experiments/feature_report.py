"""One page about one feature: what drives it, how sure that is, and what is only correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.base import Experiment, Recorder
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Result, Table
from paribus.spec import field

if TYPE_CHECKING:
    import pandas as pd

    from paribus.experiments.setup_results import ResultsSetup

READ = (
    "token_influence_sweep", "family_1d_sweep", "minimal_cores", "pairwise_interactions", "weapon_sweep",
    "decoder_output_analysis", "split_half", "shuffle_null",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FeatureReport(Experiment):
    """Put together what the steps before found about one feature; it measures nothing itself."""

    type: ClassVar[str] = "feature_report"
    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "results"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "one page about one feature, from the steps of a study before it"
    needs: ClassVar[tuple[str, ...]] = ("feature",)

    top: int = field(12, low=1, help="Rows of the tables of tokens, weapons and pairs that are drawn or listed.")
    min_effect: float = field(0.1, low=0.0, help="Least effect that counts, in sd of the feature.")

    def run(self, setup: ResultsSetup, recorder: Recorder) -> Aggregates:
        """Write the tables, the figures and the sentences.

        Raises:
            ExperimentError: If no result says how large the feature's sd is.
        """
        from paribus.errors import ExperimentError
        from paribus.experiments import _report_sentences as say
        from paribus.experiments import _report_tables as tables

        sweeps = setup.of_type("family_1d_sweep")
        sd = next((float(s.aggregates.custom["sd"]) for s in sweeps if s.aggregates.custom["sd"] > 0), None)
        if sd is None:
            raise ExperimentError("feature_report: needs a family_1d_sweep before it of a feature that is not constant")
        margin = self.min_effect * sd
        lines = [line for line in self._about(setup) if line]
        influence = _first(setup, "token_influence_sweep")
        tokens = None if influence is None else tables.drivers(influence, margin)
        if tokens is not None:
            self._drivers(recorder, tokens)
            lines += say.drivers(tokens, sd)
        doses = tables.doses(sweeps)
        _hand(recorder, "doses", "One row per family that was swept.", Evidence.INTERVENTIONAL, doses)
        lines += say.doses(doses, sd)
        if (found := _first(setup, "minimal_cores")) is not None:
            frame = tables.cores(found)
            _hand(recorder, "cores", "Sets that alone keep the feature active.", Evidence.INTERVENTIONAL, frame)
            lines.append(say.cores(frame))
        if (found := _first(setup, "pairwise_interactions")) is not None:
            frame = tables.interactions(found, self.top)
            _hand(recorder, "interactions", "The largest pairs.", Evidence.INTERVENTIONAL, frame)
            lines.append(say.interactions(found, frame, sd))
        swapped = self._weapons(setup, recorder, margin)
        if swapped is not None:
            lines.append(say.weapons(swapped, sd))
        if (found := _first(setup, "decoder_output_analysis")) is not None:
            lines.append(say.output(found))
        lines.append(say.correlated(tokens, swapped))
        validated = tables.checks([*setup.of_type("split_half"), *setup.of_type("shuffle_null")])
        _hand(recorder, "checks", "One row per validation.", Evidence.COMPARISON, validated)
        lines += [*say.checks(validated), *self._chosen(setup)]
        self._borrowed(setup, recorder)
        return self._aggregates(setup, recorder, lines, tokens, sd)

    def _about(self, setup: ResultsSetup) -> list[str]:
        survey = _first(setup, "feature_survey")
        chosen = [] if survey is None else list(survey.aggregates.custom["summary"])
        return [line for line in chosen[1:] if line.startswith(f"Latent {setup.feature_id} ")]

    def _chosen(self, setup: ResultsSetup) -> list[str]:
        survey = _first(setup, "feature_survey")
        return [] if survey is None else list(survey.aggregates.custom["summary"])[:1]

    def _drivers(self, recorder: Recorder, tokens: pd.DataFrame) -> None:
        kind = Evidence.INTERVENTIONAL
        _hand(recorder, "drivers", "One row per token: set, minus absent, in the same contexts.", kind, tokens)
        _hand(recorder, "top_drivers", "The tokens of the figure.", kind, tokens.head(self.top))
        recorder.figure(
            Figure(
                "drivers",
                "forest",
                ("top_drivers",),
                {"label": "token", "value": "mean_delta", "low": "ci_low", "high": "ci_high"}
                | ({"null_low": "null_low", "null_high": "null_high"} if tokens["null_low"].notna().any() else {}),
                "What moves it when it is really set",
                "Each context with the token minus the same context without it, with its interval; grey: the middle "
                "95 % of the same effect on like features of this model. What lies inside the grey is nothing "
                "special to this feature.",
                {"xlabel": "change of activation"},
            )
        )

    def _weapons(self, setup: ResultsSetup, recorder: Recorder, margin: float) -> pd.DataFrame | None:
        from paribus.experiments import _report_tables as tables

        sweep = _first(setup, "weapon_sweep")
        if sweep is None or "weapon_swaps" not in sweep.tables:
            return None
        frame = tables.weapons(sweep, _first(setup, "weapon_group_analysis"), margin)
        _hand(recorder, "weapons", "One row per weapon, swapped and as used.", Evidence.INTERVENTIONAL, frame)
        return frame

    def _borrowed(self, setup: ResultsSetup, recorder: Recorder) -> None:
        """Show the dose-response of the first sweep and the heatmap of the pair as well."""
        for kind in ("family_1d_sweep", "family_2d_heatmap"):
            found = _first(setup, kind)
            if found is not None and found.figures:
                figure = found.figures[0]
                for name in figure.tables:
                    recorder.table(found.tables[name])
                recorder.figure(figure)

    def _aggregates(
        self, setup: ResultsSetup, recorder: Recorder, lines: list[str], tokens: pd.DataFrame | None, sd: float
    ) -> Aggregates:
        import pandas as pd

        from paribus.experiments._report_tables import CORRELATED, DRIVES

        missing = [kind for kind in READ if not setup.of_type(kind)]
        if missing:
            recorder.warn(f"not in this report, because no result was found: {', '.join(missing)}")
        told = [(result.experiment_type, text) for result in setup.results for text in result.diagnostics.warnings]
        frame = pd.DataFrame(told, columns=["experiment_type", "warning"])
        _hand(recorder, "warnings", "What the steps warned of, one row each.", Evidence.COMPARISON, frame)
        drive: list[str] = [] if tokens is None else tokens.loc[tokens["verdict"] == DRIVES, "token"].tolist()
        only: list[str] = [] if tokens is None else tokens.loc[tokens["verdict"] == CORRELATED, "token"].tolist()
        first = next(result for result in setup.results if result.experiment_type == "family_1d_sweep")
        return Aggregates(
            n_samples=first.aggregates.n_samples,
            n_conditions=len(setup.results),
            base_activation_mean=first.aggregates.base_activation_mean,
            base_activation_std=first.aggregates.base_activation_std,
            custom={
                "summary": lines,
                "drivers": drive[:20],
                "only_correlated": only[:20],
                "sd": sd,
                "runs": [result.run_id for result in setup.results if result.run_id is not None],
            },
        )


def _first(setup: ResultsSetup, experiment_type: str) -> Result | None:
    return next(iter(setup.of_type(experiment_type)), None)


def _hand(recorder: Recorder, name: str, says: str, kind: Evidence, frame: pd.DataFrame) -> None:
    if len(frame):
        columns = {column: _COLUMNS[column] for column in frame if column in _COLUMNS}
        recorder.table(Table(name, says, kind, frame, columns))


_COLUMNS = {
    "verdict": "from the interval, the least effect that counts, the place among like features, and the observed p",
    "mean_delta": "mean paired change of the activation",
    "ci_low": "lower end of its interval",
    "ci_high": "upper end of its interval",
    "null_low": "2.5 % quantile of the same effect on like features",
    "null_high": "97.5 % quantile of it",
    "null_percentile": "place among like features, 0 to 100; not a p",
    "firing_rate": "share of edited contexts with f > 0",
    "observed_log_odds": "log-odds of the token where the feature is high; a correlation",
    "observed_p_adj": "adjusted p of the correlation",
    "observed_odds_ratio": "odds of the weapon where the feature is high over where it is low; a correlation",
    "observational_delta": "difference of means in the data as they are; a correlation",
    "confounding_gap": "observational_delta - mean_delta: what comes along but is not done by it",
    "threshold_rung": "first AP whose simultaneous interval lies beyond the least effect that counts",
    "removal_delta": "mean effect of taking the core away in the other half of the source builds",
}
