"""The effects of single factors on all features: their table, their null, and whether halves of the clusters agree."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.any.scan_features.one_pass import Driven, Firing, chunks
from paribus.experiments.any.scan_features.spec import ScanFeatures
from paribus.experiments.setup import NetworkSetup
from paribus.results.hypothesis import COMPLETE
from paribus.stats.clusters import ClusterSums
from paribus.stats.effects import established, skewed
from paribus.stats.intervals import NO_SAMPLE
from paribus.stats.many import LEAST_ENTRIES, Flips, agreement, halves, intervals

ALIKE = 200
"""Features of like firing rate that the null of an effect is made of."""
FLIPPED = 39
"""Draws of the null of reliability: one of 40 features exceeds all of them by chance."""
NULL = "features of like firing rate"
EFFECTS = {
    "feature": "number of the latent or unit",
    "rank": "place among the feature's effects by size, from 1",
    "factor": "what is varied in the inputs",
    "level": "what it is set to",
    "baseline": "what that is compared with, in the same context",
    "mean_delta": "mean paired difference of f",
    "effect": "the same in sd of the feature",
    "n": "contexts in which both are legal",
    "n_clusters": "groups of whole clusters that they come from",
    "ci_low": "lower end of the interval of mean_delta, by resampling groups",
    "ci_high": "upper end of it",
    "ci_adj_low": "lower end of the interval that holds for all effects of all features; beside p_adj; none where "
    "groups count for fewer than 6 of equal size",
    "ci_adj_high": "upper end of it",
    "ci_method": "how it was made; none: why there is none",
    "p": "sign-flip p of groups of whole clusters: is the effect zero?",
    "p_method": "exact (all sign patterns), monte_carlo, or none: why there is no test",
    "p_adj": "the same against the largest effect of all features in every flip",
    "skewed": "whether p, p_adj and the interval beside p_adj are questionable: sums of the groups are skewed",
    "null": "what the null is made of",
    "null_low": "2.5 % quantile of effect among these at the same level",
    "null_median": "median of that null",
    "null_high": "97.5 % quantile of that null",
    "null_percentile": "percentile of effect in that null, 0 to 100; not a p",
    "established": "whether p_adj is within the level and the interval of all effects leaves out 0",
}


class EffectsOfFeatures:
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
        return chunks(self.n_features, self.n_levels * len(self.flips.largest))

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
        counts = self.sums.counts[level]
        sums = ClusterSums(self.sums.sums[feature, level], counts, np.full(len(level), np.nan))
        p, p_adj = self.flips.p(sums.sums)
        spec = self.setup.stats
        critical = self.flips.critical(1 - spec.confidence)
        ends = intervals(sums, p, critical, spec=spec, rng=self.setup.rng("scan_intervals"))
        n = sums.n
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
                "n_clusters": sums.n_clusters,
                "ci_low": ends.low,
                "ci_high": ends.high,
                "ci_adj_low": ends.adj_low,
                "ci_adj_high": ends.adj_high,
                "ci_method": ends.method,
                "p": np.where(known, p, np.nan),
                "p_method": np.where(known, self.flips.method, "none: nothing measured"),
                "p_adj": np.where(known, p_adj, np.nan),
                "skewed": skewed(sums),
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
