"""The work of scanning features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.any._effects import KNOWN, NOT_INFERRED
from paribus.experiments.any._features import LATENT, Surveyed, surveyed
from paribus.experiments.any._session import is_whole, rows_to_choose_on
from paribus.experiments.any.generic import ALL
from paribus.experiments.any.scan_features.one_pass import Driven, FeaturePass, Firing, chunks, driven, firing
from paribus.experiments.any.scan_features.spec import ScanFeatures
from paribus.experiments.any.scan_features.written import DIRECTLY, unembedding, written
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.features.columns import Latents
from paribus.measure.binding import Binding, FactorSpec
from paribus.measure.executor import Executor
from paribus.measure.factor import InputFactor
from paribus.results.evidence import Evidence
from paribus.results.hypothesis import COMPLETE
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.effects import established
from paribus.stats.intervals import NO_SAMPLE
from paribus.stats.many import LEAST_ENTRIES, MOST_GROUPS, Flips, agreement, grouped, halves, intervals

ALIKE = 200
"""Features of like firing rate that the null of an effect is made of."""
FLIPPED = 39
"""Draws of the null of reliability: one of 40 features exceeds all of them by chance."""
MOST_SUMS = 256 << 20
"""Bytes of sums that are held: features by effects by groups."""
LEAST_GROUPS = 12
"""Groups down to which they are made fewer to stay within that."""
NULL = "features of like firing rate"
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
EFFECTS = {
    "feature": COLUMNS["feature"],
    "rank": "place among the feature's effects by size, from 1",
    "factor": "what is varied in the inputs",
    "level": "what it is set to",
    "baseline": "what that is compared with, in the same context",
    "mean_delta": "mean paired difference of f",
    "effect": "the same in sd of the feature",
    "n": "contexts in which both are legal",
    "n_clusters": "groups of whole clusters that they come from",
    "ci_low": "lower end of the interval of mean_delta, by the spread between groups",
    "ci_high": "upper end of it",
    "ci_adj_low": "lower end of the interval that holds for all effects of all features; beside p_adj",
    "ci_adj_high": "upper end of it",
    "ci_method": "how it was made; none: why there is none",
    "p": "sign-flip p of groups of whole clusters: is the effect zero?",
    "p_method": "exact (all sign patterns), monte_carlo, or none: why there is no test",
    "p_adj": "the same against the largest effect of all features in every flip",
    "null": "what the null is made of",
    "null_low": "2.5 % quantile of effect among these at the same level",
    "null_median": "median of that null",
    "null_high": "97.5 % quantile of that null",
    "null_percentile": "percentile of effect in that null, 0 to 100; not a p",
    "established": "whether p_adj is within the level and the interval of all effects leaves out 0",
}
WRITTEN = {
    "feature": COLUMNS["feature"],
    "rank": "place of the output among those that the decoder's column writes to most, from 1",
    "output": "the output",
    "weight": "its logit for one unit of the latent, less the mean over outputs",
    "beyond": "how far that is from what all latents write to this output, in their sd",
}


def validate(experiment: ScanFeatures, setup: NetworkSetup) -> None:
    """Look up place, autoencoder, split and factors, and count what is held in memory.

    Raises:
        ConfigError: If something is not there, or would take too much memory.
    """
    if setup.checkpoint == ALL:
        raise ConfigError(f"checkpoint={ALL}: a scan is of one network; say checkpoint=final, peak_val or epoch:N")
    executor = setup.executor()
    rows, _ = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    at = surveyed(experiment, setup, executor)
    _groups(at, _factors(experiment, setup, executor), rows, setup)


def run(experiment: ScanFeatures, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Scan; hand over ``features``, ``top_contexts``, ``effects`` and ``top_tokens``, each sorted by feature."""
    for note in setup.notes:
        recorder.warn(note)
    (checkpoint,) = setup.selected()
    executor = setup.executor(checkpoint)
    rows, said = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    complete = is_whole(setup, said, experiment.n_contexts)
    at = surveyed(experiment, setup, executor)
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
        found = _Effects(experiment, setup, seen, sums, complete=complete)
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
            f"{LEAST_GROUPS * per_group / 2**20:,.0f} MiB (at most {MOST_SUMS >> 20}); lower "
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


class _Effects:
    """The effects of all features, looked at a part of the features at a time.

    Attributes:
        n_tested: How many effects there are.
        reliability: Agreement of halves ``[F]``.
        reliability_high: What sign flips reach ``[F]``.
    """

    def __init__(
        self, experiment: ScanFeatures, setup: NetworkSetup, seen: Firing, sums: Driven, *, complete: bool
    ) -> None:
        self.experiment, self.setup, self.sums, self.complete = experiment, setup, sums, complete
        n, size, n_groups = sums.sums.shape
        self.n_features, self.n_levels, self.n_groups = n, size, n_groups
        with np.errstate(invalid="ignore", divide="ignore"):
            self.means: Floats = sums.sums.sum(2) / sums.counts.sum(1)
            self.in_sd: Floats = np.where(seen.sd[:, None] > 0, self.means / seen.sd[:, None], np.nan)
        self.n_tested = int(np.isfinite(self.means).sum())
        rng = setup.rng("scan_flips")
        self.flips = Flips(n_groups, setup.stats.n_permutations, rng)
        for some in self._chunks():
            self.flips.see(sums.sums[some].reshape(-1, n_groups))
        self.order = np.argsort(seen.rate, kind="stable")
        self.place = np.empty(n, np.int64)
        self.place[self.order] = np.arange(n)
        self.reliability, self.reliability_high = self._agreement(setup.rng("scan_halves"))

    def _chunks(self) -> list[slice]:
        return list(chunks(self.n_features, self.n_levels * len(self.flips.largest)))

    def _agreement(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        first = halves(self.n_groups, self.experiment.n_splits, rng)
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=(FLIPPED, self.n_groups))
        r, high = np.full(self.n_features, np.nan), np.full(self.n_features, np.nan)
        if self.complete or self.n_levels < LEAST_ENTRIES or self.n_groups < 2:
            return r, high
        for some in chunks(self.n_features, self.n_levels * len(first) * 4):
            part = self.sums.sums[some]
            r[some] = agreement(part, self.sums.counts, first)
            draws = np.array([agreement(part, self.sums.counts, first, one) for one in signs])
            known = np.isfinite(draws).any(0)
            high[some] = np.where(known, np.nanmax(np.where(known, draws, 0.0), axis=0), np.nan)
        return r, high

    def table(self) -> pd.DataFrame:
        """Return the largest effects of each feature, sorted by feature."""
        return pd.concat([self._rows(some) for some in self._chunks()], ignore_index=True)

    def _rows(self, some: slice) -> pd.DataFrame:
        means = self.means[some]
        k = min(self.experiment.n_effects, self.n_levels)
        top = np.argsort(-np.nan_to_num(np.abs(means), nan=-1.0), axis=1, kind="stable")[:, :k]
        features = np.arange(some.start, some.stop)
        feature, level = np.repeat(features, k), top.ravel()
        sums, counts = self.sums.sums[feature, level], self.sums.counts[level]
        p, p_adj = self.flips.p(sums)
        spec = self.setup.stats
        ends = intervals(sums, counts, self.flips.critical(1 - spec.confidence), spec.confidence)
        n = counts.sum(1)
        known = n > 0
        low, median, high, percentile = self._null(features, top)
        frame = pd.DataFrame(
            {
                "feature": feature,
                "rank": np.tile(np.arange(1, k + 1), len(features)),
                "factor": np.array(self.sums.factors, object)[level],
                "level": np.array(self.sums.levels, object)[level],
                "baseline": np.array(self.sums.baselines, object)[level],
                "mean_delta": self.means[feature, level],
                "effect": self.in_sd[feature, level],
                "n": n.astype(np.int64),
                "n_clusters": (counts > 0).sum(1),
                "ci_low": ends.low,
                "ci_high": ends.high,
                "ci_adj_low": ends.adj_low,
                "ci_adj_high": ends.adj_high,
                "ci_method": ends.method,
                "p": np.where(known, p, np.nan),
                "p_method": np.where(known, self.flips.method, "none: nothing measured"),
                "p_adj": np.where(known, p_adj, np.nan),
                "null": NULL,
                "null_low": low,
                "null_median": median,
                "null_high": high,
                "null_percentile": percentile,
            }
        )
        if self.complete:
            missing = dict.fromkeys(("ci_low", "ci_high", "ci_adj_low", "ci_adj_high", "p", "p_adj"), np.nan)
            return frame.assign(**missing, ci_method=NO_SAMPLE, p_method=NO_SAMPLE, established=COMPLETE)
        return frame.assign(established=established(frame, level=1 - spec.confidence))

    def _null(self, features: Ints, level: Ints) -> tuple[Floats, Floats, Floats, Floats]:
        """Return quantiles of each effect among features of like rate, and its place there, row by row."""
        out = np.full((4, level.size), np.nan)
        rows = [(feature, self._alike(feature)) for feature in features.tolist()]
        at = 0
        for (feature, others), levels in zip(rows, level, strict=True):
            among = self.in_sd[others][:, levels]
            own = self.in_sd[feature, levels]
            here = slice(at, at + len(levels))
            at += len(levels)
            enough = np.isfinite(among).all(1)
            if enough.sum() < 2:
                continue
            among = among[enough]
            out[:3, here] = np.quantile(among, (0.025, 0.5, 0.975), axis=0)
            below = (among < own).mean(0) + 0.5 * (among == own).mean(0)
            out[3, here] = np.where(np.isfinite(own), 100 * below, np.nan)
        return out[0], out[1], out[2], out[3]

    def _alike(self, feature: int) -> Ints:
        """Return the features nearest in firing rate, itself left out."""
        place, half = int(self.place[feature]), ALIKE // 2
        start = max(0, min(place - half, self.n_features - ALIKE - 1))
        near = self.order[start : start + ALIKE + 1]
        return np.asarray(near[near != feature])

    @property
    def reliable(self) -> Bools:
        """Which features' halves agree more than sign flips allow ``[F]``."""
        return np.asarray(self.reliability > self.reliability_high)


def _with_drivers(frame: pd.DataFrame, effects: pd.DataFrame, found: _Effects) -> pd.DataFrame:
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
    at: Surveyed, frame: pd.DataFrame, found: _Effects | None, said: str, n: int, recorder: Recorder
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
