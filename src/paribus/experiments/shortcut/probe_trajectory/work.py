"""Fits probes to one layer of one checkpoint after the other: the rows of the table of probes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from paribus.arrays import Floats, Ints
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.checkpoints import Checkpoint, say_choice
from paribus.experiments.fitting import fitted, offers_of
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut.probe_trajectory.report import report
from paribus.experiments.shortcut.probe_trajectory.spec import TARGETS, ProbeTrajectory
from paribus.results.schema import Aggregates
from paribus.stats.multiplicity import together
from paribus.stats.score_intervals import score_interval
from paribus.stats.scores import balanced_accuracy
from paribus.subspace.probes import balance_weights, fit_probe


def run(experiment: ProbeTrajectory, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Fit on training features, score on ``id_val``; hand over the table ``probes`` and its figures.

    Raises:
        ConfigError: If a layer or the checkpoint does not exist.
        DataError: If the training split or id_val has fewer than two domains.
    """
    experiment = fitted(experiment, offers_of(setup.contexts), recorder)
    layers = experiment.layers or probe_layers(setup.network)
    for layer in layers:
        Site.parse(layer).validate(setup.network)
    chosen = setup.selected()
    if any(checkpoint.on_reported_split for checkpoint in chosen):
        recorder.warn("checkpoint=peak_ood was selected on the OOD split")
    say_choice([one for one in chosen if not one.on_reported_split], ("id_val",), recorder)
    rows: list[dict[str, Any]] = []
    held = _Held(setup, experiment, n_rows=len(chosen) * len(layers) * len(TARGETS))
    for checkpoint in recorder.progress(chosen, total=len(chosen), description=experiment.type):
        for layer, train, test in _features(setup, checkpoint, layers):
            for target in TARGETS:
                rows.append(
                    {"epoch": checkpoint.epoch, "layer": layer, "target": target, **held.row(train, test, target)}
                )
    recorder.diagnose(n_contexts_tested=len(setup.contexts.splits["id_val"]))
    return report(pd.DataFrame(rows), layers, recorder)


def probe_layers(model: nn.Module) -> list[str]:
    """Return the modules to probe: those the model names in ``probe_sites``, else its parts but the last.

    Raises:
        ConfigError: If there are none.
    """
    named = list(getattr(model, "probe_sites", ()))
    if named:
        return named
    parts = [name for name, module in model.named_children() if any(True for _ in module.parameters())]
    if len(parts) < 2:
        raise ConfigError(f"experiment.layers: {type(model).__name__} has no stages to choose from; name its modules")
    return parts[:-1]


def _features(setup: NetworkSetup, checkpoint: Checkpoint, layers: list[str]) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield layer, training features and held-out features [n, d] (position means) of one checkpoint."""
    executor, contexts = setup.executor(checkpoint), setup.contexts
    train, test = (contexts.held(contexts.cells(contexts.splits[split])) for split in ("train", "id_val"))
    for layer in layers:
        at = executor.at(layer)
        yield layer, at.vectors(train), at.vectors(test)


class _Held:
    """Targets, clusters and weights of the training and the held-out rows; the same for all checkpoints and layers."""

    def __init__(self, setup: NetworkSetup, experiment: ProbeTrajectory, *, n_rows: int) -> None:
        contexts = setup.contexts
        self.setup, self.n_rows = setup, n_rows
        self.splits = [contexts.splits["train"], contexts.splits["id_val"]]
        self.clusters = [contexts.cluster[rows] for rows in self.splits]
        self.targets = {
            "domain": [contexts.domain[rows] for rows in self.splits],
            "label": [contexts.label[rows] for rows in self.splits],
        }
        self.weights: list[Floats | None] = [
            balance_weights(contexts.domain[rows], contexts.label[rows]) if experiment.fit_balance else None
            for rows in self.splits
        ]
        rng = setup.rng("probe_trajectory/controls")
        self.controls: dict[str, list[list[tuple[Ints, Floats | None]]]] = {target: [] for target in TARGETS}
        for target, other in (TARGETS, TARGETS[::-1]):
            for _ in range(experiment.n_controls):
                halves = []
                for y, within, clusters in zip(self.targets[target], self.targets[other], self.clusters, strict=True):
                    permuted = permuted_by_cluster(y, within=within, clusters=clusters, rng=rng)
                    halves.append((permuted, balance_weights(permuted, within) if experiment.fit_balance else None))
                self.controls[target].append(halves)

    def row(self, train: Floats, test: Floats, target: str) -> dict[str, Any]:
        """Return the scores of a probe of ``target`` and of its controls."""
        rng = self.setup.rng(f"probe_trajectory/{target}")
        y, truth = self.targets[target]
        clusters = self.clusters[0]
        probe = fit_probe(train, y, clusters=clusters, rng=rng, weights=self.weights[0])
        predicted = probe.predict(test)
        controls = []
        for (permuted, weights), (permuted_truth, scoring) in self.controls[target]:
            control = fit_probe(train, permuted, clusters=clusters, rng=rng, weights=weights, l2=probe.l2)
            controls.append(float(balanced_accuracy(control.predict(test), permuted_truth, weights=scoring)))
        own = self.setup.stats
        adjusted = replace(own, confidence=together(own.confidence, self.n_rows))
        interval, wide = (
            score_interval(
                predicted,
                truth,
                self.clusters[1],
                metric="balanced_accuracy",
                spec=spec,
                rng=draws,
                weights=self.weights[1],
            )
            for spec, draws in ((own, rng), (adjusted, rng.spawn(1)[0]))
        )
        balanced = float(balanced_accuracy(predicted, truth, weights=self.weights[1]))
        controlled = float(np.mean(controls))
        return {
            "n": len(truth),
            "accuracy": float(np.mean(predicted == truth)),
            "balanced_accuracy": balanced,
            "ci_low": float(interval.low),
            "ci_high": float(interval.high),
            "ci_method": str(interval.method),
            "ci_adj_low": min(float(interval.low), float(wide.low)),
            "ci_adj_high": max(float(interval.high), float(wide.high)),
            "chance": 1.0 / len(probe.classes),
            "control_accuracy": controlled,
            "selectivity": balanced - controlled,
            "l2": probe.l2,
        }


def permuted_by_cluster(target: Ints, *, within: Ints, clusters: Ints, rng: np.random.Generator) -> Ints:
    """Return ``target`` permuted within the groups of ``within``, whole clusters at a time where it is theirs.

    A target that is the same for all rows of a cluster (the hospital of a slide) is permuted over clusters, among those
    whose most frequent group is the same; one that varies within clusters is permuted among the rows of a group.
    """
    _, code = np.unique(clusters, return_inverse=True)
    n_clusters = int(code.max()) + 1
    first = np.zeros(n_clusters, dtype=np.int64)
    first[code[::-1]] = np.arange(len(code))[::-1]
    constant = bool((target == target[first][code]).all())
    permuted = target.copy()
    if not constant:
        for group in np.unique(within):
            rows = np.flatnonzero(within == group)
            permuted[rows] = target[rng.permutation(rows)]
        return permuted
    _, group_code = np.unique(within, return_inverse=True)
    counts = np.zeros((n_clusters, int(group_code.max()) + 1))
    np.add.at(counts, (code, group_code), 1)
    stratum, value = counts.argmax(axis=1), target[first]
    for group in np.unique(stratum):
        members = np.flatnonzero(stratum == group)
        value[members] = value[rng.permutation(members)]
    return np.asarray(value[code])
