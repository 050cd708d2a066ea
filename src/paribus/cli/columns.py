"""Plain text in aligned columns."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), indent: str = "") -> str:
    """Return ``rows`` as lines with columns two spaces apart; the last column is not padded.

    Example:
        >>> print(aligned([["a", "1"], ["long name", "22"]], header=["name", "n"]))
        name       n
        a          1
        long name  22
    """
    every = [list(header), *rows] if header else list(rows)
    if not every:
        return ""
    widths = [max(len(row[i]) for row in every) for i in range(len(every[0]))]
    widths[-1] = 0
    return "\n".join(indent + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in every)
