"""Whether patching along a direction does what the part of it that is read does (Makelov, Lange and Nanda 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from paribus.experiments.any._session import At
from paribus.factors._patch import Patches
from paribus.factors._patch_along import READ, UNREAD, AlongPatches
from paribus.methods.patch import Patched
from paribus.results.columns import interval
from paribus.stats.intervals import EQUAL_UNITS
from paribus.stats.ratios import Ratios, ratios_to

COLUMNS = {
    "along": "the direction that values are given along, or the part of it that the next linear map reads, or does not",
    "share_read": "effect of the part that is read, by itself, over that of the direction; missing where the latter is "
    "not established",
    **interval("share_read", "its 95 % interval over clusters"),
    "share_read_high": "upper end of that interval",
    "remark": "illusion: of the direction's effect less than half is left where only what is read of it is patched",
}
ILLUSION = "illusion"
NOT_TOLD = "not told apart: the place is not the input of a linear map"
UNDECIDED = "undecided: the interval of share_read holds one half"


def judge(at: At, patches: Sequence[Patches], found: Patched, labels: list[dict[str, object]]) -> None:
    """Fill in what the parts of each direction do, and warn of illusions; other rows are left as they are.

    Args:
        at: Where it was measured.
        patches: What each row patches: a direction, and after it the parts that are read and not.
        found: What that does.
        labels: What each row is; gets the columns.
    """
    for row, (one, label) in enumerate(zip(patches, labels, strict=True)):
        if not isinstance(one, AlongPatches):
            continue
        label |= {"level": f"{label['level']}, {one.along}", "along": one.along, "remark": ""}
        if one.along in (READ, UNREAD):
            continue
        if _part_after(patches, row) not in (READ, UNREAD):
            label["remark"] = NOT_TOLD
            continue
        share = _share_read(at, patches, found, row)
        ends = {"": share.value[0], "_low": share.low[0], "_high": share.high[0]}
        label |= {f"share_read{end}": float(value) for end, value in ends.items()}
        label["share_read_method"] = str(share.method[0])
        known = at.rows.complete or share.method[0] == EQUAL_UNITS
        if (share.value if known else share.high)[0] < 0.5:
            label["remark"] = ILLUSION
            around_it = "" if known else f" [{share.low[0]:.0%}, {share.high[0]:.0%}]"
            at.recorder.warn(
                f"{label['level']}: an illusion. Of its effect {share.value[0]:.0%}{around_it} is left where only "
                "the part that is read is patched: the effect of the direction depends on a part that the next linear "
                "map does not read."
            )
        elif share.low[0] <= 0.5:
            label["remark"] = UNDECIDED


def _part_after(patches: Sequence[Patches], row: int) -> str:
    """Return which part the next row patches; empty where it is no direction's, or there is none."""
    after = patches[row + 1] if row + 1 < len(patches) else None
    return after.along if isinstance(after, AlongPatches) else ""


def _share_read(at: At, patches: Sequence[Patches], found: Patched, row: int) -> Ratios:
    """Return the effect of the part that is read over that of the direction in ``row``; 0 where nothing of it is."""
    whole, part = (found.sums.rows(np.array([one])) for one in (row, row + 1))
    if _part_after(patches, row) != READ:
        part = replace(part, sums=np.zeros_like(part.sums))
    return ratios_to(
        *(whole, part),
        spec=at.setup.stats,
        rng=at.setup.rng("share_read"),
        otherwise="the direction's effect is too small",
        complete=at.rows.complete,
    )
