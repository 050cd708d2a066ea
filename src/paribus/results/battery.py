"""The table in which an experiment type has the effects that characterise a feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Battery:
    """A table whose rows are edits, each with its effect on the feature.

    Attributes:
        table: The table. Where it has a column ``k``, only rows of a single unit are edits: the strongest several are
            others for another feature.
        label: Columns that name an edit.
        value: Column of the effect.
        under: Params and aggregates of the run that its edits belong under, such as the factor that was varied.
        named: Param that names what is edited. Where it names nothing, the feature itself is edited, and the row is not
            evidence about what drives it; empty: none.
        own: Params by which edits are of parts of their network (unit 3, the first principal component), which are
            others in another network, each with the values of which that is true; no values: it is true of all.

    Example:
        >>> Battery("effects", ("level",)).value
        'mean_delta'
    """

    table: str
    label: tuple[str, ...]
    value: str = "mean_delta"
    under: tuple[str, ...] = ()
    named: str = ""
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
