"""The groups of a comparison as runs of their own, and how a tracking UI shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paribus.results.schema import Curve
    from paribus.tracking.kept import KeptRun


@dataclass(frozen=True)
class GroupRun:
    """One group of a comparison.

    Attributes:
        name: What its run is called.
        group: The group.
        colour: Colour of its run, ``#rrggbb``.
        metrics: Its numbers; no run of the group has a metric of the same name.
        curves: Its curves.
        sources: Ids of the runs that it is made from.
    """

    name: str
    group: str
    colour: str
    metrics: Mapping[str, float]
    curves: tuple[Curve, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Groups:
    """The groups of a comparison, and how a UI shows them and their replicates.

    Attributes:
        comparison: The run of the comparison.
        same: Key shared by repeats of the same comparison; the later one supersedes the groups of the earlier.
        runs: The groups.
        lines: Names of the metrics of one curve each that belong into one chart: mean, lower end, upper end.
        replicates: Types of the runs compared.
        group_by: What they were grouped by: ``tag`` or ``param``, and the name.
        compared: Names of metrics of theirs to draw.
        histories: Names of those among them that are curves.
    """

    comparison: KeptRun
    same: str
    runs: tuple[GroupRun, ...]
    lines: tuple[tuple[str, ...], ...] = ()
    replicates: tuple[str, ...] = ()
    group_by: tuple[tuple[str, str], ...] = ()
    compared: tuple[str, ...] = ()
    histories: tuple[str, ...] = ()
