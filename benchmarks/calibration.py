"""Do the experiments on builds keep their word where nothing is to be found?

    OMP_NUM_THREADS=1 python -m benchmarks.calibration [--quick] [--types a,b] [--corpora 1000]

Every experiment type runs on many independent small corpora (disjoint source builds) with a feature that no edit moves.
From each corpus one interval is taken, of a row chosen beforehand. Printed per table: coverage of the 95 % interval
(should be .93 to .97), the share of p <= .05, and the share of corpora in which any adjusted p of the table is <= .05:
the false discovery rate (Benjamini-Hochberg, nothing being true) or the family-wise error (Holm, Westfall-Young); both
should be <= .05, within the 99 % binomial bound of so many corpora. Then recall and precision on the planted features.
Exit code 1 if a rate or a planted feature fails. ``--quick`` takes 20 corpora and leaves out what is
planted: under a minute.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from benchmarks.calibration_cases import CASES, Case, Check, Reading
from benchmarks.calibration_planted import recovered
from paribus.experiments.base import perform
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.recording import MemoryRecorder
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.contexts import Contexts, Corpus
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.models.set_model import SetModel
from paribus.subjects.builds.planted_feature import PlantedFeature

LEVEL = 0.05
COVERAGE = (0.93, 0.97)
QUICK = 20
MORE_SEED = 1_000_000
SPEC = StatsSpec(n_bootstrap=999, n_permutations=399, n_null=0)
"""Null features do not enter intervals and p-values; with few resamples a percentile interval is too narrow."""


@dataclass
class Rates:
    """What one table showed over all corpora.

    Attributes:
        check: What was looked at.
        readings: One per corpus.
    """

    check: Check
    readings: list[Reading] = field(default_factory=list)

    @property
    def n(self) -> int:
        """Corpora that had an interval, or where none is looked at a test."""
        return len(self.rejected if self.check.low is None else self.covered)

    @property
    def covered(self) -> npt.NDArray[np.bool_]:
        """Whether each interval held the truth, where there was one."""
        return np.array([r.covered for r in self.readings if r.covered is not None], bool)

    @property
    def rejected(self) -> npt.NDArray[np.bool_]:
        """Whether p <= .05, where there was a test."""
        p = np.array([r.p for r in self.readings])
        return p[np.isfinite(p)] <= LEVEL

    @property
    def family(self) -> npt.NDArray[np.bool_]:
        """Whether any adjusted p of the table is <= .05."""
        return np.array([r.least_adjusted for r in self.readings if r.least_adjusted is not None]) <= LEVEL

    def failures(self) -> list[str]:
        """Return what fails, in words."""
        found = []
        if (n := len(self.covered)) and not coverage_holds(int(self.covered.sum()), n):
            found.append("coverage")
        if len(self.rejected) and not level_holds(int(self.rejected.sum()), len(self.rejected)):
            found.append("p")
        if len(self.family) and not level_holds(int(self.family.sum()), len(self.family)):
            found.append(self.check.method)
        return found


def level_holds(k: int, n: int) -> bool:
    """Return whether ``k`` false positives of ``n`` are compatible with a rate <= .05 (99 % binomial bound)."""
    return bool(k <= binom.ppf(0.99, n, LEVEL))


def coverage_holds(k: int, n: int) -> bool:
    """Return whether ``k`` of ``n`` is a coverage of .93 to .97; below 1,000 within its 99 % bounds."""
    if n >= 1000:
        return COVERAGE[0] <= k / n <= COVERAGE[1]
    return bool(binom.ppf(0.01, n, COVERAGE[0]) <= k <= binom.ppf(0.99, n, COVERAGE[1]))


def split(n_corpora: int, n_builds: int, seed: int) -> Iterator[Corpus]:
    """Draw one large corpus and cut it into corpora of ``n_builds`` distinct source builds each.

    Source builds are independent draws, and the noise of ``noisy`` and ``source`` is hashed from the source build, so
    that the parts are independent corpora.
    """
    spare = 1.15  # identical builds are one source build
    whole = BuildsGenerated(n_builds=int(spare * n_corpora * n_builds) + 50, contexts_per_build=2, seed=seed).load()
    sources = np.random.default_rng(seed).permutation(np.unique(whole.contexts.cluster))
    part_of = np.full(int(sources.max()) + 1, -1)
    part_of[sources] = np.arange(len(sources)) // n_builds
    part = part_of[whole.contexts.cluster]
    order = np.argsort(part, kind="stable")
    ends = np.searchsorted(part[order], np.arange(n_corpora + 1))
    if (part.max() + 1) < n_corpora:
        raise ValueError(f"{len(sources)} distinct builds are too few for {n_corpora} corpora of {n_builds}")
    for i in range(n_corpora):
        rows = order[ends[i] : ends[i + 1]]
        yield replace(whole, contexts=Contexts(whole.contexts.codes[rows], whole.contexts.cluster[rows]))


def calibrate(case: Case, model: SetModel, n_corpora: int, seed: int = 0) -> list[Rates]:
    """Run one case on ``n_corpora`` independent corpora, and on as many more (at most) until each check has so many."""
    rates = [Rates(check) for check in case.checks]
    more = (split(n_corpora, case.n_builds, other) for other in (seed, seed + MORE_SEED))
    for i, corpus in enumerate(chain.from_iterable(more)):
        if i >= n_corpora and all(rate.n >= n_corpora for rate in rates):
            break
        setup = build_setup(
            data=corpus,
            model=model,
            feature=PlantedFeature(case.feature),
            seed=seed + i,
            stats=replace(SPEC, **case.stats),
            batch_limit=8192,
        )
        result = perform(case.experiment, setup, MemoryRecorder())
        for rate in rates:
            rate.readings.append(rate.check.read(result, setup))
    return rates


def planted_model() -> SetModel:
    """Return the planted model, shared by all corpora."""
    corpus = BuildsGenerated(n_builds=2).load()
    return Planted().build(tokens=corpus.vocabulary.tokens, specials=[w.special for w in corpus.weapons.weapons])


def report(case: Case, rates: Sequence[Rates], seconds: float) -> list[str]:
    """Return the lines of a case."""
    lines = []
    for rate in rates:
        name = case.type + (f" ({case.note})" if case.note else "")
        verdict = "FAILS: " + ", ".join(rate.failures()) if rate.failures() else "ok"
        family = f"{_share(rate.family)} {rate.check.method}" if len(rate.family) else "-"
        cells = (name, case.feature, rate.check.label, str(len(rate.readings)))
        cells += (_share(rate.covered), _share(rate.rejected), family, verdict, f"{seconds:.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _share(values: npt.NDArray[np.bool_]) -> str:
    return f"{values.mean():.3f} ({len(values)})" if len(values) else "-"


HEADER = (
    "| type | feature | table | corpora | coverage (n) | p <= .05 (n) | any adjusted p <= .05 (n) | verdict | s |\n"
    "|---|---|---|---:|---:|---:|---:|---|---:|"
)

PLANTED_HEADER = "| type | planted | recall | precision | missed | wrong |\n|---|---:|---:|---:|---|---|"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables as they are finished; return 1 if something fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} corpora and nothing planted: under a minute")
    parser.add_argument("--types", default="", help="experiment types, separated by commas; default: all")
    parser.add_argument("--corpora", type=int, default=1000, help="independent corpora of every case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-nulls", action="store_true", help="only recall and precision")
    parser.add_argument("--no-planted", action="store_true", help="leave out recall and precision")
    options = parser.parse_args(arguments)
    wanted = {name for name in options.types.split(",") if name}
    unknown = wanted - {case.type for case in CASES}
    if unknown:
        parser.error(f"unknown types {sorted(unknown)}; valid: {', '.join(sorted({c.type for c in CASES}))}")
    n = QUICK if options.quick else options.corpora
    model = planted_model()
    print(
        f"{n} independent corpora each; 99 % bound of .05: {binom.ppf(0.99, n, LEVEL) / n:.3f}\n\n{HEADER}", flush=True
    )
    failed = False
    for case in CASES:
        if options.no_nulls or (wanted and case.type not in wanted):
            continue
        start = time.process_time()
        rates = calibrate(case, model, n, options.seed)
        failed |= any(rate.failures() for rate in rates)
        print("\n".join(report(case, rates, time.process_time() - start)), flush=True)
    if not (options.no_planted or options.quick):
        print(f"\n{PLANTED_HEADER}", flush=True)
        for line, exact in recovered(model, wanted):
            print(line, flush=True)
            failed |= not exact
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
