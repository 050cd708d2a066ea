"""The work of scanning features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paribus.arrays import Ints
from paribus.errors import ConfigError, size_of
from paribus.experiments.any._effects import KNOWN, NOT_INFERRED
from paribus.experiments.any._features import LATENT, Surveyed, surveyed
from paribus.experiments.any._session import is_whole, only_network, refuse_several, rows_to_choose_on
from paribus.experiments.any.scan_features.effects import EFFECTS, FLIPPED, EffectsOfFeatures
from paribus.experiments.any.scan_features.one_pass import FeaturePass, Firing, driven, firing
from paribus.experiments.any.scan_features.spec import ScanFeatures
from paribus.experiments.any.scan_features.written import DIRECTLY, WRITTEN, unembedding, written
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.features.columns import Latents
from paribus.measure.binding import Binding, FactorSpec
from paribus.measure.executor import Executor
from paribus.measure.factor import InputFactor
from paribus.results.evidence import Evidence
from paribus.results.hypothesis import COMPLETE
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.many import MOST_GROUPS, grouped

MOST_SUMS = 256 << 20
"""Bytes of sums that are held: features by effects by groups."""
LEAST_GROUPS = 12
"""Groups down to which they are made fewer to stay within that."""
COLUMNS = {
    "feature": "number of the latent or unit",
    "firing_rate": "how often it fires: the mean over contexts of the share of positions with f > 0",
    "mean": "mean of f over contexts and positions",
    "sd": "standard deviation over contexts of f, the mean over positions",
    "largest": "largest f at any position that counts",
    "driver": "factor of the inputs with the largest effect; empty where none has any",
    "driver_level": "its level",
    "driver_effect": "mean change of f there, in sd of the feature; see effects",
    "driver_p_adj": "its p, adjusted over all effects of all features",
    "reliability": "correlation of all effects between halves of the clusters, mean over halvings",
    "reliability_null_high": f"the largest of {FLIPPED} draws of it with the signs of groups of clusters flipped",
    "driven": "established: its largest effect is, among all effects of all features; undecided is not absent",
}
TOP = {
    "feature": COLUMNS["feature"],
    "rank": "place of the context among those in which the feature peaks highest, from 1",
    "context": "number of the context",
    "cluster": "its cluster",
    "position": "position of the peak, from 0",
    "peak": "f there",
    "label": "label of the context",
    "domain": "its domain",
    "shown": "the context in words",
}


def validate(experiment: ScanFeatures, setup: NetworkSetup) -> None:
    """Look up place, autoencoder, split and factors, and count what is held in memory.

    Raises:
        ConfigError: If something is not there, or would take too much memory.
    """
    refuse_several(setup, "a scan is of one network")
    executor = setup.executor()
    rows, _ = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    at = surveyed(setup, executor, place=experiment.place, path=experiment.path, clamp=experiment.clamp)
    _groups(at, _factors(experiment, setup, executor), rows, setup)


def run(experiment: ScanFeatures, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Scan; hand over ``features``, ``top_contexts``, ``effects`` and ``top_tokens``, each sorted by feature."""
    _, executor = only_network(setup, recorder)
    rows, said = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    complete = is_whole(setup, said, experiment.n_contexts)
    at = surveyed(setup, executor, place=experiment.place, path=experiment.path, clamp=experiment.clamp)
    features = FeaturePass(executor, at)
    recorder.diagnose(n_contexts_tested=len(rows))
    seen = firing(features, rows, experiment.n_top, recorder)
    frame = pd.DataFrame(
        {
            "feature": np.arange(at.columns.size),
            "firing_rate": seen.rate,
            "mean": seen.mean,
            "sd": seen.sd,
            "largest": seen.largest,
        }
    )
    where = f"{at.kind}s of {at.site}, {len(rows)} contexts of {said}"
    shown = _top(seen, setup, at)
    says = f"One row per feature and context in which it is most active: {where}."
    recorder.table(Table("top_contexts", says, Evidence.OBSERVATIONAL, shown, {c: TOP[c] for c in map(str, shown)}))
    factors = _factors(experiment, setup, executor)
    found = None
    if factors:
        group = _groups(at, factors, rows, setup)
        sums = driven(features, factors, rows, group, recorder)
        found = EffectsOfFeatures(experiment, setup, seen, sums, complete=complete)
        effects = found.table()
        says = f"One row per feature and effect, its largest: {where}. "
        says += NOT_INFERRED if complete else f"One family of {found.n_tested} effects."
        columns = EFFECTS | (KNOWN if complete else {})
        recorder.table(Table("effects", says, Evidence.INTERVENTIONAL, effects, columns))
        frame = _with_drivers(frame, effects, found)
    columns = COLUMNS | ({"driven": KNOWN["established"]} if complete else {})
    recorder.table(Table("features", f"One row per feature: {where}.", Evidence.OBSERVATIONAL, frame, columns))
    _written(experiment, at, executor, setup, recorder, where)
    _draw(recorder, at, driven=found is not None, complete=complete)
    return _summed_up(at, frame, found, said, len(rows), recorder)


def _factors(experiment: ScanFeatures, setup: NetworkSetup, executor: Executor) -> list[InputFactor]:
    """Return what is varied in the inputs."""
    if not experiment.n_effects:
        return []
    usual = setup.contexts.usual_factors(experiment.most_levels)[: experiment.most_factors]
    rng = setup.rng("scan_factors")
    parts = {**setup.parts, "readable": setup.readable(executor)}
    to = Binding(executor, "", rng, parts)
    bound = [spec.bound(to) for spec in usual if isinstance(spec, FactorSpec)]
    return [one for one in bound if isinstance(one, InputFactor) and one.n_levels > 1]


def _groups(at: Surveyed, factors: Sequence[InputFactor], rows: Ints, setup: NetworkSetup) -> Ints:
    """Return the group of each context ``[n]``, as many groups as their sums may take.

    Raises:
        ConfigError: If those of the fewest groups would take too much memory.
    """
    n_effects = sum(factor.n_levels - 1 for factor in factors)
    per_group = 8 * at.columns.size * n_effects
    most = min(MOST_GROUPS, MOST_SUMS // max(1, per_group))
    if most < LEAST_GROUPS:
        raise ConfigError(
            f"scan_features: {n_effects} effects of {at.columns.size} {at.kind}s take "
            f"{size_of(LEAST_GROUPS * per_group)} (at most {size_of(MOST_SUMS)}); lower "
            "experiment.most_factors or most_levels"
        )
    group = np.zeros(len(setup.contexts), np.int64)
    group[rows] = grouped(setup.contexts.cluster[rows], most, setup.rng("scan_groups"))
    return group


def _top(seen: Firing, setup: NetworkSetup, at: Surveyed) -> pd.DataFrame:
    contexts = setup.contexts
    n, k = seen.top.shape
    ids = seen.top.ravel()
    named, inverse = np.unique(ids, return_inverse=True)
    begins = 0 if contexts.begins is None else contexts.begins[ids]
    columns = {
        "feature": np.repeat(np.arange(n), k),
        "rank": np.tile(np.arange(1, k + 1), n),
        "context": ids,
        "cluster": contexts.cluster[ids],
        "position": np.maximum(0, seen.where.ravel().astype(np.int64) - begins),
        "peak": seen.peaks.ravel().astype(np.float64),
    }
    for name, values, called in (
        ("label", contexts.label, contexts.output_names),
        ("domain", contexts.domain, contexts.domain_names),
    ):
        if values is not None:
            own = [str(one) for one in np.asarray(values)[named].tolist()]
            own = [called[int(one)] if one.isdigit() and int(one) < len(called) else one for one in own]
            columns[name] = np.array(own, object)[inverse]
    words = contexts.words(named)
    if any(words):
        columns["shown"] = np.array(list(words), object)[inverse]
    frame = pd.DataFrame(columns)
    if at.kind == LATENT:  # where a latent is silent no context says anything of it
        frame = frame[frame["peak"] > 0].reset_index(drop=True)
    return frame


def _with_drivers(frame: pd.DataFrame, effects: pd.DataFrame, found: EffectsOfFeatures) -> pd.DataFrame:
    first = effects[effects["rank"] == 1].set_index("feature")
    some = (first["mean_delta"].fillna(0.0) != 0).to_numpy()
    return frame.assign(
        driver=np.where(some, first["factor"].to_numpy(), ""),
        driver_level=np.where(some, first["level"].to_numpy(), ""),
        driver_effect=first["effect"].to_numpy(),
        driver_p_adj=first["p_adj"].to_numpy(),
        reliability=found.reliability,
        reliability_null_high=found.reliability_high,
        driven=COMPLETE
        if found.complete
        else np.where(first["established"].to_numpy(dtype=bool), "established", "undecided"),
    )


def _written(
    experiment: ScanFeatures, at: Surveyed, executor: Executor, setup: NetworkSetup, recorder: Recorder, where: str
) -> None:
    if at.kind != LATENT or not experiment.n_tokens:
        return
    width = executor.width(at.site)
    found = unembedding(executor.network, at.site, width)
    if found is None:
        return
    weight, how = found
    beside = "; what later layers and the last norm make of it is left out" if how == DIRECTLY else ""
    assert isinstance(at.columns, Latents)
    if at.columns.sae.normalise != "none":
        beside += f"; in the size that inputs are brought to ({at.columns.sae.normalise})"
    says = f"One row per feature and output that its decoder writes to most, {how}{beside}: {where}."
    frame = written(at, weight, setup.contexts.output_names, experiment.n_tokens)
    recorder.table(Table("top_tokens", says, Evidence.WEIGHTS, frame, WRITTEN))


def _draw(recorder: Recorder, at: Surveyed, *, driven: bool, complete: bool) -> None:
    if driven:
        group = {} if complete else {"group": "driven"}
        drawn = Figure.of("scatter", "features", x="firing_rate", y="driver_effect", **group)
        says = "Across: how often each fires; up: its largest effect of a single factor of the inputs, in its own sd. "
        says += (
            "All contexts there are, so nothing is tested."
            if complete
            else "Established: p adjusted over all effects of all features, and an interval that holds for all."
        )
        looks = {"xlabel": "firing rate", "ylabel": "largest effect (sd)"}
    else:
        drawn = Figure.of("scatter", "features", x="firing_rate", y="largest")
        says, looks = "Across: how often each fires; up: its largest activation.", {"xlabel": "firing rate"}
    recorder.figure(drawn.titled(f"All {at.kind}s of {at.site}", says, **looks))


def _summed_up(
    at: Surveyed, frame: pd.DataFrame, found: EffectsOfFeatures | None, said: str, n: int, recorder: Recorder
) -> Aggregates:
    custom: dict[str, object] = {
        "kind": at.kind,
        "place": at.site,
        "split": said,
        "n_features": len(frame),
        "n_silent": int((frame["firing_rate"] == 0).sum()),
    }
    if found is not None:
        if found.complete:
            custom["population"] = COMPLETE
        else:
            custom |= {"n_effects_tested": found.n_tested, "n_driven": int((frame["driven"] == "established").sum())}
            recorder.metric("n_driven", float(str(custom["n_driven"])))
        halved = int(np.isfinite(found.reliability).sum())
        if halved:
            custom |= {
                "n_halved": halved,
                "n_reliable": int(found.reliable.sum()),
                "n_reliable_by_chance": round(halved / (FLIPPED + 1), 1),
            }
    recorder.metric("n_silent", float(str(custom["n_silent"])))
    return Aggregates(n_samples=n, n_conditions=len(frame), custom=custom)
