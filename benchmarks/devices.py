"""Does every experiment type find on CUDA what it finds on the CPU? Tables side by side, within stated tolerances.

    python -m benchmarks.devices --device cuda

Every case of the golden tables is measured on the CPU and on the device, in one process. Single precision on CUDA
adds up in another order, so values differ by rounding; what a threshold or a rank makes of them differs more. The
tolerances say how much is accepted:

* values: relative to the largest of their column, ``VALUES`` (a share of 60 images moves by one of them);
* p-values and percentiles: ``P`` and ``PERCENTILE``, because a resample or a null draw may change its rank;
* ends of intervals: ``INTERVALS``, relative to the largest value of their column;
* texts and counts: equal in all but ``TEXTS`` of the entries (verdicts at a threshold).

In a half format (``--dtype bfloat16``) numbers have two to three digits; whether every type runs and what differs is
printed, and only what fails counts. ``--device cpu --dtype float64`` shows which numbers rounding alone moves. Exit
code 1 if a case is outside, or fails.
"""

from __future__ import annotations

import argparse
import importlib
import math
import multiprocessing
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from paribus.errors import ConfigError

Row = dict[str, Any]

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
VALUES, INTERVALS, P, PERCENTILE, TEXTS = 2e-2, 3e-2, 0.02, 3.0, 0.02


@dataclass(frozen=True)
class Gap:
    """The largest difference of one column.

    Attributes:
        where: Table and column.
        kind: ``values``, ``intervals``, ``p``, ``percentile`` or ``texts``.
        size: The difference, in the unit of its tolerance.
        allowed: The tolerance.
    """

    where: str
    kind: str
    size: float
    allowed: float

    @property
    def is_outside(self) -> bool:
        """Whether it is too large."""
        return self.size > self.allowed


def gaps(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[Gap]:
    """Yield the largest difference of every column of every table of two results (as JSON data)."""
    for name, table in expected["tables"].items():
        other = found["tables"].get(name)
        if other is None or len(other["rows"]) != len(table["rows"]) or other["columns"] != table["columns"]:
            yield Gap(name, "texts", math.inf, TEXTS)
            continue
        rows = _named_alike(table["rows"], other["rows"])
        for column in (column for column in table["columns"] if not column.startswith("parity_")):  # rounding itself
            yield column_gap(f"{name}.{column}", *([row[column] for row in one] for one in rows))


def _named_alike(a: list[Row], b: list[Row]) -> tuple[list[Row], list[Row]]:
    """Return the rows in one order where their texts name the same ones: equal values may rank differently."""

    def name(row: Row) -> tuple[str, ...]:
        return tuple(f"{column}={value}" for column, value in row.items() if isinstance(value, str))

    names = {name(row) for row in a}
    if len(names) == len(a) and names == {name(row) for row in b}:
        return sorted(a, key=name), sorted(b, key=name)
    return a, b


def column_gap(where: str, a: list[Any], b: list[Any]) -> Gap:
    """Return the largest difference of two columns of equal length."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (*a, *b) if one is not None)
    real = numbers and any(isinstance(one, float) for one in (*a, *b))
    if not real:
        differing = sum(one != other for one, other in zip(a, b, strict=True))
        return Gap(where, "texts", differing / max(1, len(a)), TEXTS)
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if not (_missing(x) and _missing(y))]
    if any(_missing(x) != _missing(y) for x, y in pairs):
        return Gap(where, "texts", sum(_missing(x) != _missing(y) for x, y in pairs) / len(pairs), TEXTS)
    largest = max((abs(x - y) for x, y in pairs), default=0.0)
    name = where.rpartition(".")[2]
    if name == "p" or name.startswith(("p_", "trend_p")):
        return Gap(where, "p", largest, P)
    if name.endswith("percentile"):
        return Gap(where, "percentile", largest, PERCENTILE)
    scale = max((abs(x) for x, _ in pairs), default=0.0) or 1.0
    ends = name.endswith(("_low", "_high"))
    return Gap(where, "intervals" if ends else "values", largest / scale, INTERVALS if ends else VALUES)


def main() -> int:
    """Measure the cases on both devices and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="what the CPU is compared with")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64", "bfloat16", "float16"))
    parser.add_argument("--case", action="append", help="only this case (may be repeated)")
    parser.add_argument("--workers", type=int, default=1, help="cases that are measured at the same time")
    options = parser.parse_args()
    names = options.case or [name for name, words in _golden().declared.cases().items() if "device=cpu" in words]
    verdicts = {"within": 0, "outside": 0, "refused": 0, "failed": 0}
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        for verdict, lines in pool.map(compared, names, repeat(options.device), repeat(options.dtype)):
            verdicts[verdict] += 1
            print("\n".join(lines), flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    return 1 if verdicts["failed"] or (verdicts["outside"] and not options.dtype.endswith("16")) else 0


def compared(name: str, device: str, dtype: str) -> tuple[str, list[str]]:
    """Return whether a case is within, outside, refused in this format or failed, and what is said of it."""
    golden = _golden()
    expected = golden.measure(name)
    try:
        found = golden.measure(name, device=device, dtype=dtype)
    except ConfigError as error:
        return ("refused" if "device.dtype" in str(error) else "failed"), [f"{name}: refused: {error}"]
    except Exception:
        return "failed", [f"{name}: failed", traceback.format_exc()]
    every = list(gaps(expected, found))
    wrong = [gap for gap in every if gap.is_outside]
    worst = {kind: max((g.size for g in every if g.kind == kind), default=0.0) for kind in _KINDS}
    verdict = "outside" if wrong else "within"
    lines = [f"{name}: {verdict}; " + ", ".join(f"{kind} {size:.2g}" for kind, size in worst.items())]
    lines += [f"  {gap.where}: {gap.kind} differ by {gap.size:.3g}, allowed {gap.allowed:g}" for gap in wrong]
    return verdict, lines


def _golden() -> Any:
    if str(GOLDEN) not in sys.path:
        sys.path.insert(0, str(GOLDEN))
    return importlib.import_module("golden")


_KINDS = ("values", "intervals", "p", "percentile", "texts")


def _missing(value: Any) -> bool:
    return value is None or value == "NaN" or (isinstance(value, float) and math.isnan(value))


if __name__ == "__main__":
    sys.exit(main())
