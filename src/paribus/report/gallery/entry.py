"""What a gallery knows of a run, and how runs are linked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from paribus.results.schema import Result

if TYPE_CHECKING:
    from datetime import datetime

_HEX = re.compile(r"[0-9a-f]{32}")
COMPARISON = "runs"
"""Subject of a result that compares runs."""


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        run_id: Its id.
        name: Its name in the run list.
        status: ``FINISHED``, ``FAILED``, ``KILLED`` or ``RUNNING``.
        study: The MLflow experiment it is in.
        started: When it began.
        tags: What it can be filtered by: name to value.
        result: What it found; None where nothing can be read.
        figures: Its drawn figures, PNG bytes by name.
        parent: The run it is nested in.
        model_run: The run that trained its model.
        claim: The claim it answers, in a sentence; empty without.
        verdict: ``supported``, ``refuted`` or ``undecided``; empty without a claim.

    Example:
        >>> from datetime import UTC, datetime
        >>> began = datetime(2026, 1, 2, tzinfo=UTC)
        >>> Entry("0" * 32, "noise s0", "FINISHED", "mine", began, {"experiment": "noise"}).page
        'runs/00000000000000000000000000000000.html'
    """

    run_id: str
    name: str
    status: str
    study: str
    started: datetime
    tags: Mapping[str, str]
    result: Result | None = None
    figures: Mapping[str, bytes] = field(default_factory=dict)
    parent: str | None = None
    model_run: str | None = None
    claim: str = ""
    verdict: str = ""

    @property
    def page(self) -> str:
        """The file of its page, below the folder of the gallery.

        Raises:
            ValueError: If the id is none, so that nothing is ever written elsewhere.
        """
        if not _HEX.fullmatch(self.run_id):
            raise ValueError(f"{self.run_id!r} is no id of a run")
        return f"runs/{self.run_id}.html"

    @property
    def title(self) -> str:
        """What it is called in the gallery."""
        return self.name or self.run_id[:8]

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Ids of the runs that a comparison is made from, in order of appearance."""
        if self.result is None or self.result.subject != COMPARISON:
            return ()
        found: dict[str, None] = {}
        for table in self.result.tables.values():
            if "run_id" in table.frame.columns:
                found |= dict.fromkeys(str(each) for each in table.frame["run_id"] if _HEX.fullmatch(str(each)))
        return tuple(found)


def links(entry: Entry, entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Return the runs of the gallery that belong to one, by what they are to it: the closest first, then the earliest.

    Args:
        entry: The run.
        entries: All runs of the gallery.
    """
    found: dict[str, list[Entry]] = {why: [] for why in ORDER}
    for other in sorted(entries, key=lambda each: each.started):
        if other.run_id != entry.run_id and (why := _tie(entry, other)):
            found[why].append(other)
    return {why: others for why, others in found.items() if others}


def _tie(entry: Entry, other: Entry) -> str:
    """Return what another run is to one, as :data:`ORDER` names it; empty where it is nothing."""
    feature, kind = entry.tags.get("feature"), entry.tags.get("experiment")
    ties = {
        "part of": other.run_id == entry.parent,
        "step": other.parent == entry.run_id,
        "the training of its model": other.run_id == entry.model_run,
        "compared in": entry.run_id in other.sources,
        "compares": other.run_id in entry.sources,
        "same feature": feature and other.tags.get("feature") == feature and _same_model(entry, other),
        "same model": entry.model_run and other.model_run == entry.model_run,
        "same experiment": kind and kind == other.tags.get("experiment") and other.study == entry.study,
    }
    return next((why for why, holds in ties.items() if holds), "")


def _same_model(one: Entry, other: Entry) -> bool:
    """Return whether two runs examine one model, as far as runs say: a name of a feature means nothing in another."""
    return one.model_run == other.model_run and one.tags.get("model") == other.tags.get("model")


ORDER = (
    *("part of", "the training of its model", "step", "compared in", "compares", "same feature", "same model"),
    "same experiment",
)
"""Why runs are linked, the closest first."""


def features(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Return the runs about each feature, by the feature's name.

    Example:
        >>> features([])
        {}
    """
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if (feature := entry.tags.get("feature")) is not None:
            found.setdefault(feature, []).append(entry)
    return found


def choices(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Return the tags that tell runs apart, each with its values: what the overview filters by.

    Example:
        >>> choices([])
        {}
    """
    values: dict[str, list[str]] = {}
    for entry in entries:
        for name, value in {**entry.tags, "status": entry.status, "study": entry.study}.items():
            values.setdefault(name, []).append(value)
    return {
        name: sorted(set(found), key=_natural)
        for name, found in values.items()
        if len(set(found)) > 1 or len(found) < len(entries)
    }


def _natural(text: str) -> Any:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
