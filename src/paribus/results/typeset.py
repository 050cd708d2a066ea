"""Tables as Markdown and as LaTeX, for papers and notes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 200
MOST_COLUMNS = 14
DIGITS = 4
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "−": r"$-$", "±": r"$\pm$", "·": r"$\cdot$", "∞": r"$\infty$", "≤": r"$\leq$", "≥": r"$\geq$",
}  # fmt: skip


def fits(frame: pd.DataFrame) -> bool:
    """Return whether a table is small enough for a page.

    Example:
        >>> import pandas as pd
        >>> fits(pd.DataFrame({"n": range(10)})), fits(pd.DataFrame({"n": range(1000)}))
        (True, False)
    """
    return 0 < len(frame) <= MOST_ROWS and 0 < len(frame.columns) <= MOST_COLUMNS


def markdown(frame: pd.DataFrame) -> str:
    r"""Return a table as GitHub's Markdown, numbers to four significant digits and to the right.

    Example:
        >>> import pandas as pd
        >>> print(markdown(pd.DataFrame({"group": ["a|b"], "mean": [0.123456]})))
        | group | mean |
        | --- | ---: |
        | a\|b | 0.1235 |
        <BLANKLINE>
    """
    rules = ["---:" if _numeric(frame[name]) else "---" for name in frame.columns]
    rows = [list(map(str, frame.columns)), rules, *_cells(frame)]
    return "".join(f"| {' | '.join(cell if row is rules else _line(cell) for cell in row)} |\n" for row in rows)


def latex(frame: pd.DataFrame, *, caption: str = "", label: str = "") -> str:
    r"""Return a table as LaTeX for the package ``booktabs``, numbers to four significant digits and to the right.

    Args:
        frame: The rows.
        caption: Its caption; empty for none.
        label: Its label; empty for none.

    Example:
        >>> import pandas as pd
        >>> print(latex(pd.DataFrame({"group": ["a_b"], "n": [8]}), caption="Means.", label="tab:means"))
        \begin{table}
        \centering
        \caption{Means.}
        \label{tab:means}
        \begin{tabular}{lr}
        \toprule
        group & n \\
        \midrule
        a\_b & 8 \\
        \bottomrule
        \end{tabular}
        \end{table}
        <BLANKLINE>
    """
    sides = "".join("r" if _numeric(frame[name]) else "l" for name in frame.columns)
    lines = [r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{escaped(caption)}}}"] if caption else []
    lines += [rf"\label{{{label}}}"] if label else []
    lines += [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", _row(list(map(str, frame.columns))), r"\midrule"]
    lines += [_row(row) for row in _cells(frame)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def escaped(text: str) -> str:
    r"""Return a text as LaTeX shows it letter by letter.

    Example:
        >>> print(escaped("50 % of a_b"))
        50 \% of a\_b
    """
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def _row(cells: Sequence[str]) -> str:
    return " & ".join(escaped(cell) for cell in cells) + r" \\"


def _line(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _numeric(column: pd.Series[Any]) -> bool:
    return str(getattr(column.dtype, "kind", "O")) in "iufc"


def _cells(frame: pd.DataFrame) -> list[list[str]]:
    return [[_shown(cell) for cell in row] for row in frame.itertuples(index=False)]


def _shown(value: Any) -> str:
    """Return a cell: numbers without needless digits, nothing where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None or type(value).__name__ == "NAType" else str(value)
    if isinstance(value, int) or not math.isfinite(value):
        return "" if value != value else str(value)
    text = f"{value:.{DIGITS}g}"
    return f"{value:.{DIGITS - 1}e}" if "e" in text else text.replace("-", "−")
