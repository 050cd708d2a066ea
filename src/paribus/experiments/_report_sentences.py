"""A feature's report in sentences, made from its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.experiments._report_tables import CORRELATED, DRIVES, LIKE_OTHERS

if TYPE_CHECKING:
    import pandas as pd

    from paribus.results.schema import Result

SHOWN = 4


def drivers(frame: pd.DataFrame, sd: float) -> list[str]:
    """Say what raises and what lowers the feature."""
    lines = []
    for word, sign in (("Raised", 1), ("Lowered", -1)):
        mine = frame[(frame["verdict"] == DRIVES) & (frame["mean_delta"] * sign > 0)]
        if len(mine):
            named = _each(mine, "token", sd)
            count = f"{len(mine)} tokens" if len(mine) > 1 else "one token"
            lines.append(f"{word} by {count}, more than 95 % of like features are: {named}.")
    if not lines:
        lines.append("No single token moves it more than it moves like features.")
    weak = int((frame["verdict"] == LIKE_OTHERS).sum())
    if weak:
        lines.append(
            f"{weak} further tokens move it beyond the least effect that counts, but no more than they move like "
            "features."
        )
    return lines


def doses(frame: pd.DataFrame, sd: float) -> list[str]:
    """Say from which rung on each swept family shows."""
    lines = []
    for _, row in frame.iterrows():
        rung = row["threshold_rung"]
        known = rung is not None and rung == rung
        start = f"shows from {rung:.0f} AP on" if known else "never goes beyond the least effect that counts"
        seen, gap = row["observational_delta"] / sd, row["confounding_gap"] / sd
        lines.append(
            f"{row['family']} {start}; largest at {row['largest_at']:.0f} AP: {_effect(row, sd)}."
            + (
                f" Builds that happen to show that rung differ by {seen:+.2f} sd (gap {gap:+.2f})."
                if gap == gap
                else ""
            )
        )
    return lines


def cores(frame: pd.DataFrame) -> str:
    """Say what alone keeps the feature active."""
    if frame.empty:
        return "No set of families alone keeps it active in the contexts where it is highest."
    top = frame.iloc[0]
    text = (
        f"Where it is highest, {top['core']} alone keeps it in {top['coverage']:.0%} of the contexts "
        f"[{top['coverage_low']:.0%}, {top['coverage_high']:.0%}]"
    )
    return f"{text}; {len(frame) - 1} other minimal cores." if len(frame) > 1 else f"{text}; no other minimal core."


def interactions(found: Result, frame: pd.DataFrame, sd: float) -> str:
    """Say how pairs combine."""
    custom = found.aggregates.custom
    kinds = ("synergy", "redundancy", "output_nonlinearity", "none")
    counts = ", ".join(f"{custom[f'n_{kind}']} {kind}" for kind in kinds if custom.get(f"n_{kind}"))
    if frame.empty or not counts:
        return "No pair could be tested for an interaction."
    top = frame.iloc[0]
    return (
        f"Pairs: {counts.replace('_', ' ')}. Largest: {top['token_a']} x {top['token_b']}, "
        f"{top['interaction_activation'] / sd:+.2f} sd [{top['ci_low'] / sd:+.2f}, {top['ci_high'] / sd:+.2f}], "
        f"at the {top['null_percentile']:.0f}th percentile of like features."
    )


def weapons(frame: pd.DataFrame, sd: float) -> str:
    """Say what weapons do when they are swapped."""
    mine = frame[frame["verdict"] == DRIVES]
    weak = int((frame["verdict"] == LIKE_OTHERS).sum())
    if mine.empty:
        text = "No weapon, swapped into the same builds, moves it more than it moves like features"
    else:
        text = f"{len(mine)} of {len(frame)} weapons move it in the same builds: {_each(mine, 'weapon', sd)}"
    return f"{text}; {weak} more move it no more than they move like features." if weak else f"{text}."


def correlated(tokens: pd.DataFrame | None, swapped: pd.DataFrame | None) -> str:
    """Say what goes along with the feature and does not move it."""
    names: list[str] = []
    for frame, column in ((tokens, "token"), (swapped, "weapon")):
        if frame is not None:
            names += frame.loc[frame["verdict"] == CORRELATED, column].tolist()
    if not names:
        return "Only correlation: nothing that goes along with it failed to move it."
    more = f" and {len(names) - 2 * SHOWN} more" if len(names) > 2 * SHOWN else ""
    return f"Only correlation, no effect beyond the least that counts: {', '.join(names[: 2 * SHOWN])}{more}."


def output(found: Result) -> str:
    """Say what the feature does to the output."""
    custom = found.aggregates.custom
    held = "as predicted" if custom["prediction_holds"] else "NOT as the weights predict"
    return (
        f"What it does: by its weights it raises {', '.join(custom['top_tokens'][:3])} and lowers "
        f"{', '.join(custom['bottom_tokens'][:3])}; really set, the output changed {held}."
    )


def checks(frame: pd.DataFrame) -> list[str]:
    """Say how far the results repeat."""
    return [
        f"How sure: {row['asks'].removesuffix('?')} ({row['target']})? "
        f"{'Yes' if row['passed'] and row['check'] == 'split_half' else 'No' if row['passed'] else 'Not shown'}: "
        f"{row['statistic']} {row['value']:.2f}, p {row['p']:.2g}."
        for _, row in frame.iterrows()
    ]


def _each(frame: pd.DataFrame, column: str, sd: float) -> str:
    text = ", ".join(f"{row[column]} {_effect(row, sd)}" for _, row in frame.head(SHOWN).iterrows())
    return f"{text} and {len(frame) - SHOWN} more" if len(frame) > SHOWN else text


def _effect(row: pd.Series, sd: float) -> str:
    return f"{row['mean_delta'] / sd:+.2f} sd [{row['ci_low'] / sd:+.2f}, {row['ci_high'] / sd:+.2f}]"
