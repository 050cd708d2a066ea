"""What a correct build shows on digits with a planted shortcut: ``python -m benchmarks.planted [--quick | --study]``.

Trains small networks over seeds and strengths of the shortcut, swaps the domain of the same contents, removes the
domain's subspace, and prints whether the five statements hold that must hold; exits 1 if one does not.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy import stats as scipy_stats
from tqdm import tqdm

from paribus import seeds
from paribus.config.compose import jobs
from paribus.experiments.base import perform
from paribus.experiments.checkpoints import Checkpoints
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.setup_labelled import LabelledSetup
from paribus.experiments.shortcut.domain_swap import DomainSwap
from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation
from paribus.experiments.training.train_classifier.spec import TrainClassifier
from paribus.models.small_cnn import SmallCNN
from paribus.stats.bootstrap import cluster_interval
from paribus.stats.few import paired_sign_flip
from paribus.stats.spec import StatsSpec
from paribus.subjects.images.digits_scanners import DigitsScanners
from paribus.subjects.images.subject import ImageSubject
from paribus.training.spec import TrainingSpec

STRONG = 0.9
COARSE = StatsSpec(n_bootstrap=100, n_permutations=99, n_null=2)
"""The intervals of single runs are not looked at here."""


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes:
        epochs: Epochs of each training.
        strong: Seeds at strength .9.
        none: Seeds at strength 0.
        middle: Seeds at each strength in between.
        strengths: The strengths in between.
        labellings: Random domain labellings for the calibration.
        refits: Refits of each null.
        training: How the networks are trained.
    """

    epochs: int
    strong: int
    none: int
    middle: int
    strengths: tuple[float, ...]
    labellings: int
    refits: int
    training: TrainingSpec | None = None

    @property
    def how(self) -> TrainingSpec:
        """How the networks are trained."""
        return self.training or TrainingSpec(epochs=self.epochs)


def study() -> Plan:
    """Return the plan at exactly the training and the data of ``study=shortcut_digits``, which ``make run`` runs."""
    (job,) = jobs(["study=shortcut_digits"])
    training: TrainingSpec = job.nodes["training"]
    data = job.nodes["data"]
    if data != DigitsScanners(seed=data.seed, strength=STRONG):
        raise ValueError(f"the study's data are not those that are measured here: {data}")
    return Plan(training.epochs, strong=8, none=20, middle=6, strengths=(0.3, 0.6), labellings=200, refits=39,
                training=training)  # fmt: skip


FULL = Plan(epochs=60, strong=8, none=20, middle=6, strengths=(0.3, 0.6), labellings=1000, refits=99)
QUICK = Plan(epochs=20, strong=8, none=20, middle=3, strengths=(0.45,), labellings=200, refits=39)


@dataclass(frozen=True)
class Trained:
    """What one trained network showed, at its best epoch on the validation domain.

    Attributes:
        strength: Strength of the planted shortcut.
        seed: Seed of data, weights and order.
        swap: Signed domain-swap effect on the margin, over all held-out contents.
        raw: The same on the contents of id_val.
        ablated: What is left of it without the subspace of the domains' mean differences.
        id_acc: Accuracy on held-out images of the training domains.
        ood_acc: Accuracy on the OOD domain.
        seconds: Time of the training.
    """

    strength: float
    seed: int
    swap: float
    raw: float
    ablated: float
    id_acc: float
    ood_acc: float
    seconds: float


def trained_setup(
    strength: float, seed: int, how: TrainingSpec, style_gap: float = 1.0
) -> tuple[NetworkSetup, dict, float]:
    """Train a network; return what experiments on it work on, the training's summary, and its time in seconds."""
    import torch

    torch.set_num_threads(1)
    data = DigitsScanners(seed=seed, strength=strength, style_gap=style_gap).load()
    architecture = SmallCNN()
    model = architecture.build(
        in_channels=data.in_channels,
        n_classes=data.n_classes,
        image_size=data.image_size,
        generator=seeds.torch_rng(seed, "model"),
    )
    setup = LabelledSetup(
        seed=seed,
        stats=COARSE,
        data=data,
        model=model,
        architecture=architecture,
        training=how,
    )
    recorder, start = MemoryRecorder(), time.perf_counter()
    result = perform(TrainClassifier(), setup, recorder)
    seconds = time.perf_counter() - start
    checkpoints = Checkpoints(
        loader=lambda epoch: recorder.workspace.load(f"checkpoint_e{epoch:05d}")["model"],
        epochs=tuple(result.tables["checkpoints"].frame["epoch"]),
        history=result.tables["history"].frame,
        key=f"{strength}/{seed}/{style_gap}",
    )
    setup = NetworkSetup(seed=seed, stats=COARSE, contexts=ImageSubject(data), network=model, checkpoints=checkpoints)
    return setup, dict(result.aggregates.custom), seconds


def measure(task: tuple[float, int, TrainingSpec]) -> Trained:
    """Train one network, swap its domains, and remove the domain's subspace."""
    strength, seed, how = task
    setup, summary, seconds = trained_setup(strength, seed, how)
    swap = perform(DomainSwap(), setup, MemoryRecorder())
    erased = perform(
        SubspaceAblation(methods=["mean_difference"], splits=["id_val"], refit_probes=False), setup, MemoryRecorder()
    )
    row = erased.tables["ablation"].frame.query("method == 'mean_difference'").iloc[0]
    return Trained(
        strength=strength,
        seed=seed,
        swap=swap.aggregates.custom["signed_swap_effect"],
        raw=float(row["swap_effect_raw"]),
        ablated=float(row["swap_effect_ablated"]),
        id_acc=summary["id_val_at_peak_val"],
        ood_acc=summary["ood_at_peak_val"],
        seconds=seconds,
    )


def calibration(plan: Plan) -> np.ndarray:
    """Return p of random domain labellings [labellings] where all scanners are alike.

    The features are fixed. For each labelling the statistic is how much the margins of held-out rows move when the
    subspace of its mean differences is removed; the null are refits on the same labelling permuted within class.
    """
    from paribus.engine.evaluation import Engine
    from paribus.subspace.erasers import fit_eraser
    from paribus.subspace.probes import balance_weights

    setup, _, _ = trained_setup(STRONG, 0, plan.how, style_gap=0.0)
    model, data = setup.executor(setup.selected()[0]).network, setup.contexts.data
    train, held = (data.rows(name) for name in ("train", "id_val"))
    engine = Engine(model, "avgpool")
    h, h_held = (engine.pooled(data.take(rows)).astype(np.float64) for rows in (train, held))
    weight = model.fc.weight.detach().double().numpy()
    direction, labels, clusters = weight[1] - weight[0], data.labels[train], data.clusters[train]
    classes = [np.flatnonzero(labels == label) for label in (0, 1)]
    rng = seeds.rng(0, "benchmarks/planted/calibration")

    def permuted(domains: np.ndarray) -> np.ndarray:
        fresh = domains.copy()
        for rows in classes:
            fresh[rows] = domains[rng.permutation(rows)]
        return fresh

    def moved(domains: np.ndarray) -> float:
        eraser = fit_eraser(
            "mean_difference",
            h,
            domains,
            labels,
            clusters=clusters,
            rng=rng,
            weights=balance_weights(domains, labels),
        )
        return float(np.abs((eraser.apply(h_held) - h_held) @ direction).mean())

    found = []
    for _ in tqdm(range(plan.labellings), desc="labellings", disable=None, leave=False):
        domains = permuted(data.domains[train])
        statistic = moved(domains)
        null = [moved(permuted(domains)) for _ in range(plan.refits)]
        found.append((1 + sum(value >= statistic for value in null)) / (plan.refits + 1))
    return np.array(found)


def train_all(plan: Plan, workers: int) -> list[Trained]:
    """Train and measure every network of the plan."""
    tasks = [(STRONG, seed, plan.how) for seed in range(plan.strong)]
    tasks += [(0.0, seed, plan.how) for seed in range(plan.none)]
    tasks += [(strength, seed, plan.how) for strength in plan.strengths for seed in range(plan.middle)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(tqdm(pool.map(measure, tasks), total=len(tasks), desc="networks", disable=None, leave=False))


def judge(trained: list[Trained], p_values: np.ndarray) -> list[tuple[str, str, bool]]:
    """Return statement, what was found, and whether it holds."""
    strong = [one for one in trained if one.strength == STRONG]
    none = [one for one in trained if one.strength == 0.0]
    swaps = np.array([one.swap for one in strong])
    flip = paired_sign_flip(swaps)
    remaining = np.array([one.ablated / one.raw for one in strong])
    n_equal = min(len(none), len(strong))
    some = [one for one in trained if one.strength > 0 or one.seed < n_equal]
    size = [abs(one.raw) for one in some]
    removed = [abs(one.raw) - abs(one.ablated) for one in some]
    spearman = scipy_stats.spearmanr(size, removed)
    at_zero = np.array([one.swap for one in none])
    ends = cluster_interval(
        at_zero, np.arange(len(at_zero)), spec=StatsSpec(), rng=seeds.rng(0, "benchmarks/planted/interval")
    )
    rate, n = float((p_values <= 0.05).mean()), len(p_values)
    bound = float(scipy_stats.binom.ppf(0.99, n, 0.05)) / n
    return [
        (
            f"strength {STRONG}: signed swap effect above 0 (sign flip over {len(strong)} seeds, p <= .01)",
            f"mean {swaps.mean():.2f}, least {swaps.min():.2f}, p {flip.p:.4f} (least possible {flip.smallest_p:.4f})",
            bool(swaps.mean() > 0 and flip.p <= 0.01),
        ),
        (
            f"strength {STRONG}: less than half of it left without the mean differences",
            f"left: mean {remaining.mean():.3f}, most {np.abs(remaining).max():.3f}",
            bool((np.abs(remaining) < 0.5).all()),
        ),
        (
            f"all strengths, {len(some)} networks: the larger the effect, the more is removed (Spearman >= .8)",
            f"Spearman {spearman.statistic:.3f}",
            bool(spearman.statistic >= 0.8),
        ),
        (
            f"strength 0: the interval over {len(none)} seeds covers 0",
            f"mean {at_zero.mean():.2f}, 95 % CI {float(ends.low):.2f} to {float(ends.high):.2f}",
            bool(ends.low <= 0 <= ends.high),
        ),
        (
            f"no style gap: {n} random labellings, share of p <= .05 within its 99 % bound ({bound:.3f})",
            f"share {rate:.3f}, mean p {p_values.mean():.3f}",
            rate <= bound,
        ),
    ]


def main() -> int:
    """Run the plan, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter trainings, about a minute")
    parser.add_argument("--study", action="store_true", help="training and data of study=shortcut_digits (make run)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    arguments = parser.parse_args()
    plan, start = study() if arguments.study else QUICK if arguments.quick else FULL, time.perf_counter()
    trained = train_all(plan, arguments.workers)
    print(f"{'strength':>8} {'seeds':>5} {'id acc':>7} {'ood acc':>8} {'swap effect':>12} {'left':>7} {'seconds':>8}")
    for strength in sorted({one.strength for one in trained}):
        group = [one for one in trained if one.strength == strength]
        mean = {
            name: np.mean([getattr(one, name) for one in group]) for name in ("id_acc", "ood_acc", "swap", "seconds")
        }
        left = np.mean([abs(one.ablated) for one in group]) / np.mean([abs(one.raw) for one in group])
        print(
            f"{strength:8.2f} {len(group):5d} {mean['id_acc']:7.3f} {mean['ood_acc']:8.3f} {mean['swap']:12.2f} "
            f"{left:7.2f} {mean['seconds']:8.1f}"
        )
    verdicts = judge(trained, calibration(plan))
    print()
    for statement, found, holds in verdicts:
        print(f"{'holds' if holds else 'FAILS':6} {statement}\n       {found}")
    print(f"\n{time.perf_counter() - start:.0f} s")
    return 0 if all(holds for _, _, holds in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
