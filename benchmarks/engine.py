"""How much cheaper Paribus evaluates interventions than a hook loop: ResNet-18, 96 px, at ``avgpool`` and ``layer3``.

    OMP_NUM_THREADS=1 python -m benchmarks.engine

Every family of interventions is timed on the same images and network, in evaluation mode, without gradients:

* ``paribus``: all interventions of the family, with the digest of the inputs and the parity check; the features are
  computed once before and timed on their own.
* ``hook loop``: the plain forward with a PyTorch hook, once per intervention, in batches of ``--batch`` rows.
* ``bare``: the plain forward once per intervention, no hook: what re-running costs at least.
* ``captum``, ``nnsight``: unit ablations of the same size by these packages, where they are installed.

Slow ones are timed on fewer rows and interventions and scaled up; the output says on how many.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from paribus.engine.evaluation import Engine, Evaluation
from paribus.engine.hooks import at_rest, visiting
from paribus.engine.inputs import unique_rows
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import AblateUnits, ProjectOut, Steer
from paribus.engine.sites import Site
from paribus.measure import ArraySubject, Contexts, Design, Executor, Outputs
from paribus.models.nets.resnet import ResNet18Net

WIDTHS = {"avgpool": 512, "layer3": 256}


DEVICE = torch.device("cpu")


def seconds(work: Callable[[], object]) -> float:
    """Return the time of one call.

    On the CPU it is processor time, which hardly depends on who else uses the machine; on CUDA wall time until the
    device is done.
    """
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)
        start = time.perf_counter()
        work()
        torch.cuda.synchronize(DEVICE)
        return time.perf_counter() - start
    start = time.process_time()
    work()
    return time.process_time() - start


def least(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least processor time of several calls."""
    return min(seconds(work) for _ in range(repeats))


def families(width: int, generator: np.random.Generator, sigma: float) -> dict[str, list[Intervention]]:
    """Return the families of interventions, by name."""
    center = torch.zeros(width)
    directions = torch.from_numpy(generator.standard_normal((2, width))).float()
    directions /= directions.norm(dim=1, keepdim=True)
    bases = [np.linalg.qr(generator.standard_normal((width, 2)))[0] for _ in range(200)]

    def units(n: int) -> list[Intervention]:
        return [AblateUnits(generator.choice(width, 16, replace=False)) for _ in range(n)]

    alphas = np.linspace(-3, 3, 41)
    return {
        "16 neuron sets": units(16),
        "256 neuron sets": units(256),
        "41 alphas x 2": [Steer(v, float(a * sigma)) for v, a in itertools.product(directions, alphas)],
        "200 subspaces": [ProjectOut(torch.from_numpy(basis).float(), center) for basis in bases],
    }


def hook_loop(
    model: nn.Module, site: Site, images: Tensor, interventions: Sequence[Intervention], batch: int
) -> np.ndarray:
    """Return ``[interventions, rows, k]`` as most people compute it."""
    outputs = []
    with torch.no_grad():
        for one in interventions:
            with visiting(model, site, one.forward):
                outputs.append(torch.cat([model(part) for part in images.split(batch)]))
    return torch.stack(outputs).cpu().numpy()


def captum_groups(model: nn.Module, site: Site, images: Tensor, batch: int, n_sets: int = 7) -> int:
    """Ablate ``n_sets`` disjoint sets of 16 units, and the rest, with captum in one call; returns their number."""
    from captum.attr import LayerFeatureAblation

    layer, width = site.validate(model), WIDTHS[site.module]
    mask = torch.full((1, width, 1, 1), n_sets)
    for index in range(n_sets):
        mask[:, 16 * index : 16 * (index + 1)] = index
    with torch.no_grad():
        for part in images.split(batch):
            LayerFeatureAblation(model, layer).attribute(part, target=1, layer_mask=mask)
    return n_sets + 1


def nnsight_loop(
    model: nn.Module, site: Site, images: Tensor, interventions: Sequence[Intervention], batch: int
) -> np.ndarray:
    """Ablate each set of units with nnsight."""
    from nnsight import NNsight

    wrapped = NNsight(model)
    outputs = []
    with torch.no_grad():
        for one in interventions:
            parts = []
            for part in images.split(batch):
                with wrapped.trace(part):
                    place = getattr(wrapped, site.module)
                    place.output[:, one.units] = 0.0
                    saved = wrapped.output.save()
                parts.append(saved)
            outputs.append(torch.cat(parts))
    return torch.stack(outputs).cpu().numpy()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2048, help="rows for Paribus")
    parser.add_argument("--peer-rows", type=int, default=64, help="rows for the others, scaled up")
    parser.add_argument("--batch", type=int, default=32, help="rows in one forward pass of the others")
    parser.add_argument("--layer3-rows", type=int, default=128, help="rows for Paribus at layer3, scaled up")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda or cuda:N")
    options = parser.parse_args()
    global DEVICE
    DEVICE = torch.device(options.device)

    generator = np.random.default_rng(0)
    torch.manual_seed(0)
    model = ResNet18Net(3, 2, 64, "imagenet").eval().to(DEVICE)
    images = torch.from_numpy(generator.standard_normal((options.rows, 3, 96, 96), dtype=np.float32))
    few = images[: options.peer_rows].to(DEVICE)
    peers = [name for name in ("captum", "nnsight") if importlib.util.find_spec(name) is not None]
    clock = "processor seconds" if DEVICE.type == "cpu" else f"seconds on {torch.cuda.get_device_name(DEVICE)}"
    print(
        f"ResNet-18, 96 px, {options.rows} rows, {torch.get_num_threads()} thread(s), torch {torch.__version__}, "
        f"{clock}.\nHook loop, bare and peers: two interventions on {len(few)} rows, scaled up "
        f"(peers here: {', '.join(peers) or 'none'}).\n"
    )
    edited_inputs(generator)
    with at_rest(model):
        bare = least(lambda: [model(part) for part in few.split(options.batch)]) * options.rows / len(few)
    print(f"One bare forward pass over all rows: {bare:.2f} s\n")
    for name in WIDTHS:
        report(model, Site(name), images, few, bare, generator, options, peers)
    print("\n'vs hook loop' charges the features to every family; 'difference' is the largest from the hook loop.")


def edited_inputs(generator: np.random.Generator) -> None:
    """Print what deduplication costs and saves: 200,000 edited sets of 20 ids, 60,000 of them distinct."""
    rows = generator.integers(0, 140, (60_000, 20))[generator.integers(0, 60_000, 200_000)]
    network = DeepSets()

    def bare(some: np.ndarray) -> None:
        with torch.no_grad():
            for part in torch.from_numpy(some).split(512):
                network(part)

    def streamed(some: np.ndarray) -> None:
        subject = ArraySubject(Contexts(inputs=torch.from_numpy(some)))
        for _ in Executor(network, subject).stream(Design(), Outputs()):
            pass

    distinct = rows[unique_rows(rows)[0]]
    took = [least(lambda: work(some)) for some in (distinct, rows) for work in (bare, streamed)]  # noqa: B023
    print(f"Edited inputs, {len(rows)} rows of 20 ids, {len(distinct)} distinct, a small deep-sets model\n")
    print("| bare, distinct rows | executor, distinct rows | bare, all rows | executor, all rows |")
    print("| --- | --- | --- | --- |")
    print(f"| {' | '.join(f'{one:.3f} s' for one in took)} |\n")


class DeepSets(nn.Module):
    """A small network on every token, their mean, a linear layer (deep sets, Zaheer et al. 2017)."""

    def __init__(self) -> None:
        """Make it for 140 tokens."""
        super().__init__()
        self.token = nn.Sequential(nn.Embedding(140, 64), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64))
        self.score = nn.Linear(64, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return a score ``[n, 1]`` for tokens ``[n, L]``."""
        return self.score(self.token(tokens).mean(1))


def report(
    model: nn.Module,
    site: Site,
    images: Tensor,
    few: Tensor,
    bare: float,
    generator: np.random.Generator,
    options: argparse.Namespace,
    peers: Sequence[str],
) -> None:
    """Print the table of one site."""
    total = len(images)
    mine = images if site.module == "avgpool" else images[: options.layer3_rows]
    up, peer_up = total / len(mine), total / len(few)
    engine = Engine(model, site, device=DEVICE)
    plan_cost = seconds(lambda: engine.plan(mine))
    feature_cost = seconds(lambda: engine.features(mine)) * up
    sigma = float(engine.features(mine).std())
    print(f"{site}: features of all rows {feature_cost:.2f} s, choosing the way {plan_cost:.2f} s, ", end="")
    print(f"Paribus timed on {len(mine)} rows{'' if up == 1 else ', scaled up'}\n")
    names = ("family", "strategy", "paribus", "of features", "hook loop", "bare", "captum", "nnsight", "vs hook loop")
    print(f"| {' | '.join(names)} | difference |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    spent = 0.0
    for family, interventions in families(WIDTHS[site.module], generator, sigma).items():
        found: list[Evaluation] = []
        cost = seconds(lambda: found.append(engine.evaluate(mine, interventions))) * up  # noqa: B023
        spent += cost
        some, scale = interventions[:2], len(interventions) / 2 * peer_up
        reference: list[np.ndarray] = []
        hooked = scale * seconds(lambda: reference.append(hook_loop(model, site, few, some, options.batch)))  # noqa: B023
        gap = float(np.abs(reference[0] - found[0].outputs[:2, : len(few)]).max())
        columns = {"captum": "", "nnsight": ""}
        if "neuron" in family and "captum" in peers:
            groups: list[int] = []
            took = seconds(lambda: groups.append(captum_groups(model, site, few, options.batch)))  # noqa: B023
            columns["captum"] = f"{took / groups[0] * len(interventions) * peer_up:.1f} s"
        if "neuron" in family and "nnsight" in peers:
            took = scale * seconds(lambda: nnsight_loop(model, site, few, some, options.batch))  # noqa: B023
            columns["nnsight"] = f"{took:.1f} s"
        print(
            f"| {family} | {found[0].report.strategy} | {cost:.3f} s | {cost / feature_cost:.2%} | {hooked:.0f} s "
            f"| {bare * len(interventions):.0f} s | {columns['captum']} | {columns['nnsight']} "
            f"| {hooked / (cost + feature_cost):.1f}x | {gap:.1e} |",
            flush=True,
        )
    print(f"| all families | | {spent:.3f} s | {spent / feature_cost:.2%} | | | | | | |\n")


if __name__ == "__main__":
    main()
