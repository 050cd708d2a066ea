"""A feature's report in sentences: each is made from rows of a table of the report, and names table and rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pandas as pd

from paribus.experiments.builds._report_tables import CORRELATED, DRIVES, LIKE_OTHERS, LITTLE, SOMEHOW
from paribus.experiments.builds._standing import UNDECIDED, effect_text
from paribus.experiments.effect_vector import LEAST_TESTED
from paribus.results.schema import Result
from paribus.results.words import counted

SHOWN = 4
HOW_TO_READ = (
    "How to read this: an interval in brackets holds for all rows of its table together (of a slope and a share: for "
    "itself), sd is that of the feature over all contexts, and the end of a sentence names the table and the rows it "
    "is made from. Not shown is not absent."
)


def cited(text: str, table: str, rows: Iterable[int]) -> str:
    """Return a sentence with the rows of the report's table it was made from, counted from 1."""
    numbers = [str(row + 1) for row in rows]
    word = "row" if len(numbers) == 1 else "rows"
    return f"{text} ({table}, {word} {', '.join(numbers)})."


def drivers(frame: pd.DataFrame, sd: float) -> list[str]:
    """Return sentences on what raises and lowers the feature, and what moves it no more than similar features."""
    lines = []
    for word, sign in (("Raised", 1), ("Lowered", -1)):
        mine = frame[(frame["verdict"] == DRIVES) & (frame["mean_delta"] * sign > 0)]
        if len(mine):
            text = f"{word} by {counted(len(mine), 'token')}{_steps(mine)}{_beside(mine)}: {_tokens(mine, sd)}"
            lines.append(cited(text, "drivers", mine.index[:SHOWN]))
    if not lines:
        lines.append(_nothing_drives(frame, sd))
    for verdict, said in (
        (LIKE_OTHERS, "beyond the least effect that counts, but no more than like features"),
        (LITTLE, "for certain, but by less than counts"),
        (SOMEHOW, "for certain, but whether by as much as counts is open"),
    ):
        mine = frame[frame["verdict"] == verdict]
        if len(mine):
            text = f"{counted(len(mine), 'token moves', 'tokens move')} it{_steps(mine)} {said}: {_tokens(mine, sd)}"
            lines.append(cited(text, "drivers", mine.index[:SHOWN]))
    return lines


def _steps(mine: pd.DataFrame) -> str:
    """Say that a token answers for its own step: one down can lie on a curve that rises far above where it began."""
    if not mine["step_from"].gt(0).any():
        return ""
    return " as a step from the next lower rung" if len(mine) == 1 else " as steps from the next lower rung"


def _beside(mine: pd.DataFrame) -> str:
    if mine["null_percentile"].isna().any():
        return ""
    return ", outside the middle 95 % of like features"


def _nothing_drives(frame: pd.DataFrame, sd: float) -> str:
    what = "No token is shown to move it beyond the least effect that counts and beyond like features"
    return _untested("No token", frame, "drivers") or _largest_of_none(
        what, frame, "drivers", lambda top: f"{_steps(top)} is {_tokens(top, sd)}"
    )


def _untested(what: str, frame: pd.DataFrame, table: str) -> str:
    """Say that no row could be tested; nothing where some were."""
    if frame["p"].notna().any():
        return ""
    most = counted(int(frame["n"].max()), "context")
    return f"{what} could be tested: {most} at the most, a test needs {LEAST_TESTED} ({table}, rows 1 to {len(frame)})."


def _largest_of_none(what: str, frame: pd.DataFrame, table: str, named: Callable[[pd.DataFrame], str]) -> str:
    """Say that nothing moves it, and the largest effect that was tested, which ``named`` puts into words."""
    known = frame[frame["p"].notna()]
    if known["mean_delta"].eq(0).all():
        return f"{what}; each of {len(known)} tested effects is exactly 0 ({table}, rows 1 to {len(frame)})."
    top = known.iloc[[0]]
    return cited(f"{what}; the largest effect{named(top)}: {top['verdict'].iloc[0]}", table, top.index)


def doses(frame: pd.DataFrame, sd: float) -> list[str]:
    """Say from which rung on each swept family shows, how steeply, and what the data alone would say."""
    lines = []
    for place, (_, row) in enumerate(frame.iterrows()):
        parts = [_largest(row, sd), *(_slope(row, sd) if row["mean_delta"] else []), *_seen(row, sd)]
        if row["untested"]:
            parts.append(f"not tested: {row['untested']}")
        lines.append(cited("; ".join(parts), "doses", [place]))
    return lines


def _largest(row: pd.Series, sd: float) -> str:
    rung, at = row["threshold_rung"], f"{row['largest_at']:.0f} AP"
    if row["mean_delta"] == 0:
        return f"{row['family']} does nothing at any tested rung"
    known = rung is not None and rung == rung
    start = f"shows from {rung:.0f} AP on" if known else "is not shown to go beyond the least effect that counts"
    return f"{row['family']} {start}; largest at {at}: {_effect(row, sd)}"


def _slope(row: pd.Series, sd: float) -> list[str]:
    slope = row["slope_per_ap"]
    if slope is None or math.isnan(slope):
        return []
    ends = [row[f"slope_per_ap_{end}"] / sd for end in ("low", "high")]
    within = "in every source build" if math.isnan(ends[0]) else f"[{ends[0]:+.4f}, {ends[1]:+.4f}]"
    return [f"slope {slope / sd:+.4f} sd per AP {within} up to {row['slope_up_to']:.0f} AP"]


def _seen(row: pd.Series, sd: float) -> list[str]:
    seen, gap = row["observational_delta"] / sd, row["confounding_gap"] / sd
    if math.isnan(seen):
        return ["no build here happens to show that rung"]
    return [f"builds that happen to show that rung differ by {seen:+.2f} sd (gap {gap:+.2f})"]


def cores(frame: pd.DataFrame) -> str:
    """Say what alone keeps the feature active."""
    if frame.empty:
        return "No set of families alone keeps it active in the contexts where it is highest."
    top = frame.iloc[0]
    others = counted(len(frame) - 1, "other minimal core") if len(frame) > 1 else "no other minimal core"
    known = not math.isnan(top["coverage_low"])
    within = f"[{top['coverage_low']:.0%}, {top['coverage_high']:.0%}]" if known else "without an interval"
    text = (
        f"Where it is highest, {top['core']} alone keeps it in {top['coverage']:.0%} of "
        f"{counted(int(top['n_holding']), 'context')} {within}; {others}"
    )
    return cited(text, "cores", [0])


def interactions(found: Result, frame: pd.DataFrame, sd: float) -> str:
    """Say how pairs combine, and what the largest interaction is worth."""
    custom = found.aggregates.custom
    kinds = ("synergy", "redundancy", "output_nonlinearity", "third_order", "none", "untested")
    words = {"third_order": "third order", "output_nonlinearity": "output nonlinearity", "none": "none established"}
    counts = [f"{words.get(kind, kind)} {custom[f'n_{kind}']}" for kind in kinds if custom.get(f"n_{kind}")]
    tested = frame[frame["p"].notna()]
    if tested.empty:
        return "No pair could be tested for an interaction."
    looked = f"{counted(found.aggregates.n_conditions or 0, 'pair')} looked at: {', '.join(counts)}"
    top = tested.iloc[0]
    effect = top.rename({"interaction_activation": "mean_delta"})
    place = "" if math.isnan(top["null_percentile"]) else f", percentile {top['null_percentile']:.0f} of like features"
    label, at = words.get(top["label"], top["label"]), [int(tested.index[0])]
    if top["interaction_activation"] == 0:
        return cited(f"{looked}; every interaction that was tested is exactly 0", "interactions", at)
    text = f"{looked}; the largest is {top['token_a']} x {top['token_b']}, {_effect(effect, sd)}, {label}{place}"
    return cited(text, "interactions", at)


def weapons(frame: pd.DataFrame, sd: float) -> list[str]:
    """Say what weapons do when they are swapped."""
    mine, weak = frame[frame["verdict"] == DRIVES], frame[frame["verdict"] == LIKE_OTHERS]
    if len(mine):
        moves = "moves" if len(mine) == 1 else "move"
        text = f"{len(mine)} of {counted(len(frame), 'weapon')} {moves} it in the same builds{_beside(mine)}"
        lines = [cited(f"{text}: {_named(mine, 'weapon', sd)}", "weapons", mine.index[:SHOWN])]
    elif untested := _untested("No weapon", frame, "weapons"):
        return [untested]
    else:
        what = (
            "No weapon, swapped into the same builds, is shown to move it beyond what counts and beyond like features"
        )
        lines = [_largest_of_none(what, frame, "weapons", lambda top: f" is {_named(top, 'weapon', sd)}")]
    if len(weak):
        text = f"{counted(len(weak), 'weapon moves', 'weapons move')} it no more than like features"
        lines.append(cited(f"{text}: {_named(weak, 'weapon', sd)}", "weapons", weak.index[:SHOWN]))
    return lines


def classes(frame: pd.DataFrame, sd: float) -> list[str]:
    """Say which classes of weapons move the feature as classes."""
    mine = frame[frame["verdict"] == DRIVES]
    if mine.empty:
        return []
    named = ", ".join(
        f"{row['kind']} ({counted(int(row['n_weapons']), 'weapon')}) {_effect(row, sd)}"
        for _, row in mine.head(SHOWN).iterrows()
    )
    more = f" and {len(mine) - SHOWN} more" if len(mine) > SHOWN else ""
    text = f"It is the class that does it for {counted(len(mine), 'weapon class', 'weapon classes')}: {named}{more}"
    return [cited(text, "weapon_classes", mine.index[:SHOWN])]


def correlated(tokens: pd.DataFrame | None, swapped: pd.DataFrame | None) -> list[str]:
    """Say what goes along with the feature and has no effect that counts, and what of that is undecided."""
    lines = []
    for frame, table, column in ((tokens, "drivers", "token"), (swapped, "weapons", "weapon")):
        if frame is None:
            continue
        only = frame[frame["verdict"] == CORRELATED]
        if len(only):
            some = counted(len(only), f"{column} goes", f"{column}s go")
            text = f"Only correlation: {some} along with it, an effect that counts is excluded: {_list(only, column)}"
            lines.append(cited(text, table, _places(only)))
        open_ = frame[(frame["verdict"] == UNDECIDED) & (frame["observed_p_adj"] <= 0.05)]
        if len(open_):
            some = counted(len(open_), f"{column} goes", f"{column}s go")
            text = f"Undecided: {some} along with it, too few contexts to tell whether it is a cause"
            lines.append(cited(f"{text}: {_list(open_, column, with_n=True)}", table, _places(open_)))
    return lines or ["Nothing that goes along with it is shown to have no effect that counts."]


def output(found: Result, frame: pd.DataFrame) -> str:
    """Say what the feature does to the output."""
    held = "as predicted" if found.aggregates.custom["prediction_holds"] else "NOT as the weights predict"
    up, down = frame.iloc[:3], frame.iloc[3:]
    text = (
        f"What it does: by its weights it raises {_list(up, 'token')} and lowers {_list(down, 'token')}; really set, "
        f"the output changed {held}"
    )
    return cited(text, "output", range(len(frame)))


def checks(frame: pd.DataFrame) -> list[str]:
    """Say how well the results replicate."""
    lines = []
    for place, (_, row) in enumerate(frame.iterrows()):
        answer = ("Yes" if row["check"] == "split_half" else "No") if row["passed"] else "Not shown"
        text = (
            f"How sure: {row['asks'].removesuffix('?')} ({row['target']})? {answer}: "
            f"{row['statistic']} {row['value']:.2f}, p {row['p']:.2g}"
        )
        lines.append(cited(text, "checks", [place]))
    return lines


def _tokens(frame: pd.DataFrame, sd: float) -> str:
    """Return tokens with their effects; a step says from where it leads, a family at which rung."""
    shown = []
    for _, row in frame.head(SHOWN).iterrows():
        where = f" (from {row['step_from']:.0f} AP)" if row["step_from"] > 0 else ""
        where = f" (at {row['standing_at']:.0f} AP)" if "standing_at" in row else where
        shown.append(f"{row['token']}{where} {_effect(row, sd)}")
    return _joined(shown, len(frame))


def _named(frame: pd.DataFrame, column: str, sd: float) -> str:
    return _joined([f"{row[column]} {_effect(row, sd)}" for _, row in frame.head(SHOWN).iterrows()], len(frame))


def _joined(shown: list[str], total: int) -> str:
    text = ", ".join(shown)
    return f"{text} and {total - len(shown)} more" if total > len(shown) else text


def _list(frame: pd.DataFrame, column: str, *, with_n: bool = False) -> str:
    some = frame.head(2 * SHOWN)
    names = [f"{row[column]} (n {int(row['n'])})" if with_n else str(row[column]) for _, row in some.iterrows()]
    return _joined(names, len(frame))


def _places(frame: pd.DataFrame) -> list[int]:
    return [int(place) for place in frame.index[: 2 * SHOWN]]


def _effect(row: pd.Series, sd: float) -> str:
    return effect_text(row, sd, "+.2f", "sd", joint=True)
