"""The findings of a result as sentences that its experiment type declares: which rows of which table, in which words.

A type that writes its own sentences puts them under ``summary`` into the aggregates, and these are kept as they are.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paribus.stats.intervals import DIVERGENCE, EQUAL_UNITS, NO_SAMPLE

if TYPE_CHECKING:
    import pandas as pd

    from paribus.results.schema import Aggregates

SHOWN = 4
"""Rows that a sentence names; the others are counted."""
MIDDLE = (2.5, 97.5)
"""Percentiles between which a value lies like its null."""


@dataclass(frozen=True)
class Effects:
    """Sentences about the rows of a table of effects: which are established, beside what null, and what is left open.

    A row is established where its adjusted p is within the level and the interval that holds for all rows together
    leaves out the reference, as :func:`paribus.stats.effects.established` says; without an interval it is so only where
    all units are equal. The others are undecided, which is not the same as absent, or exactly at the reference. Effects
    over all contexts there are are neither: they are known without a test, and told by their size.

    Attributes:
        table: Name of the table.
        row: How a row is called, with columns in braces: ``{level}, {direction}``.
        of: What changes: with columns, or entries of the aggregates, in braces.
        value: Column of the effect.
        ends: Names of the columns of the simultaneous interval: ``ci_adj_{}``, beside the ``ci_method`` that made
            it.
        p: Column of the adjusted p.
        rows: Column to the value it has in the rows that are told, at the last checkpoint; braces name an entry of the
            aggregates.
        null: What the null is called, with columns in braces; empty: none is told.
        percentile: Column of the percentile in it.
        reference: The value that means no effect.

    Example:
        >>> import pandas as pd
        >>> from paribus.results.schema import Aggregates
        >>> rows = {"level": ["low", "high"], "mean_delta": [0.0, 0.5], "ci_adj_low": [-0.1, 0.3]}
        >>> frame = pd.DataFrame({**rows, "ci_adj_high": [0.1, 0.7], "p_adj": [0.9, 0.001]})
        >>> for line in Effects("effects", "{level}", "change of the margin").told(frame, Aggregates(), 0.05):
        ...     print(line)
        Change of the margin: established in 1 of 2 rows tested: high +0.5 [+0.3, +0.7] (effects).
        The other one is undecided, which is not absent: its interval is [−0.1, +0.1].
    """

    table: str
    row: str
    of: str
    value: str = "mean_delta"
    ends: str = "ci_adj_{}"
    p: str = "p_adj"
    rows: Mapping[str, str] = field(default_factory=dict)
    null: str = ""
    percentile: str = "null_percentile"
    reference: float = 0.0

    def told(self, frame: pd.DataFrame, aggregates: Aggregates, level: float) -> Iterator[str]:
        """Yield the sentences about a table.

        Args:
            frame: Its rows.
            aggregates: What the type sums up, for the braces.
            level: Level of the adjusted p.
        """
        rows = [_Row(self, values) for values in _fitting(frame, self.rows, aggregates)]
        of = _capital(_filled(self.of, {**aggregates.custom, **(rows[0].values if rows else {})}))
        if any(row.complete for row in rows):
            yield self._known(of, [row for row in rows if math.isfinite(row.value)])
            return
        tested = [row for row in rows if math.isfinite(row.p) and math.isfinite(row.value)]
        if not tested:
            yield f"{of}: {self._untested(rows)}."
            return
        found = sorted((row for row in tested if row.established(level)), key=lambda row: -row.size)
        open_ = [row for row in tested if not row.established(level)]
        if len(tested) == 1:
            if tested[0].exact:
                name = _filled(self.row, tested[0].values)
                yield f"{of}: {name} is exactly {number(self.reference)} in every context ({self.table})."
                return
            word = "established" if found else "undecided, which is not absent"
            yield f"{of}: {tested[0]}, {_p(tested[0].p)}: {word}{self._beside(found, alone=True)} ({self.table})."
            return
        listed = f": {_named(found)}" if found else ""
        yield (
            f"{of}: established in {len(found) or 'none'} of {len(tested)} rows tested{listed}{self._beside(found)} "
            f"({self.table})."
        )
        if open_:
            yield _left_open(open_, self.reference, any_found=bool(found))

    def _untested(self, rows: Sequence[_Row]) -> str:
        """Say that nothing was tested; of divergences, which cannot be, which are largest and where in their null."""
        known = [row for row in rows if row.divergence and math.isfinite(row.value)]
        if not known:
            return f"no row could be tested ({self.table}, {len(rows)} rows)"
        largest = sorted(known, key=lambda row: -row.size)[:SHOWN]
        return (
            f"a divergence, which has no test against 0; of {len(known)} rows the largest {_be(len(largest))} "
            f"{_named(largest)}{self._beside(largest)} ({self.table})"
        )

    def established_rows(self, frame: pd.DataFrame, aggregates: Aggregates, level: float) -> list[_Row]:
        """Return the rows of a table that are established; arguments as for :meth:`told`."""
        rows = [_Row(self, values) for values in _fitting(frame, self.rows, aggregates)]
        return [row for row in rows if math.isfinite(row.value) and row.established(level)]

    def _known(self, of: str, rows: Sequence[_Row]) -> str:
        """Tell effects over all contexts there are: the largest ones, and how many are exactly at the reference."""
        moved = sorted((row for row in rows if not row.still), key=lambda row: -row.size)
        n_still = len(rows) - len(moved)
        exactly = f"exactly {number(self.reference)} in every context"
        if not moved:
            return f"{of}: {exactly}{f' in all {len(rows)} rows' if len(rows) > 1 else ''} ({self.table})."
        rest = f"; {n_still} {_be(n_still)} {exactly}" if n_still else ""
        return (
            f"{of}, over all contexts there are, so that nothing is tested: {_named(moved)}"
            f"{self._beside(moved, alone=len(moved) == 1)}{rest} "
            f"({self.table})."
        )

    def _beside(self, found: Sequence[_Row], *, alone: bool = False) -> str:
        """Say how many of the rows that are told lie outside the middle of their null."""
        places = [row for row in found if math.isfinite(row.percentile)]
        if not self.null or not places:
            return ""
        null = " or ".join(dict.fromkeys(_filled(self.null, row.values) for row in places))
        outside = sum(not MIDDLE[0] <= row.percentile <= MIDDLE[1] for row in places)
        if alone:
            return f", {'outside' if outside else 'inside'} the middle 95 % of {null}"
        return f"; {outside} of {len(places)} of these outside the middle 95 % of {null}"


@dataclass(frozen=True)
class Sentence:
    """One sentence made from entries of the aggregates or of a row, left out where one of them is missing.

    Attributes:
        text: The sentence, with entries in braces; ``{name:share}`` writes a share in percent, ``{name:signed}`` a
            change with its sign, ``{name:list}`` the first of a list.
        when: Entry that must be true, or false where it begins with ``!``; empty: always.
        table: Table whose first fitting row is told, of the last checkpoint where it has several; empty: none.
        rows: Column to the value it has in that row; braces name an entry of the aggregates.

    Example:
        >>> from paribus.results.schema import Aggregates
        >>> found = Aggregates(custom={"acc": 0.9125, "top": ["a", "b"]})
        >>> list(Sentence("Accuracy {acc:share}; first {top:list}.").told({}, found))
        ['Accuracy 91 %; first a, b.']
        >>> list(Sentence("It never came.", when="!acc").told({}, found))
        []
    """

    text: str
    when: str = ""
    table: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)

    def told(self, tables: Mapping[str, pd.DataFrame], aggregates: Aggregates) -> Iterator[str]:
        """Yield the sentence, or nothing."""
        known = {**_numbers_of(aggregates), **aggregates.custom}
        if self.table:
            if self.table not in tables or not (fitting := _fitting(tables[self.table], self.rows, aggregates)):
                return
            known |= fitting[0]
        if self.when and bool(known.get(self.when.lstrip("!"))) == self.when.startswith("!"):
            return
        wanted = {name for _, name, _, _ in string.Formatter().parse(self.text) if name}
        if all(_is_known(known.get(name)) for name in wanted):
            yield _filled(self.text, known)


Told = Effects | Sentence


def sentences(
    declared: Sequence[Told], tables: Mapping[str, pd.DataFrame], aggregates: Aggregates, level: float
) -> list[str]:
    """Return what the declared sentences say of a result.

    Args:
        declared: What its experiment type declares.
        tables: Its tables by name.
        aggregates: Its aggregates.
        level: Level of adjusted p.

    Example:
        >>> from paribus.results.schema import Aggregates
        >>> sentences([Sentence("{n_samples} contexts.")], {}, Aggregates(n_samples=3), 0.05)
        ['3 contexts.']
    """
    lines: list[str] = []
    for each in declared:
        if isinstance(each, Sentence):
            lines += each.told(tables, aggregates)
        elif each.table in tables:
            lines += each.told(tables[each.table], aggregates, level)
    return lines


class _Row:
    """A row with the numbers that a sentence needs."""

    def __init__(self, told: Effects, values: dict[str, Any]) -> None:
        self.told, self.values = told, values
        self.value, self.p = _float(values.get(told.value)), _float(values.get(told.p))
        self.low, self.high = (_float(values.get(told.ends.format(end))) for end in ("low", "high"))
        self.equal = values.get(told.ends.replace("adj_{}", "method")) == EQUAL_UNITS
        self.percentile = _float(values.get(told.percentile))
        self.complete = values.get(told.ends.replace("adj_{}", "method")) == NO_SAMPLE
        self.divergence = values.get("p_method") == DIVERGENCE
        self.still = self.value == told.reference and _float(values.get("std_delta")) == 0.0

    @property
    def size(self) -> float:
        """How far it is from no effect; of a ratio on the log scale."""
        if self.told.reference == 1.0 and self.value > 0:
            return abs(math.log(self.value))
        return abs(self.value - self.told.reference)

    def established(self, level: float) -> bool:
        reference = self.told.reference
        if not self.p <= level:
            return False
        return self.low > reference or self.high < reference or (self.equal and self.value != reference)

    @property
    def exact(self) -> bool:
        """Whether nothing moves in any context."""
        return self.low == self.value == self.high == self.told.reference

    def __str__(self) -> str:
        """Return the name, the effect and its interval."""
        signed = self.told.reference == 0.0
        known = math.isfinite(self.low) and math.isfinite(self.high)
        ends = f" [{number(self.low, signed=signed)}, {number(self.high, signed=signed)}]" if known else ""
        return f"{_filled(self.told.row, self.values)} {number(self.value, signed=signed)}{ends}"


def _named(rows: Sequence[_Row]) -> str:
    """Return the first rows by name, the others counted."""
    return ", ".join(map(str, rows[:SHOWN])) + (f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")


def _fitting(frame: pd.DataFrame, wanted: Mapping[str, str], aggregates: Aggregates) -> list[dict[str, Any]]:
    """Return the rows of the last checkpoint that have the wanted values."""
    if "epoch" in frame.columns and len(frame):
        frame = frame[frame["epoch"] == frame["epoch"].max()]
    values = {column: _filled(value, aggregates.custom) for column, value in wanted.items()}
    records = [{str(column): value for column, value in row.items()} for row in frame.to_dict("records")]
    return [row for row in records if all(str(row.get(column)) == value for column, value in values.items())]


def _left_open(rows: Sequence[_Row], reference: float, *, any_found: bool) -> str:
    """Say of the rows that are not established which are undecided, and which are exactly at the reference."""
    undecided = [row for row in rows if not row.exact]
    whole = "the other one" if len(rows) == 1 else f"the other {len(rows)}" if any_found else f"all {len(rows)}"
    n_exact = len(rows) - len(undecided)
    exactly = f"{_be(n_exact)} exactly {number(reference)} in every context"
    if not undecided:
        return f"{_capital(whole)} {exactly}."
    said = f"{_be(len(undecided))} undecided, which is not absent{_reach(undecided, reference)}"
    if not n_exact:
        return f"{_capital(whole)} {said}."
    return f"Of {whole}, {len(undecided)} {said}; {n_exact} {exactly}."


def _be(n: int) -> str:
    return "is" if n == 1 else "are"


def _reach(rows: Sequence[_Row], reference: float) -> str:
    """Say over what the intervals of undecided rows reach, and of how many where some have none."""
    known = [row for row in rows if math.isfinite(row.low) and math.isfinite(row.high)]
    if not known:
        return ": there is no interval" if len(rows) == 1 else ": none has an interval"
    low, high = min(row.low for row in known), max(row.high for row in known)
    ends = f"[{number(low, signed=reference == 0.0)}, {number(high, signed=reference == 0.0)}]"
    if len(known) < len(rows):
        return f": {len(known)} of them {'has an interval' if len(known) == 1 else 'have intervals'}, over {ends}"
    return f": its interval is {ends}" if len(rows) == 1 else f": their intervals together reach over {ends}"


def number(value: float, *, signed: bool = False) -> str:
    """Return a number to three digits, its minus a real one.

    >>> number(-0.12345), number(0.5, signed=True), number(1234567.0)
    ('−0.123', '+0.5', '1.23e+06')
    """
    text = f"{value:+.3g}" if signed and value else f"{value:.3g}"
    return text.replace("-", "−")


def _p(p: float) -> str:
    return "adjusted p < .001" if p < 0.001 else f"adjusted p = {p:.2g}"


class _Formatter(string.Formatter):
    """Fills braces with numbers to three digits, shares in percent, lists by their first entries."""

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs.get(str(key), "")

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "share":
            text = f"{100 * float(value):.0f} %"
            return "0 %" if text == "-0 %" else text.replace("-", "−")
        if format_spec == "signed":
            return number(float(value), signed=True)
        if format_spec == "list":
            some = [str(each) for each in value][: 2 * SHOWN]
            more = f" and {len(value) - len(some)} more" if len(value) > len(some) else ""
            return ", ".join(some) + more if some else "none"
        if format_spec:
            return str(format(value, format_spec)).replace("-", "−")
        return number(value) if isinstance(value, float) else str(value)


def _filled(text: str, values: Mapping[str, Any]) -> str:
    return _Formatter().vformat(text, (), {str(key): value for key, value in values.items()})


def _numbers_of(aggregates: Aggregates) -> dict[str, Any]:
    return {name: getattr(aggregates, name) for name in ("mean_delta", "std_delta", "n_samples", "n_conditions")}


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
