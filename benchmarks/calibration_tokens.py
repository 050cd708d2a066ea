"""Do ablations and patches of heads keep their word where nothing is to be found?

    OMP_NUM_THREADS=1 python -m benchmarks.calibration_tokens [--seeds 200]

Every case runs on many seeds: a new small causal transformer with random weights and new sequences each time. What is
null is exact in each of them:

* ``zeroed output projection``: the heads write nothing, so every effect is 0 and every p is 1;
* ``donors like receivers``: values come from another sequence of the same distribution, pair by pair;
* ``labels permuted``: taking heads away, read by the margin of labels that have nothing to do with the sequences;
* ``a later position``: the answer is read before the position that is ablated.

Printed: the share of p <= .05 in a row chosen beforehand, and of any adjusted p <= .05 of the table; both within the
99 % binomial bound of .05. Beside them, judged by no bound: the same heads read by the loss (random heads do change
it), and where the effect of a random head stands among heads of its own layer and among those of all layers. KL has no
p, in any case. Exit code 1 if a rate fails.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.stats import binom
from torch import Tensor, nn

from benchmarks.calibration import LEVEL, level_holds
from paribus.arrays import Bools, Ints
from paribus.experiments.any.head_ablation.spec import HeadAblation
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.base import Experiment, perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors._heads import LayeredHeads, layered
from paribus.factors.spec import Patch as Donors
from paribus.measure import ArraySubject, Contexts, Executor
from paribus.methods import contrast
from paribus.methods.ablate import ablate
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.data import Targets, TokenData
from paribus.subjects.tokens.subject import TokenSubject

N_TOKENS, LENGTH, WIDTH, HEADS, LAYERS = 11, 6, 16, 4, 2
SEQUENCES = 40
PLACED = 8
"""Heads of a layer, where one is compared with the others."""
SEEDS, QUICK = 200, 6
SPEC = StatsSpec(n_bootstrap=200, n_permutations=399, n_null=0)
HEADS_OF = "layers.{}.attn.out.input"


class Attention(nn.Module):
    """Causal attention."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.n_heads = heads
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(2, 3) / math.sqrt(WIDTH // self.n_heads)
        scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), -math.inf)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, -1))


class Causal(nn.Module):
    """Logits of the next token ``[n, length, tokens]``, or with ``classes`` of the whole sequence ``[n, classes]``."""

    def __init__(
        self, seed: int, *, classes: int = 0, heads: int = HEADS, scales: Sequence[float] = (1.0, 1.0)
    ) -> None:
        super().__init__()
        self.classes = classes
        self.embed, self.place = nn.Embedding(N_TOKENS, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList(nn.ModuleDict({"attn": Attention(heads)}) for _ in scales)
        self.unembed = nn.Linear(WIDTH, classes or N_TOKENS)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)
        for layer, scale in zip(self.layers, scales, strict=True):
            layer["attn"].out.weight.data *= scale

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids) + self.place.weight[: ids.shape[1]]
        for layer in self.layers:
            x = x + layer["attn"](x)
        logits: Tensor = self.unembed(x)
        return logits[:, -1] if self.classes else logits


@dataclass
class Reading:
    """What one seed shows: the p of a row chosen beforehand, the least adjusted p, and whether all effects are 0."""

    p: float
    least_adjusted: float
    zero: bool


@dataclass
class Rates:
    """What a case showed over all seeds.

    Attributes:
        name: The case.
        null: Whether nothing is to be found, so that the rates are judged.
        exact: Whether every effect must be exactly 0.
        readings: One per seed.
    """

    name: str
    null: bool = True
    exact: bool = False
    readings: list[Reading] = field(default_factory=list)

    def share(self, what: str) -> float:
        """Return how often ``p`` or ``least_adjusted`` is <= .05."""
        return float(np.mean([getattr(one, what) <= LEVEL for one in self.readings]))

    def failures(self) -> list[str]:
        """Return what fails, in words."""
        if not self.null:
            return []
        n = len(self.readings)
        found = [what for what in ("p", "least_adjusted") if not level_holds(round(self.share(what) * n), n)]
        return [*found, *(["not exactly 0"] if self.exact and not all(one.zero for one in self.readings) else [])]

    def line(self, seconds: float) -> str:
        """Return the row of the table."""
        verdict = "beside" if not self.null else "FAILS: " + ", ".join(self.failures()) if self.failures() else "ok"
        zero = "yes" if all(one.zero for one in self.readings) else "no"
        cells = [self.name, len(self.readings), f"{self.share('p'):.3f}", f"{self.share('least_adjusted'):.3f}", zero]
        return "| " + " | ".join(map(str, [*cells, verdict, f"{seconds:.0f}"])) + " |"


def sequences(seed: int, *, target: int | None = None) -> TokenData:
    """Return random sequences, a third of them to rank on; asked for the next token after all, or after ``target``."""
    rng = np.random.default_rng(seed)
    n = SEQUENCES + SEQUENCES // 2
    ids = rng.integers(0, N_TOKENS, (n, LENGTH))
    where = np.arange(LENGTH - 1) if target is None else np.array([target])
    return TokenData(
        ids=torch.from_numpy(ids),
        labels=None,
        clusters=np.arange(n),
        class_names=(),
        splits={"test": np.arange(SEQUENCES), "train": np.arange(SEQUENCES, n)},
        n_tokens=N_TOKENS,
        targets=Targets(np.tile(where, (n, 1)), ids[:, where + 1]),
    )


def on_tokens(seed: int, network: nn.Module, **changes: int) -> NetworkSetup:
    """Return a language model on new sequences."""
    data = sequences(seed, **changes)
    return NetworkSetup(seed=seed, stats=SPEC, contexts=TokenSubject(data), network=network.eval(), data=data)


def on_labels(seed: int, network: nn.Module, *, pairs: bool = False) -> NetworkSetup:
    """Return a classifier on new sequences with labels that have nothing to do with them; or on pairs of sequences."""
    rng = np.random.default_rng(seed)
    n = 2 * SEQUENCES
    splits = {"train": np.arange(SEQUENCES), "test": np.arange(SEQUENCES, n)}
    contexts = Contexts(
        inputs=torch.from_numpy(rng.integers(0, N_TOKENS, (n, LENGTH))),
        label=rng.permutation(np.arange(n) % 2),
        cluster=np.arange(n) % SEQUENCES if pairs else np.arange(n),
        splits=splits,
        output_names=("a", "b"),
    )
    return NetworkSetup(seed=seed, stats=SPEC, contexts=ArraySubject(contexts), network=network.eval())


def read(experiment: Experiment, setup: NetworkSetup) -> Reading:
    """Run an experiment and return what its table shows; the row chosen beforehand is the first by name."""
    recorder = MemoryRecorder()
    perform(experiment, setup, recorder)
    frame = next(iter(recorder.tables.values())).frame.sort_values("level")
    untested = float("nan") if frame["p_adj"].isna().all() else float(frame["p_adj"].min())
    return Reading(float(frame["p"].iloc[0]), untested, bool((frame["mean_delta"] == 0).all()))


def zeroed(seed: int) -> Reading:
    network = Causal(seed)
    for layer in network.layers:
        nn.init.zeros_(layer["attn"].out.weight)
    return read(HeadAblation(ablations=["zero", "mean", "resample"], ks=[]), on_tokens(seed, network))


def donors(seed: int) -> Reading:
    places = [f"{HEADS_OF.format(layer)}[head={head}]" for layer in range(LAYERS) for head in range(HEADS)]
    asked = Patch(
        factor=Donors(donors="split", split="train"), split="test", places=[*places, "layers.0.attn.input"], both=False,
        readout="margin", outputs=["b"], n_donors=0,
    )  # fmt: skip
    return read(asked, on_labels(seed, Causal(seed, classes=2), pairs=True))


def permuted(seed: int) -> Reading:
    asked = HeadAblation(ablations=["zero", "resample"], ks=[], readout="label_margin")
    return read(asked, on_labels(seed, Causal(seed, classes=2)))


def later(seed: int) -> Reading:
    places = [f"layers.{layer}.attn.out.input[head={head}, pos=-1]" for layer in range(LAYERS) for head in range(HEADS)]
    asked = Patch(factor=Donors(donors="any"), split="test", places=places, readout="loss", n_donors=0)
    return read(asked, on_tokens(seed, Causal(seed), target=LENGTH - 2))


def random_weights(seed: int) -> Reading:
    return read(HeadAblation(ablations=["mean"], ks=[]), on_tokens(seed, Causal(seed)))


def divergence(seed: int) -> Reading:
    return read(HeadAblation(ablations=["mean"], ks=[], readout="kl"), on_tokens(seed, Causal(seed)))


CASES: tuple[tuple[Rates, Callable[[int], Reading]], ...] = (
    (Rates("zeroed output projection", exact=True), zeroed),
    (Rates("donors like receivers"), donors),
    (Rates("labels permuted"), permuted),
    (Rates("a later position of a causal model", exact=True), later),
    (Rates("random weights, read by the loss", null=False), random_weights),
    (Rates("random weights, read by KL: no p", null=False), divergence),
)


@dataclass(frozen=True, eq=False)
class Unmatched(LayeredHeads):
    """Heads whose random sets are drawn from all layers."""

    def like(self, off: Bools, n_null: int, rng: np.random.Generator) -> list[Ints]:
        """Return random sets of as many heads of any layer, none of the set's own."""
        found = []
        for row in off:
            others, k = np.flatnonzero(~row), int(row.sum())
            found.append(np.array([rng.choice(others, k, replace=False) for _ in range(n_null)]))
        return found


def places(seed: int, n_null: int = 60) -> tuple[float, float]:
    """Return where a random head of a layer that matters stands among matched and among unmatched random heads.

    The network has 8 heads in each layer, and what the second layer writes is small. Among the 7 others of its layer a
    random head is the largest in one of 8 cases; 1 is returned then.
    """
    setup = on_tokens(seed, Causal(seed, heads=PLACED, scales=(1.0, 0.1)))
    executor = Executor(setup.network, setup.contexts)
    rng = np.random.default_rng(seed)
    sites = [HEADS_OF.format(layer) for layer in range(LAYERS)]
    heads = layered(sites, executor, "zero", rng)
    off = np.zeros((1, len(heads.names)), bool)
    off[0, rng.choice(PLACED)] = True
    readout = next(iter(setup.contexts.readouts.values()))(executor)
    rows = setup.contexts.splits["test"]
    found = []
    to = contrast.Reading(executor, readout, rows)
    for units in (heads, Unmatched(**vars(heads))):
        made = ablate(to, units, off, n_null=n_null, rng=np.random.default_rng(seed))
        assert made.null is not None
        size, null = abs(float(made.sums.means[0])), np.abs(made.null.draws[0])
        found.append(float((null < size).mean()))
    return found[0], found[1]


def measured(n_seeds: int, wanted: Sequence[str] = ()) -> Iterator[tuple[Rates, float]]:
    """Yield the rates of every case, and the seconds it took."""
    for case, one in CASES:
        if wanted and case.name not in wanted:
            continue
        start = time.process_time()
        yield replace(case, readings=[one(seed) for seed in range(n_seeds)]), time.process_time() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables as they are finished; return 1 if something fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args(arguments)
    failed = False
    print("| null | seeds | p <= .05 | any adjusted p <= .05 | every effect 0 | verdict | s |")
    print("|---|---:|---:|---:|---|---|---:|")
    for rates, seconds in measured(options.seeds):
        print(rates.line(seconds), flush=True)
        failed |= bool(rates.failures())
    stands = np.array([places(seed) for seed in range(options.seeds)])
    largest = stands == 1
    print("\n| a random head of a layer that matters | mean place | the largest (expected .125) |\n|---|---:|---:|")
    for at, name in enumerate(("among heads of its layer", "among heads of all layers")):
        print(f"| {name} | {stands[:, at].mean():.3f} | {largest[:, at].mean():.3f} |")
    failed |= not largest[:, 0].sum() <= binom.ppf(0.99, len(stands), 1 / PLACED)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
