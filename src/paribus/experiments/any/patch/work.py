"""The work of patching."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from paribus.errors import ConfigError, DataError
from paribus.experiments.any._effect_map import WHERE, draw_map, parts_of
from paribus.experiments.any._effect_vector import at_one, vector_of
from paribus.experiments.any._effect_vector import promised as promise
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import forest
from paribus.experiments.any._session import At, Rows, at_checkpoints, bind, look_up, place_of, rows_of
from paribus.experiments.any.generic import AUTO
from paribus.experiments.any.patch import illusion
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import EffectVector, Promised
from paribus.experiments.setup import NetworkSetup
from paribus.factors._patch import Patches
from paribus.factors.spec import Patch as PatchFactor
from paribus.factors.spec import PatchAlong
from paribus.measure.executor import Executor
from paribus.measure.place import Place
from paribus.methods.patch import Patched, patch
from paribus.results.columns import interval
from paribus.results.schema import Aggregates
from paribus.stats.clusters import joined
from paribus.stats.ratios import ratios_to

COLUMNS = {
    "direction": "where values come from, and what they are put into",
    "site": "the module",
    "part": "channels, heads or positions there; all where empty",
    "total": "mean difference of the donors, whole, to the contexts: what patching everything would do",
    "share": "mean_delta / total, a ratio of means; missing where total is within 3 standard errors of 0",
    **interval("share", "its 95 % interval over clusters"),
    "share_high": "upper end of that interval",
}


@dataclass(frozen=True)
class _Way:
    """One direction: what is patched with what."""

    factor: PatchFactor
    rows: Rows
    name: str


def validate(experiment: Patch, setup: NetworkSetup) -> None:
    """Look up everything that is named, at every place."""
    look_up(experiment, setup)
    executor = setup.executor()
    for way in _ways(experiment, setup):
        for place in experiment.at():
            _bound(experiment, setup, executor, way, place)


def run(experiment: Patch, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Patch at every checkpoint; hand over ``effects`` and its figures.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If contexts have no donor.
    """
    parts: list[Part] = []
    ways = _ways(experiment, setup)
    for at in at_checkpoints(experiment, setup, recorder, ways[0].rows):
        for way in ways:
            patches = _patches(experiment, setup, at.executor, way)
            found = _measured(patches, at, way, experiment)
            labels = _labels(at, way, patches, found)
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


def effect_vector(experiment: Patch, setup: NetworkSetup, recorder: Recorder) -> EffectVector:
    """Return the effect of every place, patched one way after the other."""
    ways = _ways(experiment, setup)
    at = at_one(experiment, setup, recorder, ways[0].rows)
    found = [_measured(_patches(experiment, setup, at.executor, way), at, way, experiment).sums for way in ways]
    labels = [f"{place}, {way.name}" if len(ways) > 1 else place for way in ways for place in experiment.at()]
    return vector_of(at, labels, joined(found))


def promised(experiment: Patch, setup: NetworkSetup) -> Promised:
    """Return what is known of that vector beforehand.

    Raises:
        ConfigError: If directions are patched: how many parts each has is only known afterwards.
    """
    if isinstance(experiment.factor, PatchAlong):
        raise ConfigError("experiment.target.factor: patch_along has no vector of effects to compare; use factor=patch")
    ways = _ways(experiment, setup)
    return promise(experiment, setup, len(ways) * len(experiment.at()), ways[0].rows)


def _patches(experiment: Patch, setup: NetworkSetup, executor: Executor, way: _Way) -> list[Patches]:
    """Return what is patched, a row each, named as it was asked for: places, or directions and their parts."""
    found: list[Patches] = []
    for text in experiment.at():
        bound = replace(_bound(experiment, setup, executor, way, text), name=text)
        found += bound.parts(executor, way.rows.fit)
    return found


def _measured(patches: list[Patches], at: At, way: _Way, experiment: Patch) -> Patched:
    return patch(
        at.executor,
        patches,
        patches[0].donors,
        at.readout,
        way.rows.reported,
        n_null=min(experiment.n_donors, at.setup.stats.n_null),
        rng=at.setup.rng(f"patch {way.name}"),
        joining=at.setup.rng("patch"),
        watch=at.recorder,
    )


def _ways(experiment: Patch, setup: NetworkSetup) -> list[_Way]:
    rows = rows_of(experiment, setup)
    factor = experiment.factor
    if factor.donors != "split":
        return [_Way(factor, rows, f"{factor.donors} -> {rows.said}")]
    if rows.said == factor.split:
        raise ConfigError(f"experiment.split={rows.said}: donors come from there; name the other split of the pairs")
    there, here = setup.contexts.splits[factor.split], setup.contexts.splits[rows.said]
    if len(there) != len(here):
        raise DataError(
            f"experiment.factor.split: {factor.split} has {len(there)} contexts, {rows.said} has {len(here)}; pairs "
            "are at the same places of both"
        )
    ways = [_Way(factor, rows, f"{factor.split} -> {rows.said}")]
    if experiment.both:
        back = there[np.isin(here, rows.reported)]
        reverse = Rows(back, rows.fit, str(factor.split), rows.complete)
        ways.append(_Way(replace(factor, split=rows.said), reverse, f"{rows.said} -> {factor.split}"))
    return ways


def _bound(experiment: Patch, setup: NetworkSetup, executor: Executor, way: _Way, place: str) -> Patches:
    """Return the patch at a place; donors are the same at every place."""
    found = bind("factor", way.factor, experiment, setup, executor, place=place)
    if not isinstance(found, Patches):
        raise ConfigError("experiment.factor: has no donors; use factor@experiment.factor=patch")
    return found


def _labels(at: At, way: _Way, patches: list[Patches], found: Patched) -> list[dict[str, object]]:
    share = ratios_to(
        found.total,
        found.sums,
        spec=at.setup.stats,
        rng=at.setup.rng("shares"),
        otherwise="donors and contexts differ by less than 3 standard errors in the readout",
        complete=way.rows.complete,
    )
    labels: list[dict[str, object]] = []
    texts = [one.name for one in patches]
    places = [Place.parse(place_of(text, at.executor)) for text in texts]
    for row, (text, place, named) in enumerate(zip(texts, places, parts_of(places), strict=True)):
        labels.append(
            {
                "level": str(place) if text == AUTO else text,
                "direction": way.name,
                "site": str(place.site),
                "part": str(place).removeprefix(str(place.site)).strip("[]"),
                **named,
                "total": float(found.total.means[0]),
                "share": float(share.value[row]),
                "share_low": float(share.low[row]),
                "share_high": float(share.high[row]),
                "share_method": str(share.method[row]),
            }
        )
    return labels


def _say_unmoved(recorder: Recorder, labels: list[dict[str, object]], found: Patched) -> None:
    still = (found.sums.means == 0) & (found.sums.sd == 0)
    if still.any():
        names = ", ".join(str(label["level"]) for label, flag in zip(labels, still, strict=True) if flag)
        recorder.warn(f"Patching changes nothing at all at {names}: what is read does not depend on it there.")
