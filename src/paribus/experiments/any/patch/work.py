"""The work of patching."""

from __future__ import annotations

from collections.abc import Sequence

from paribus.experiments.any._effect_map import WHERE, draw_map
from paribus.experiments.any._effect_vector import by_rows
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import forest
from paribus.experiments.any._session import At, at_checkpoints
from paribus.experiments.any._share_of_total import COLUMNS as SHARE_OF_TOTAL
from paribus.experiments.any.patch import illusion
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.any.patch.ways import ways_of
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors.spec import PatchAlong
from paribus.methods.patch import Patched
from paribus.results.schema import Aggregates
from paribus.stats.clusters import ClusterSums, joined

COLUMNS = {
    "direction": "where values come from, and what they are put into",
    "site": "the module",
    "part": "channels, heads or positions there; all where empty",
    **SHARE_OF_TOTAL,
}


def run(experiment: Patch, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Patch at every checkpoint; hand over ``effects`` and its figures.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If contexts have no donor.
    """
    parts: list[Part] = []
    ways = ways_of(experiment, setup)
    for at in at_checkpoints(experiment, setup, recorder):
        for way in ways:
            patches, found = way.measured(experiment, at)
            labels = way.labels(at, patches, found)
            illusion.judge(at, patches, found, labels)
            parts.append(Part.of(at, labels, found, found.means))
            _say_unmoved(recorder, labels, found)
    named = {name: said for name, said in WHERE.items() if name in parts[0].rows[0]}
    named |= illusion.COLUMNS if isinstance(experiment.factor, PatchAlong) else {}
    to = Reported.of(at, {**COLUMNS, **named})
    frame = effects(to, parts, what="One row per checkpoint, direction and place patched.")
    says, others = "Hatched: 2.5 to 97.5 % of donors at random.", {"null_label": "donors at random"}
    forest(to, frame, "patch", "Effect of patching", says, group="direction", **others)
    draw_map(recorder, "patch_map", "Effect of patching", frame, to.kind, panel="direction")
    return summed_up(to, frame, baseline_mean=found.base)


def _rows(experiment: Patch, at: At) -> tuple[Sequence[str], ClusterSums]:
    """Measure the effect of every place, patched one way after the other."""
    ways = ways_of(experiment, at.setup)
    found = [way.measured(experiment, at)[1].sums for way in ways]
    labels = [f"{place}, {way.name}" if len(ways) > 1 else place for way in ways for place in experiment.at()]
    return labels, joined(found)


def _compared(experiment: Patch, setup: NetworkSetup) -> int:
    """Look up everything that is named, at every place; return how many rows there are."""
    ways, executor = ways_of(experiment, setup), setup.executor()
    return len([way.patch(experiment, setup, executor, place) for way in ways for place in experiment.at()])


def _say_unmoved(recorder: Recorder, labels: list[dict[str, object]], found: Patched) -> None:
    still = (found.sums.means == 0) & (found.sums.sd == 0)
    if still.any():
        names = ", ".join(str(label["level"]) for label, flag in zip(labels, still, strict=True) if flag)
        recorder.warn(f"Patching changes nothing at all at {names}: what is read does not depend on it there.")


validate, effect_vector, promised = by_rows(_compared, _rows)
