"""What experiments on builds cost: ``python -m benchmarks.builds [--quick] [--memory] [--full-size]``.

Processor seconds on one thread. *End to end* is everything after the corpus is loaded: edits, constraints,
deduplication, forward passes, null features, intervals, p-values and tables. *Bare* is nothing but the network on the
very same batches of distinct states, with their tensors ready. *One by one* is the network on one state at a time.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor, nn

from paribus.experiments.base import Experiment, perform
from paribus.experiments.builds.family_1d_sweep import Family1dSweep
from paribus.experiments.builds.family_2d_heatmap import Family2dHeatmap
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.builds.minimal_cores import MinimalCores
from paribus.experiments.builds.pairwise_interactions import PairwiseInteractions
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.recording import MemoryRecorder
from paribus.features.latent import Latent
from paribus.models.sae import SAE
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.contexts import Contexts
from paribus.subjects.builds.families import STACKING
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.models.set_completion import SetCompletion, SetCompletionSmall
from paribus.subjects.builds.planted_feature import PlantedFeature
from paribus.subjects.builds.states import N_COLUMNS

STATS = StatsSpec()
SWEEP = Family1dSweep(family="special_charge_up")
SPEED = {
    "family_1d_sweep": SWEEP,
    "family_2d_heatmap": Family2dHeatmap(family_x="special_charge_up", family_y="swim_speed_up"),
    "pairwise_interactions": PairwiseInteractions(),
}
REPEATS = 2
MEMORY_SIZES = {
    "family_1d_sweep": (1_000, 10_000, 200_000),
    "family_2d_heatmap": (1_000, 10_000, 200_000),
    "pairwise_interactions": (1_000, 10_000, 200_000),
}


@dataclass(frozen=True)
class Timed:
    """One experiment, timed.

    Seconds are means of ``REPEATS`` runs.

    Attributes:
        n_unique: Distinct states the network was run on, reference contexts of the nulls included.
        total: End to end.
        bare: The network alone on the same batches.
        single: The network on one state at a time, for all of them.
    """

    n_unique: int
    total: float
    bare: float
    single: float


def small(n_builds: int) -> BuildSetup:
    """Return a setup on the small set model with random weights (which cost what trained ones cost)."""
    return build_setup(
        data=BuildsGenerated(n_builds=n_builds, seed=0),
        model=SetCompletionSmall(sae=SAE(n_features=256)),
        feature=Latent(id=3),
        seed=0,
        stats=STATS,
    )


def seconds(work: Callable[[], Any]) -> float:
    """Return the processor seconds that ``work`` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def timed(experiment: Experiment, setup: BuildSetup) -> Timed:
    """Time an experiment, and beside every forward pass it makes the bare network on that batch and on single states.

    Taken minutes apart, the two differ by what else the machine does; side by side they share it. What is timed
    beside it is no part of the total, and runs on a copy of the network that nobody listens to.
    """
    twin = copy.deepcopy(setup.model.network)
    bare, single = [], []
    sizes: list[int] = []

    def beside(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
        bare.append(seconds(lambda: twin(*inputs)))
        if len(sizes) % 2 == 0:
            one = tuple(t[:1] for t in inputs)
            single.append(seconds(lambda: twin(*one)))
        sizes.append(len(inputs[0]))

    perform(experiment, fresh(setup), MemoryRecorder())  # everything imported and allocated once
    handle = setup.model.network.register_forward_hook(beside)
    total = seconds(lambda: [perform(experiment, fresh(setup), MemoryRecorder()) for _ in range(REPEATS)])
    handle.remove()
    n, beside_it = sum(sizes), sum(bare) + sum(single)
    per_run = np.array([n, total - beside_it, sum(bare), np.mean(single) * n]) / REPEATS
    return Timed(int(per_run[0]), *per_run[1:].tolist())


def fresh(setup: BuildSetup) -> BuildSetup:
    """Return the setup with nothing measured yet."""
    return replace(setup)


def speed(n_builds: int) -> bool:
    """Print the table of speeds; return whether both targets are met."""
    setup = small(n_builds)
    print(f"\nSmall model, {len(setup.contexts)} contexts, {STATS.n_null} null features\n")
    print("| experiment | distinct states | states per second | bare / end to end | one by one / end to end |")
    print("| --- | --- | --- | --- | --- |")
    good = True
    for name, experiment in SPEED.items():
        t = timed(experiment, setup)
        print(
            f"| {name} | {t.n_unique} | {t.n_unique / t.total:.0f} | {t.bare / t.total:.2f} "
            f"| {t.single / t.total:.1f} |"
        )
        good &= t.bare / t.total >= 0.9 and t.single / t.total >= 8
    return good


def cores(n: int = 100, units: int = 12) -> None:
    """Print how long minimal cores of ``n`` active contexts with twelve families take."""
    setup = small(300)
    codes = np.zeros((10 * n, N_COLUMNS), np.uint16)
    rng = np.random.default_rng(0)
    for row in codes:
        row[rng.choice(len(STACKING), units, replace=False)] = 1
        row[-1] = rng.integers(setup.weapons.size)
    twelve = replace(setup.corpus, contexts=Contexts(codes, np.arange(len(codes))))
    often = setup.instrument.moments.rows[int(np.argmax(setup.instrument.moments.firing_rate))]
    other = replace(setup, corpus=twelve, feature=Latent(id=int(often)))
    results: list[Any] = []
    experiment = MinimalCores(top_fraction=1.0, max_contexts=n)
    took = seconds(lambda: results.append(perform(experiment, other, MemoryRecorder())))
    frame = results[0].tables["contexts"].frame
    shown = f"{len(frame)} contexts of {frame['n_units'].min()}-{frame['n_units'].max()} units"
    print(f"\nMinimal cores: {shown}, {results[0].diagnostics.engine.n_unique} distinct states, {took:.1f} s")


def peak_mib() -> float:
    """Return the most memory this process has held (Linux; ``getrusage`` would count its parent's too)."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def one_size(name: str, n_contexts: int) -> None:
    """Print contexts, states, processor seconds and peak memory of one experiment in this process."""
    setup = build_setup(
        data=BuildsGenerated(n_builds=n_contexts // 2, seed=0),
        model=Planted(),
        feature=PlantedFeature("threshold"),
        seed=0,
        stats=replace(STATS, n_bootstrap=200, n_permutations=199),
    )
    loaded = peak_mib()
    results: list[Any] = []
    took = seconds(lambda: results.append(perform(SPEED[name], setup, MemoryRecorder())))
    requested = results[0].diagnostics.engine.n_requested
    shown = f"{name} | {len(setup.contexts)} | {requested} | {took:.1f} | {took / requested * 1e6:.0f}"
    print(f"| {shown} | {loaded:.0f} | {peak_mib():.0f} |", flush=True)


def memory() -> None:
    """Print time and peak memory over the number of contexts, each in a process of its own."""
    print("\nOn the planted model\n")
    print(
        "| experiment | contexts | states asked for | processor seconds | microseconds per state "
        "| MiB with corpus loaded | MiB at peak |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name, sizes in MEMORY_SIZES.items():
        for n in sizes:
            one = ["--experiment", name, "--one-size", str(n)]
            subprocess.run([sys.executable, "-m", "benchmarks.builds", *one], check=True)


def full_size(n_builds: int = 50) -> None:
    """Print what a 1D sweep costs on the full architecture with random weights."""
    setup = build_setup(
        data=BuildsGenerated(n_builds=n_builds, seed=0),
        model=SetCompletion(sae=SAE(n_features=24_576)),
        feature=Latent(id=3),
        seed=0,
        stats=STATS,
    )
    count = sum(p.numel() for p in setup.model.network.parameters())
    results: list[Any] = []
    took = seconds(lambda: results.append(perform(replace(SWEEP, placebo_contexts=0), setup, MemoryRecorder())))
    unique = results[0].diagnostics.engine.n_unique
    print(
        f"\nFull architecture, {count / 1e6:.0f} million parameters, 24,576 latents: 1D sweep without placebo, "
        f"{len(setup.contexts)} contexts, {unique} distinct states in {took:.0f} s, {peak_mib():.0f} MiB at peak"
    )


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer contexts")
    parser.add_argument("--memory", action="store_true", help="also memory and time up to 200,000 contexts")
    parser.add_argument("--full-size", action="store_true", help="also the architecture of 83 million parameters")
    parser.add_argument("--experiment", choices=SPEED, help=argparse.SUPPRESS)
    parser.add_argument("--one-size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one_size:
        one_size(options.experiment, options.one_size)
        return
    good = speed(500 if options.quick else 2000)
    cores()
    if options.memory:
        memory()
    if options.full_size:
        full_size(20 if options.quick else 50)
    print(f"\n{'Both targets met' if good else 'NOT all targets met'}: bare at least 0.9, one by one at least 8 times.")


if __name__ == "__main__":
    main()
