"""Tables of a feature's report: what experiments found by intervening, beside what the data merely show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from paribus.results.schema import Result

DRIVES, LIKE_OTHERS, CORRELATED, NEITHER, UNKNOWN = (
    "drives it", "moves it, like other features", "only correlated", "no effect found", "not measured",
)  # fmt: skip
INTERVAL = ["mean_delta", "ci_low", "ci_high", "p_adj", "null_low", "null_high", "null_percentile", "firing_rate", "n"]
LEVEL = 0.05


def verdicts(frame: pd.DataFrame, margin: float, observed_p: pd.Series) -> pd.Series:
    """Return what each row may be called.

    ``drives it`` takes an interval beyond the margin on one side of 0 and an effect outside the middle 95 % of like
    features; without a null the interval decides alone.

    Args:
        frame: Rows with mean_delta, ci_low, ci_high and null_percentile.
        margin: The least effect that counts, in units of the activation.
        observed_p: Adjusted p of the observed association of each row, NaN where there is none.
    """
    import numpy as np
    import pandas as pd

    beyond = (frame["ci_low"] > margin) | (frame["ci_high"] < -margin)
    place = frame["null_percentile"]
    unusual = (place >= 97.5) | (place <= 2.5) | place.isna()
    names = np.select(
        [frame["ci_low"].isna(), beyond & unusual, beyond, (observed_p <= LEVEL).to_numpy()],
        [UNKNOWN, DRIVES, LIKE_OTHERS, CORRELATED],
        NEITHER,
    )
    return pd.Series(names, index=frame.index, dtype=object)


def drivers(tokens: Result, margin: float) -> pd.DataFrame:
    """Return one row per token, the largest effect first, with its observed log-odds beside it."""
    frame = tokens.tables["influence"].frame[["token", "family", *INTERVAL]]
    observed = tokens.tables["all_tokens"].frame[["token", "log_odds", "p_adj"]]
    observed = observed.rename(columns={"log_odds": "observed_log_odds", "p_adj": "observed_p_adj"})
    both = frame.merge(observed, on="token", how="left")
    both.insert(2, "verdict", verdicts(both, margin, both["observed_p_adj"]))
    return both.sort_values("mean_delta", key=abs, ascending=False, kind="stable", ignore_index=True)


def weapons(sweep: Result, groups: Result | None, margin: float) -> pd.DataFrame:
    """Return one row per weapon, as swapped into the same builds and as used."""
    frame = sweep.tables["weapon_swaps"].frame
    observed = frame[["observational_delta", "confounding_gap"]]
    frame = frame[["weapon", *INTERVAL]].join(observed)
    if groups is not None and "weapon_enrichment" in groups.tables:
        enriched = groups.tables["weapon_enrichment"].frame[["weapon", "odds_ratio", "p_adj"]]
        enriched = enriched.rename(columns={"odds_ratio": "observed_odds_ratio", "p_adj": "observed_p_adj"})
        frame = frame.merge(enriched, on="weapon", how="left")
    else:
        frame = frame.assign(observed_odds_ratio=float("nan"), observed_p_adj=float("nan"))
    frame.insert(1, "verdict", verdicts(frame, margin, frame["observed_p_adj"]))
    return frame.sort_values("mean_delta", key=abs, ascending=False, kind="stable", ignore_index=True)


def doses(sweeps: list[Result]) -> pd.DataFrame:
    """Return one row per swept family: its threshold, and its largest effect at a rung that builds do show."""
    import numpy as np
    import pandas as pd

    rows = []
    for sweep in sweeps:
        custom, frame = sweep.aggregates.custom, sweep.tables["rung_deltas"].frame
        if frame["mean_delta"].iloc[1:].notna().any():
            size = frame["mean_delta"].abs().to_numpy(dtype=float)
            seen = frame["confounding_gap"].notna().to_numpy() & np.isfinite(size) & (frame["rung"] > 0).to_numpy()
            usable = seen if seen.any() else np.isfinite(size)
            largest = frame.iloc[int(np.argmax(np.where(usable, size, -1.0)))]
            rows.append(
                {"family": custom["family"], "threshold_rung": custom["threshold_rung"], "largest_at": largest["rung"]}
                | {name: largest[name] for name in INTERVAL}
                | {name: largest[name] for name in ("observational_delta", "confounding_gap")}
                | {"trend_rho": custom["trend_rho"], "trend_p": custom["trend_p"]}
            )
    return pd.DataFrame(rows)


def cores(found: Result) -> pd.DataFrame:
    """Return the minimal cores with what taking them away does in other builds."""
    frame = found.tables["cores"].frame
    if "core_effects" not in found.tables:
        return frame
    names = ["mean_delta", "ci_low", "ci_high", "p_adj", "n"]
    effects = found.tables["core_effects"].frame[["core", *names]]
    renamed = {name: f"removal_{name.removeprefix('mean_')}" for name in names}
    kept = frame[["core", "size", "n_contexts", "n_holding", "coverage", "coverage_low", "coverage_high"]]
    return kept.merge(effects.rename(columns=renamed), on="core", how="left")


def interactions(found: Result, top: int) -> pd.DataFrame:
    """Return the largest interactions of pairs."""
    frame = found.tables["interactions"].frame
    order = frame["interaction_activation"].abs().sort_values(ascending=False, kind="stable").index[:top]
    names = ["token_a", "token_b", "label", "interaction_activation", "ci_low", "ci_high", "p_adj"]
    return frame.loc[order, [*names, "null_low", "null_high", "null_percentile", "n"]].reset_index(drop=True)


def checks(results: list[Result]) -> pd.DataFrame:
    """Return one row per validation."""
    import pandas as pd

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
                "passed": bool(custom["passed"]),
            }
        )
    return pd.DataFrame(rows)
