"""Restricting a comparison to some of the runs: ``n_train=300``, ``seed=0..7``, ``training=standard|grokking``.

A condition is a name, one of ``= != >= <= > <``, and a value. After ``=`` and ``!=`` there may be several values with
``|`` between them, and ranges ``a..b`` (both ends belong to it, either may be left out). A name is that of a field
(``training``, ``seed``, ``n_train``, ``started``, ...), of a param, also by its last part if that is unique, of a
metric or an aggregate, or ``tag.NAME``. ``started`` is compared with dates: a date alone is the whole day, in UTC.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from paribus.compare.values import names_of, value_of
from paribus.errors import ConfigError, nearest
from paribus.experiments.setup_runs import CollectedRun

FORM = re.compile(r"\s*([^=<>!]+?)\s*(!=|>=|<=|=|>|<)(?![=<>!])\s*(.*?)\s*", re.DOTALL)
DATES = ("started",)
TEXTS = ("run_id", "parent", "model_run", "sweep", "code_version", "experiment_type", "training", "condition")
"""Names whose values are texts, also where they look like numbers."""
EXAMPLE = "e.g. n_train=300, seed=0..7, training=standard|grokking, tag.sweep=ID or started>=2026-11-20"
MOST_SHOWN = 8


@dataclass(frozen=True)
class Span:
    """Numbers (or times, in seconds) from ``low`` to ``high``, an end belonging to it unless it is open."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def holds(self, number: float) -> bool:
        """Return whether ``number`` is one of them."""
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below


@dataclass(frozen=True)
class Condition:
    """One condition, read.

    Attributes:
        text: As it was written.
        name: What it is about.
        spans: Numbers or times that it names.
        words: Texts that it names, in lower case.
        negated: Whether it is about all others (``!=``).
    """

    text: str
    name: str
    spans: tuple[Span, ...]
    words: tuple[str, ...]
    negated: bool

    def fits(self, value: Any) -> bool:
        """Return whether a value fulfils it; a missing value fulfils none."""
        if value is None:
            return False
        number = _moment(value) if self.name in DATES else _number(value)
        named = str(value).lower() in self.words
        if number is not None and self.name not in TEXTS:
            named = named or any(span.holds(number) for span in self.spans)
        return named != self.negated


def check_where(owner: str, where: Sequence[str]) -> None:
    """Check that every condition can be read, and that a run could fulfil all of them.

    Raises:
        ConfigError: If one cannot, or two contradict each other.

    Example:
        >>> check_where("experiment", ["seed=0..7", "training=standard|grokking"])
    """
    conditions = [read(owner, text) for text in where]
    for name in dict.fromkeys(each.name for each in conditions):
        mine = [each for each in conditions if each.name == name]
        if not _possible(mine):
            listed = " and ".join(each.text for each in mine)
            raise ConfigError(f"{owner}.where: {listed} contradict each other, no run can have both")


def check_names(owner: str, where: Sequence[str], runs: Sequence[CollectedRun]) -> None:
    """Check a restriction against the existing runs.

    Raises:
        ConfigError: If a name is known of none of them, or no run fulfils all conditions.
    """
    if not runs:
        return
    for condition in (read(owner, text) for text in where):
        values = [value_of(run, condition.name) for run in runs]
        known = sorted({str(value) for value in values if value is not None}, key=lambda v: (_number(v) or 0.0, v))
        if not known:
            raise ConfigError(
                f"{owner}.where: {condition.text}: none of {len(runs)} runs has {condition.name!r}; "
                f"{nearest(condition.name, names_of(runs), show=MOST_SHOWN)}"
            )
        if not any(condition.fits(value) for value in values):
            shown = ", ".join(known[:MOST_SHOWN]) + (", ..." if len(known) > MOST_SHOWN else "")
            raise ConfigError(
                f"{owner}.where: {condition.text} fits none of {len(runs)} runs; {condition.name} is {shown}"
            )
    if where and not any(fits(run, where) for run in runs):
        raise ConfigError(f"{owner}.where: no run of {len(runs)} fulfils all of {', '.join(where)}")


def fits(run: CollectedRun, where: Sequence[str]) -> bool:
    """Return whether a run fulfils every condition; numbers are compared as numbers, however they were logged.

    Example:
        >>> run = CollectedRun("r", "i", "ablate", seed=3, params={"experiment.place": "fc"})
        >>> fits(run, ["seed=3"]), fits(run, ["seed=4"])
        (True, False)
    """
    conditions = (read("where", text) for text in where)
    return all(condition.fits(value_of(run, condition.name)) for condition in conditions)


def read(owner: str, text: str) -> Condition:
    """Parse a condition.

    Raises:
        ConfigError: If it cannot be read.

    Example:
        >>> read("experiment", "seed=0..7").name
        'seed'
    """
    found = FORM.fullmatch(text)
    if found is None or not found[3]:
        raise ConfigError(f"{owner}.where: cannot read {text!r}; a condition is NAME=VALUE, {EXAMPLE}")
    name, operator, value = found.groups()
    try:
        if operator in ("=", "!="):
            values = [each.strip() for each in value.split("|")]
            if not all(values):
                raise ValueError(f"there is nothing beside a '|' in {value!r}")
            spans = tuple(span for each in values if (span := _span(name, each)) is not None)
            words = tuple(each.lower() for each in values if name not in DATES)
            return Condition(text, name, spans, words, operator == "!=")
        return Condition(text, name, (_beyond(name, operator, value),), (), False)
    except ValueError as problem:
        raise ConfigError(f"{owner}.where: cannot read {text!r}: {problem}; {EXAMPLE}") from None


def _span(name: str, value: str) -> Span | None:
    """Return the numbers or times that a value names: itself, its day, or a range; None for a plain text.

    Raises:
        ValueError: If it is a range of something else, or no date where one is wanted.
    """
    low, dots, high = value.partition("..")
    if not dots or "/" in value or name in TEXTS:
        if name in DATES:
            return Span(*_day(value), open_high=True)
        number = _number(value)
        return None if number is None else Span(number, number)
    if not low and not high:
        raise ValueError("a range needs at least one end")
    if name in DATES:
        start = _day(low)[0] if low else -math.inf
        end = _day(high)[1] if high else math.inf
        span = Span(start, end, open_high=True)
    else:
        ends = [_number(end) if end else infinity for end, infinity in ((low, -math.inf), (high, math.inf))]
        if None in ends:
            raise ValueError(f"a range goes from number to number, got {value!r}")
        span = Span(float(ends[0] or 0.0), float(ends[1] or 0.0))
    if span.low > span.high:
        raise ValueError(f"the range {value!r} ends before it begins")
    return span


def _beyond(name: str, operator: str, value: str) -> Span:
    """Return the numbers or times on one side of a value; a date is the whole day."""
    if name in TEXTS:
        raise ValueError(f"{name} is a text, which is equal or not")
    if name in DATES:
        start, end = _day(value)
        return {
            ">=": Span(start, math.inf),
            ">": Span(end, math.inf),
            "<": Span(-math.inf, start, open_high=True),
            "<=": Span(-math.inf, end, open_high=True),
        }[operator]
    number = _number(value)
    if number is None:
        raise ValueError(f"{operator} wants a number (or a date after {DATES[0]}), got {value!r}")
    if operator in (">=", ">"):
        return Span(number, math.inf, open_low=operator == ">")
    return Span(-math.inf, number, open_high=operator == "<")


def _day(value: str) -> tuple[float, float]:
    """Return the first second of a date and that of the next day; of a moment, itself and the next second.

    Raises:
        ValueError: If it is neither.
    """
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is no date; write 2026-11-20 or 2026-11-20T18:30") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    whole = re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", value) is not None
    return moment.timestamp(), (moment + (timedelta(days=1) if whole else timedelta(seconds=1))).timestamp()


def _moment(value: Any) -> float | None:
    try:
        return _day(str(value))[0]
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _possible(conditions: Sequence[Condition]) -> bool:
    """Return whether one value could fulfil all conditions on a name: one that they name, or one between those."""
    if all(each.negated for each in conditions):
        return True
    ends = sorted({end for each in conditions for span in each.spans for end in (span.low, span.high)})
    finite = [end for end in ends if math.isfinite(end)]
    between = [(a + b) / 2 for a, b in zip(finite, finite[1:], strict=False)]
    outside = [finite[0] - 1, finite[-1] + 1] if finite else []
    words = {word for each in conditions for word in each.words}
    dates = conditions[0].name in DATES
    numbers = [datetime.fromtimestamp(x, UTC).isoformat() if dates else x for x in (*finite, *between, *outside)]
    return any(all(each.fits(value) for each in conditions) for value in (*numbers, *words))
