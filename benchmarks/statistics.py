"""Do the statistics keep their word? Coverage, false-positive rates and error rates of families, and how long it takes.

``python -m benchmarks.statistics`` prints the tables; ``--quick`` uses fewer simulations.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence

import numpy as np

from paribus.arrays import Floats
from paribus.stats.bootstrap import mean_intervals
from paribus.stats.clusters import ClusterSums, reduce_to_clusters
from paribus.stats.effects import effect_table, skewed
from paribus.stats.few import label_permutation, paired_sign_flip, smallest_p
from paribus.stats.levels import level_permutation
from paribus.stats.max_statistic import enrichment
from paribus.stats.multiplicity import adjust
from paribus.stats.permutation import sign_flip_rows
from paribus.stats.score_intervals import score_interval
from paribus.stats.simultaneous import max_t_interval
from paribus.stats.spec import StatsSpec
from paribus.stats.trend import trend

CLUSTERS = (5, 6, 8, 10, 15, 20, 30, 39, 40, 60, 100)
PER_CLUSTER = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer simulations (under 20 seconds)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng, scale = np.random.default_rng(options.seed), 1 if options.quick else 8
    start = time.perf_counter()
    effects(400 * scale, rng)
    families(40 * scale, rng)
    observational(40 * scale, rng)
    scores(60 * scale, rng)
    runs(200 * scale, rng)
    speed(rng)
    print(f"\nall of it took {time.perf_counter() - start:.1f} s")


def effects(n_sets: int, rng: np.random.Generator) -> None:
    """Print coverage of the interval and false positives of the sign flip, by number of clusters."""
    heading(
        f"Effects: {n_sets} sets without effect, {PER_CLUSTER} contexts a cluster, half the variance between clusters",
        "Skewed: cluster effects are lognormal; the sign flip assumes symmetry, and says so below 50 clusters.",
    )
    columns = ("clusters", "method", "coverage", "false positives", "per row: coverage", "false positives", "warned")
    for kind in ("normal", "skewed"):
        rows = []
        for k in CLUSTERS:
            values = clustered(kind, n_sets, k, rng)
            by_cluster = reduce_to_clusters(values, np.repeat(np.arange(k), PER_CLUSTER))
            by_row = reduce_to_clusters(values, np.arange(values.shape[1]))
            measured = [rates(sums, rng) for sums in (by_cluster, by_row)]
            warned = float(skewed(by_cluster).mean())
            method = mean_intervals(by_cluster, spec=StatsSpec(n_bootstrap=100), rng=rng)[2][0]
            rows.append((k, method, *measured[0], *measured[1], warned))
        table(kind, columns, rows)


def rates(sums: ClusterSums, rng: np.random.Generator) -> tuple[float, float]:
    """Return coverage of 0 and the rate of p <= .05."""
    low, high, _ = mean_intervals(sums, spec=StatsSpec(n_bootstrap=500), rng=rng)
    p, _ = sign_flip_rows(sums.sums, rng=rng, n_permutations=499)
    missing = np.isnan(low).all()
    return float("nan") if missing else float(np.mean((low <= 0) & (high >= 0))), float(np.mean(p <= 0.05))


def families(n_families: int, rng: np.random.Generator) -> None:
    """Print error rates of adjusted families and of simultaneous intervals."""
    heading(f"Families: {n_families} tables of 40 rows, 10 with an effect of 0.8 sd, 30 clusters", "")
    truth, clusters = np.arange(40) < 10, np.repeat(np.arange(30), 2)
    found: dict[str, list[tuple[float, bool, float]]] = {"none": [], "bh": [], "holm": []}
    together = []
    for _ in range(n_families):
        shared = rng.normal(size=(1, 60))
        values = 0.5 * shared + rng.normal(size=(40, 60)) + 0.8 * truth[:, None]
        p, _ = sign_flip_rows(reduce_to_clusters(values, clusters).sums, rng=rng, n_permutations=1999)
        for method in found:
            hits = (p if method == "none" else adjust(p, method)) <= 0.05
            wrong = int((hits & ~truth).sum())
            found[method].append((wrong / max(1, int(hits.sum())), wrong > 0, float(hits[truth].mean())))
        low, high = max_t_interval(values, clusters, spec=StatsSpec(n_bootstrap=400), rng=rng)
        together.append(bool(((low <= 0.8 * truth) & (high >= 0.8 * truth)).all()))
    rows = [(method, *np.mean(np.array(each, dtype=float), axis=0)) for method, each in found.items()]
    table("", ("adjustment", "false discovery rate", "family-wise error", "power"), rows)
    print(f"max-t intervals: all 40 rows covered in {np.mean(together):.3f} of the tables (asked for: .95)")


def observational(n_sets: int, rng: np.random.Generator) -> None:
    """Print false positives of observational tests by cluster and by row."""
    heading(f"Observational tables without effect: {n_sets} sets of 40 clusters, 5 rows each", "")
    clusters, single = np.repeat(np.arange(40), 5), np.arange(200)
    hits: dict[str, list[list[bool]]] = {"level means": [], "trend over levels": [], "itemsets (family-wise)": []}
    for _ in range(n_sets):
        values = rng.normal(size=40)[clusters] + 0.7 * rng.normal(size=200)
        levels = rng.integers(0, 3, 40)[clusters]
        levels = np.where(rng.random(200) < 0.2, rng.integers(0, 3, 200), levels)
        grid = rng.normal(size=(40, 4))[clusters] + 0.7 * rng.normal(size=(200, 4))
        high = values > np.quantile(values, 0.75)
        items = (rng.random((40, 40)) < 0.2)[clusters] ^ (rng.random((200, 40)) < 0.05)
        both = (clusters, single)
        hits["level means"].append(
            [level_permutation(values, levels, ids, rng=rng, n_permutations=199).p_any <= 0.05 for ids in both]
        )
        hits["trend over levels"].append(
            [trend(grid, ids, np.arange(4), rng=rng, n_permutations=199).p <= 0.05 for ids in both]
        )
        hits["itemsets (family-wise)"].append(
            [np.nanmin(enrichment(items, high, ids, rng=rng, n_permutations=199).p_adj) <= 0.05 for ids in both]
        )
    table("", ("test", "by cluster", "by row"), [(name, *np.mean(each, axis=0)) for name, each in hits.items()])


def scores(n_sets: int, rng: np.random.Generator) -> None:
    """Print coverage of the intervals of accuracy and AUROC."""
    from scipy.stats import norm

    heading(f"Scores: coverage in {n_sets} sets, 8 rows a cluster", "")
    truth = {"accuracy": norm.cdf(0.5 / np.sqrt(1.49)), "auroc": norm.cdf(1 / np.sqrt(2.98))}
    rows = []
    for k in (6, 10, 20, 40, 80):
        covered: dict[str, list[bool]] = {name: [] for name in truth}
        for _ in range(n_sets):
            clusters = np.repeat(np.arange(k), 8)
            labels = rng.integers(0, 2, 8 * k)
            values = labels + 0.7 * rng.normal(size=k)[clusters] + rng.normal(size=8 * k)
            for metric, value in truth.items():
                column = values if metric == "auroc" else (values > 0.5).astype(int)
                spec = StatsSpec(n_bootstrap=300)
                found = score_interval(column, labels, clusters, metric=metric, spec=spec, rng=rng)
                covered[metric].append(bool(found.low <= value <= found.high))
        rows.append((k, *(float(np.mean(each)) for each in covered.values())))
    table("", ("clusters", *truth), rows)


def runs(n_sets: int, rng: np.random.Generator) -> None:
    """Print what comparisons of few runs can reach and how they behave without an effect."""
    heading(f"Few runs: {n_sets} comparisons without effect", "")
    rows = []
    for n in (3, 5, 6, 8):
        arms = rng.normal(size=(n_sets, 2, n))
        row: list[float] = [n]
        for tests, floor in (
            ([paired_sign_flip(a - b) for a, b in arms], smallest_p("paired_sign_flip", n)),
            ([label_permutation(a, b) for a, b in arms], smallest_p("label_permutation", n, n)),
        ):
            around = [test.interval(0.95) for test in tests]
            reached = floor <= 0.05
            covered = float(np.mean([i.low <= 0 <= i.high for i in around])) if reached else float("nan")
            row += [floor, float(np.mean([test.p <= 0.05 for test in tests])), covered]
        rows.append(tuple(row))
    columns = (
        "runs per arm", "paired floor", "false positives", "coverage", "unpaired floor", "false positives", "coverage",
    )  # fmt: skip
    table("", columns, rows)


def speed(rng: np.random.Generator) -> None:
    """Print the time of an effect table as contexts and clusters grow."""
    heading("Speed: effect tables of 60 rows, 2,000 resamples, 9,999 flips", "")
    rows = []
    for n, k in ((5_000, 5_000), (5_000, 500), (200_000, 2_000), (200_000, 200_000)):
        values, clusters = rng.normal(size=(60, n)), rng.permutation(np.arange(n) % k)
        start = time.perf_counter()
        effect_table(values, clusters, spec=StatsSpec(), rng=rng)
        rows.append((f"{n:,}", f"{k:,}", time.perf_counter() - start))
    table("", ("contexts", "clusters", "seconds"), rows)


def clustered(kind: str, n_sets: int, k: int, rng: np.random.Generator) -> Floats:
    """Return values [sets, contexts] with mean 0 and half of their variance between clusters."""
    shape = (n_sets, k, 1)
    normal, skew = rng.normal(size=shape), (rng.lognormal(size=shape) - np.exp(0.5)) / 2.1612
    within = rng.normal(size=(n_sets, k, PER_CLUSTER))
    return ((normal if kind == "normal" else skew) + within).reshape(n_sets, -1)


def heading(title: str, note: str) -> None:
    """Print a heading."""
    print(f"\n{title}" + (f"\n{note}" if note else ""))


def table(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table with a rule under its columns."""
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(column), *(len(row[i]) for row in cells)) for i, column in enumerate(columns)]
    if name:
        print(f"  {name}")
    for row in (list(columns), ["-" * width for width in widths], *cells):
        print("    " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    main()
