"""Puts a feature's report together from the tables of its study."""

from __future__ import annotations

import pandas as pd

from paribus.errors import ExperimentError
from paribus.experiments.base import Recorder
from paribus.experiments.builds import _report_sentences as say
from paribus.experiments.builds import _report_tables as tables
from paribus.experiments.builds._effects import EFFECT_COLUMNS, TESTED_COLUMNS
from paribus.experiments.builds._report_tables import CORRELATED, DRIVES
from paribus.experiments.builds._standing import UNDECIDED, with_n
from paribus.experiments.builds._survey_sentences import about
from paribus.experiments.builds.feature_report.spec import FeatureReport
from paribus.experiments.setup_results import ResultsSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import BANDS, INTERVAL, Aggregates, Figure, Result, Table

READ = (
    "token_influence_sweep", "family_1d_sweep", "minimal_cores", "pairwise_interactions", "weapon_sweep",
    "decoder_output_analysis", "split_half", "shuffle_null",
)  # fmt: skip


def run(experiment: FeatureReport, setup: ResultsSetup, recorder: Recorder) -> Aggregates:
    """Write the tables, the figures and the sentences.

    Raises:
        ExperimentError: If no result says how large the feature's sd is.
    """
    sweeps = setup.of_type("family_1d_sweep")
    sd = next((float(s.aggregates.custom["sd"]) for s in sweeps if s.aggregates.custom["sd"] > 0), None)
    if sd is None:
        raise ExperimentError("feature_report: needs a family_1d_sweep before it of a feature that is not constant")
    margin = experiment.min_effect * sd
    lines = _about(setup, recorder)
    influence = _first(setup, "token_influence_sweep")
    tokens = None if influence is None else tables.drivers(influence, margin)
    if tokens is not None:
        _drivers(experiment, recorder, tokens)
        lines += say.drivers(tokens, sd)
    doses = tables.doses(sweeps)
    _hand(recorder, "doses", "One row per family that was swept.", Evidence.INTERVENTIONAL, doses)
    lines += say.doses(doses, sd)
    if (found := _first(setup, "minimal_cores")) is not None:
        frame = tables.cores(found)
        _hand(recorder, "cores", "Sets that alone keep the feature active.", Evidence.INTERVENTIONAL, frame)
        lines.append(say.cores(frame))
    if (found := _first(setup, "pairwise_interactions")) is not None:
        frame = tables.interactions(found, experiment.top)
        _hand(recorder, "interactions", "The largest pairs.", Evidence.INTERVENTIONAL, frame)
        lines.append(say.interactions(found, frame, sd))
    swapped = _weapons(setup, recorder, margin, sd, lines)
    if (found := _first(setup, "decoder_output_analysis")) is not None:
        frame = tables.output(found)
        _hand(recorder, "output", "Tokens that its weights raise and lower most.", Evidence.WEIGHTS, frame)
        lines.append(say.output(found, frame))
    lines += say.correlated(tokens, swapped)
    validated = tables.checks([*setup.of_type("split_half"), *setup.of_type("shuffle_null")])
    _hand(recorder, "checks", "One row per validation.", Evidence.COMPARISON, validated)
    lines += [*say.checks(validated), *_chosen(setup), say.HOW_TO_READ]
    _borrowed(setup, recorder)
    return _aggregates(setup, recorder, lines, tokens, sd)


def _about(setup: ResultsSetup, recorder: Recorder) -> list[str]:
    """Return what the survey says of the feature, and hand its row over."""
    survey = _first(setup, "feature_survey")
    if survey is None or setup.feature_id is None:
        return []
    chosen = survey.tables["chosen"]
    mine = chosen.frame[chosen.frame["feature_id"] == setup.feature_id].reset_index(drop=True)
    _hand(recorder, "survey", "The survey's row about this latent.", chosen.evidence, mine)
    return [about(row, "survey", place) for place, (_, row) in enumerate(mine.iterrows())]


def _chosen(setup: ResultsSetup) -> list[str]:
    survey = _first(setup, "feature_survey")
    return [] if survey is None else list(survey.aggregates.custom["summary"])[:1]


def _drivers(experiment: FeatureReport, recorder: Recorder, tokens: pd.DataFrame) -> None:
    kind = Evidence.INTERVENTIONAL
    says = "One row per token: each context with it minus the same context at the next lower rung."
    _hand(recorder, "drivers", says, kind, tokens)
    _hand(recorder, "top_drivers", "The tokens of the figure.", kind, tokens.head(experiment.top))
    says = (
        "Each context with the token minus the same context at the next lower rung, with its interval; hatched: "
        "the middle 95 % of the same effect on like features of this model. What lies inside the hatched range is "
        "nothing special to this feature."
    )
    bands = BANDS if tokens["null_low"].notna().any() else INTERVAL
    drawn = Figure.of("forest", "top_drivers", name="drivers", label="token", value="mean_delta", **bands)
    recorder.figure(drawn.titled("What moves it when it is really set", says, xlabel="change of activation"))


def _weapons(
    setup: ResultsSetup, recorder: Recorder, margin: float, sd: float, lines: list[str]
) -> pd.DataFrame | None:
    """Hand over weapons and classes as swapped, and add what they say; None where none were swapped."""
    sweep = _first(setup, "weapon_sweep")
    if sweep is None or "weapon_swaps" not in sweep.tables:
        return None
    frame = tables.weapons(sweep, _first(setup, "weapon_group_analysis"), margin)
    _hand(recorder, "weapons", "One row per weapon, swapped and as used.", Evidence.INTERVENTIONAL, frame)
    classes = tables.classes(sweep, margin)
    _hand(recorder, "weapon_classes", "One row per weapon class, swapped.", Evidence.INTERVENTIONAL, classes)
    lines += [*say.weapons(frame, sd), *say.classes(classes, sd)]
    return frame


def _borrowed(setup: ResultsSetup, recorder: Recorder) -> None:
    """Show the dose-response of the first sweep and the heatmap of the pair as well."""
    for kind in ("family_1d_sweep", "family_2d_heatmap"):
        found = _first(setup, kind)
        if found is not None and found.figures:
            figure = found.figures[0]
            for name in figure.tables:
                recorder.table(found.tables[name])
            recorder.figure(figure)


def _aggregates(
    setup: ResultsSetup,
    recorder: Recorder,
    lines: list[str],
    tokens: pd.DataFrame | None,
    sd: float,
) -> Aggregates:

    missing = [kind for kind in READ if not setup.of_type(kind)]
    if missing:
        recorder.warn(f"not in this report, because no result was found: {', '.join(missing)}")
    told = [(result.experiment_type, text) for result in setup.results for text in result.diagnostics.warnings]
    frame = pd.DataFrame(told, columns=["experiment_type", "warning"])
    _hand(recorder, "warnings", "What the steps warned of, one row each.", Evidence.COMPARISON, frame)
    found: dict[str, list[str]] = {"drivers": [], "only_correlated": [], "undecided": []}
    if tokens is not None:
        verdict = tokens["verdict"]
        seen = tokens["mean_delta"].ne(0) | (tokens["observed_p_adj"] <= 1 - setup.stats.confidence)
        found["drivers"] = tokens.loc[verdict == DRIVES, "token"].tolist()[:20]
        found["only_correlated"] = tokens.loc[verdict == CORRELATED, "token"].tolist()[:20]
        found["undecided"] = with_n(tokens[(verdict == UNDECIDED) & seen], "token")[:20]
    first = next(result for result in setup.results if result.experiment_type == "family_1d_sweep")
    return Aggregates(
        n_samples=first.aggregates.n_samples,
        n_conditions=len(setup.results),
        base_activation_mean=first.aggregates.base_activation_mean,
        base_activation_std=first.aggregates.base_activation_std,
        custom={
            "summary": lines,
            **found,
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
    **{name: EFFECT_COLUMNS[name] for name in TESTED_COLUMNS},
    "verdict": "from the adjusted p and the interval that holds for all rows, the least effect that counts, the place "
    "among like features, and the observed p",
    "step_from": "AP of the next lower rung, which the token is compared with; 0 is absent",
    "standing_at": "AP at which the most is established of a family",
    "mean_delta": "mean paired change of the activation",
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
    "largest_at": "AP of the largest effect that was tested",
    "slope_per_ap": "mean least-squares slope per AP over the rungs up to slope_up_to, with its interval",
    "untested": "rungs without a test, and in how many contexts they are legal",
    "removal_delta": "mean effect of taking the core away in the other half of the source builds",
    "p_kit": "classes permuted over the weapons: is it the class?",
    "centred": "change of the token's logit per unit of activation, without the mean over tokens",
}
