"""Tables of a feature's report: what experiments found by intervening, beside what the data merely show."""

from __future__ import annotations

import pandas as pd

from paribus.experiments.builds._effects import TESTED_COLUMNS
from paribus.experiments.builds._standing import (
    ABSENT,
    BEYOND,
    NONZERO,
    UNDECIDED,
    UNMEASURED,
    WITHIN,
    over_rungs,
    standings,
)
from paribus.experiments.headline import largest_row
from paribus.results.schema import Result

DRIVES, LIKE_OTHERS, CORRELATED = "drives it", "moves it, like other features", "only correlated"
VERDICTS = {
    BEYOND: DRIVES,
    WITHIN: "moves it, less than counts",
    NONZERO: "moves it, size undecided",
    ABSENT: ABSENT,
    UNDECIDED: UNDECIDED,
    UNMEASURED: UNMEASURED,
}
"""What each standing of an effect is called in a report, where nothing else is known."""
LITTLE, SOMEHOW = VERDICTS[WITHIN], VERDICTS[NONZERO]
INTERVAL = [
    *("mean_delta", *TESTED_COLUMNS, "null_low", "null_high", "null_percentile"),
    *("firing_rate", "n", "n_clusters"),
]  # fmt: skip
LEVEL = 0.05


def verdicts(effects: pd.Series, place: pd.Series, observed_p: pd.Series) -> list[str]:
    """Return what each row may be called.

    ``drives it`` takes an established effect beyond the least that counts, outside the middle 95 % of like features;
    without a null the effect decides alone. ``only correlated`` takes that an effect that counts is excluded, and that
    the row goes along with the feature in the data. Nothing that is merely not established is called either.

    Args:
        effects: Standing of each effect.
        place: Its percentile among like features, NaN without a null.
        observed_p: Adjusted p of the observed association of each row, NaN where there is none.
    """
    unusual = ((place >= 97.5) | (place <= 2.5) | place.isna()).to_numpy()
    along = (observed_p <= LEVEL).to_numpy()
    names = []
    for standing, odd, goes_along in zip(effects, unusual, along, strict=True):
        if standing == BEYOND and not odd:
            names.append(LIKE_OTHERS)
        elif standing == ABSENT and goes_along:
            names.append(CORRELATED)
        else:
            names.append(VERDICTS[str(standing)])
    return names


def drivers(tokens: Result, margin: float) -> pd.DataFrame:
    """Return one row per token, the largest effect first, with its observed log-odds beside it."""
    frame = tokens.tables["influence"].frame
    effects = standings(frame, margin=margin, spread=_spread(tokens), level=LEVEL)
    names = ["token", "family", "step_from", *INTERVAL]
    if "family_rungs" in tokens.tables:
        frame, effects = _at_deciding_rungs(tokens, frame, effects, margin)
        names.append("standing_at")
    frame = frame[names].assign(standing=effects)
    observed = tokens.tables["all_tokens"].frame[["token", "log_odds", "p_adj"]]
    observed = observed.rename(columns={"log_odds": "observed_log_odds", "p_adj": "observed_p_adj"})
    both = frame.merge(observed, on="token", how="left")
    both.insert(2, "verdict", verdicts(both.pop("standing"), both["null_percentile"], both["observed_p_adj"]))
    return _largest_first(both)


def _at_deciding_rungs(
    tokens: Result, frame: pd.DataFrame, effects: list[str], margin: float
) -> tuple[pd.DataFrame, list[str]]:
    """Return families as they are at the rung at which the most is established of each."""
    rungs = tokens.tables["family_rungs"].frame
    seen = standings(rungs, margin=margin, spread=_spread(tokens), level=LEVEL)
    own = frame[["family"]].assign(ap=frame["standing_at"], standing=effects)
    effects, places = over_rungs(own, rungs.assign(standing=seen))
    frame = frame.assign(standing_at=places).set_index("family", drop=False)
    at = rungs.set_index(["family", "rung"])
    for family, place in zip(frame["family"].tolist(), places, strict=True):
        if (family, place) in at.index:
            frame.loc[family, INTERVAL] = at.loc[(family, place), INTERVAL]
    return frame.reset_index(drop=True), effects


def weapons(sweep: Result, groups: Result | None, margin: float) -> pd.DataFrame:
    """Return one row per weapon, as swapped into the same builds and as used."""
    frame = sweep.tables["weapon_swaps"].frame
    effects = standings(frame, margin=margin, spread=_spread(sweep), level=LEVEL)
    observed = frame[["observational_delta", "confounding_gap"]]
    frame = frame[["weapon", *INTERVAL]].join(observed).assign(standing=effects)
    if groups is not None and "weapon_enrichment" in groups.tables:
        enriched = groups.tables["weapon_enrichment"].frame[["weapon", "odds_ratio", "p_adj"]]
        enriched = enriched.rename(columns={"odds_ratio": "observed_odds_ratio", "p_adj": "observed_p_adj"})
        frame = frame.merge(enriched, on="weapon", how="left")
    else:
        frame = frame.assign(observed_odds_ratio=float("nan"), observed_p_adj=float("nan"))
    frame.insert(1, "verdict", verdicts(frame.pop("standing"), frame["null_percentile"], frame["observed_p_adj"]))
    return _largest_first(frame)


def classes(sweep: Result, margin: float) -> pd.DataFrame:
    """Return one row per weapon class as swapped; a class drives the feature only if it is the class that does it."""
    frame = sweep.tables["class_swaps"].frame
    effects = standings(frame, margin=margin, spread=_spread(sweep), level=LEVEL)
    frame = frame[["kind", "n_weapons", *INTERVAL, "p_kit", "p_kit_method", "p_kit_adj"]]
    named = verdicts(pd.Series(effects), frame["null_percentile"], pd.Series(float("nan"), frame.index))
    by_class = (frame["p_kit_adj"] <= LEVEL).tolist()
    named = [v if v != DRIVES or own else NOT_BY_CLASS for v, own in zip(named, by_class, strict=True)]
    frame.insert(1, "verdict", named)
    return _largest_first(frame)


NOT_BY_CLASS = "some of its weapons move it, not shown to be the class"


def doses(sweeps: list[Result]) -> pd.DataFrame:
    """Return one row per swept family: its threshold, its slope, and its largest effect at a tested rung."""
    rows = []
    for sweep in sweeps:
        custom, frame = sweep.aggregates.custom, sweep.tables["rung_deltas"].frame
        levels = frame.iloc[1:]
        place = largest_row(levels)
        if place is not None:
            largest = levels.iloc[place]
            why = [
                f"{label}: {said.partition(' (')[0]}"
                for label, said in zip(frame["label"], frame["untested"], strict=True)
                if said
            ]
            rows.append(
                {"family": custom["family"], "threshold_rung": custom["threshold_rung"], "largest_at": largest["rung"]}
                | {name: largest[name] for name in INTERVAL}
                | {name: custom[name] for name in SLOPE}
                | {name: largest[name] for name in ("observational_delta", "confounding_gap")}
                | {"trend_rho": custom["trend_rho"], "trend_p": custom["trend_p"]}
                | {"trend_p_method": custom["trend_method"], "untested": "; ".join(why)}
            )
    return pd.DataFrame(rows)


SLOPE = (
    *("slope_per_ap", "slope_per_ap_low", "slope_per_ap_high", "slope_per_ap_method", "slope_per_ap_p"),
    *("slope_per_ap_p_method", "slope_up_to"),
)


COVERED = ("coverage_low", "coverage_high", "coverage_method")


def cores(found: Result) -> pd.DataFrame:
    """Return the minimal cores with what taking them away does in other builds."""
    frame = found.tables["cores"].frame
    if "core_effects" not in found.tables:
        return frame
    names = ["mean_delta", *TESTED_COLUMNS, "n"]
    effects = found.tables["core_effects"].frame[["core", *names]]
    renamed = {name: f"removal_{name.removeprefix('mean_')}" for name in names}
    kept = frame[["core", "size", "n_contexts", "n_holding", "coverage", *COVERED]]
    return kept.merge(effects.rename(columns=renamed), on="core", how="left")


def interactions(found: Result, top: int) -> pd.DataFrame:
    """Return the largest interactions of pairs."""
    frame = found.tables["interactions"].frame
    order = frame["interaction_activation"].abs().sort_values(ascending=False, kind="stable").index[:top]
    names = ["token_a", "token_b", "label", "interaction_activation", *TESTED_COLUMNS]
    return frame.loc[order, [*names, "null_low", "null_high", "null_percentile", "n"]].reset_index(drop=True)


def output(found: Result) -> pd.DataFrame:
    """Return the tokens that the latent's weights raise and lower most, the raised ones first."""
    frame = found.tables["token_effects"].frame
    custom = found.aggregates.custom
    ends = [*custom["top_tokens"][:3], *custom["bottom_tokens"][:3]]
    kept = frame.set_index("token").loc[ends, ["family", "rung", "centred", "null_percentile"]]
    return kept.reset_index()


def checks(results: list[Result]) -> pd.DataFrame:
    """Return one row per validation."""
    rows = []
    for result in results:
        custom = result.aggregates.custom
        halves = result.experiment_type == "split_half"
        rows.append(
            {
                "check": result.experiment_type,
                "target": custom["target"],
                "asks": "do two halves of the source builds agree?" if halves else "would shuffled activations do?",
                "statistic": "mean r between halves" if halves else str(custom["statistic"]),
                "value": custom["mean_r" if halves else "observed"],
                "p": custom["p"],
                "p_method": custom["p_method"],
                "passed": bool(custom["passed"]),
            }
        )
    return pd.DataFrame(rows)


def _spread(result: Result) -> float:
    return float(result.aggregates.custom["activation_range"])


def _largest_first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("mean_delta", key=abs, ascending=False, kind="stable", ignore_index=True)
