"""Reads logits, gradients and the embedding of every checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from paribus.arrays import Floats
from paribus.experiments.base import Recorder
from paribus.experiments.checkpoints import Checkpoint
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.tokens._circuit import Embedded, embedding_of, n_numbers
from paribus.experiments.tokens.circuit_metrics.report import report
from paribus.experiments.tokens.circuit_metrics.spec import CircuitMetrics
from paribus.results.schema import Aggregates
from paribus.subjects.tokens.circuits import (
    Circle,
    accompanying,
    circularity,
    clock,
    distance_irrelevance,
    explained,
    gradient_symmetricity,
    half,
    pizza,
    triples,
)

__all__ = ["embedding_of", "run"]


def run(experiment: CircuitMetrics, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Describe every chosen checkpoint; hand over ``circuit_metrics``, ``circles`` and their figures.

    Raises:
        DataError: If the contexts are not all pairs, or all logits are equal.
        ConfigError: If the embedding is not found.
    """
    name = embedding_of(setup, experiment.embedding)
    metrics: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for checkpoint in recorder.progress(setup.selected(), description="checkpoints"):
        described, found = _described(experiment, setup, checkpoint, name)
        metrics.append(described)
        rows += found
    recorder.diagnose(n_contexts_tested=len(setup.contexts))
    return report(recorder, pd.DataFrame(metrics), rows, n_numbers(setup))


def _described(
    experiment: CircuitMetrics, setup: NetworkSetup, checkpoint: Checkpoint, name: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    executor = setup.executor(checkpoint)
    network, p = executor.network, n_numbers(setup)
    cells = setup.contexts.cells(np.arange(len(setup.contexts)))
    embedded, here = Embedded.of(network, name, experiment), executor.at(name)
    logits = here.outputs(cells)
    embed: Any = network.get_submodule(name)
    chosen = triples(p, experiment.n_triples)
    labels = np.asarray(setup.contexts.label)
    right = logits.argmax(1) == labels
    norms = [float(weight.detach().double().square().sum()) for weight in network.parameters()]
    described = {
        "epoch": checkpoint.epoch,
        "accuracy": float(right.mean()),
        "n_correct": int(right.sum()),
        "n_pairs": len(right),
        "loss": _loss(logits, labels),
        "distance_irrelevance": distance_irrelevance(logits),
        "gradient_symmetricity": gradient_symmetricity(network, embed, chosen, device=executor.device),
        "circularity": circularity(embedded.components),
        "weight_norm": float(np.sqrt(sum(norms))),
        "n_circles": len(embedded.circles),
    }
    edits = [embedded.kept(embedded.basis([circle])) for circle in embedded.circles]
    outputs = here.edited(cells, edits)[0] if edits else np.empty((0, *logits.shape))
    rows = [
        {"epoch": checkpoint.epoch, **circle_row(circle, np.asarray(own, np.float64), p)}
        for circle, own in zip(embedded.circles, outputs, strict=True)
    ]
    return described, rows


def circle_row(circle: Circle, logits: Floats, p: int) -> dict[str, Any]:
    """Return what the logits ``[p * p, p]`` are like with only this circle kept."""
    whole = half(circle.frequency, p)
    return {
        "circle": f"circle {circle.frequency}",
        "frequency": circle.frequency,
        "share": circle.share,
        "clock": explained(logits, clock, circle.frequency),
        "pizza": explained(logits, pizza, circle.frequency),
        "accompanying": explained(logits, accompanying, whole),
        "accompanies": whole if whole <= p // 2 else p - whole,
    }


def _loss(logits: Floats, labels: Any) -> float:
    return float(torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.as_tensor(labels)))
