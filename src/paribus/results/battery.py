"""Where an experiment type keeps the effects that, together, describe a feature."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Battery:
    """A table whose rows are edits, each with its effect on the feature.

    Attributes:
        table: The table.
        label: Columns that name an edit.
        value: Column of the effect.
        under: Param of the run that its edits belong under, such as the factor that was varied; empty: none.
        named: Param that names what is edited. Where it names nothing the feature itself is edited, and nothing is said
            of what moves it; empty: none.

    Example:
        >>> Battery("effects", ("level",)).value
        'mean_delta'
    """

    table: str
    label: tuple[str, ...]
    value: str = "mean_delta"
    under: str = ""
    named: str = ""
