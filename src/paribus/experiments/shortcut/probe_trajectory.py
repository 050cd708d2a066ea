"""A1 (M1): what linear probes read of domain and label, layer by layer, over training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Experiment, Recorder
from paribus.experiments.checkpoints import say_choice
from paribus.experiments.fitting import fitted
from paribus.experiments.requires import Requires
from paribus.results.endpoint import SHARE, Endpoint
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates
from paribus.spec import field

if TYPE_CHECKING:
    from torch import nn

    from paribus.experiments.checkpoints import Checkpoint
    from paribus.experiments.setup_images import ImageSetup


TARGETS = ("domain", "label")
ENDPOINTS = (
    Endpoint(
        name="domain_probe_accuracy",
        label="domain probe, balanced accuracy",
        table="probes",
        value="balanced_accuracy",
        low="ci_low",
        high="ci_high",
        unit="balanced accuracy",
        zero=False,
        bounds=SHARE,
        rows={"target": "domain"},
        choices=("layer",),
    ),
)
"""What comparisons over runs read from the table ``probes``."""


@dataclass(frozen=True)
class ProbeTrajectory(Experiment):
    """Fit linear probes of domain and label on the features of each layer of each checkpoint."""

    type: ClassVar[str] = "probe_trajectory"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "images"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "Reads domain and label with linear probes, layer by layer, over training (M1)."
    declares: ClassVar[tuple[Endpoint, ...]] = ENDPOINTS
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "training", "stats")
    takes_dtype: ClassVar[bool] = True
    requires: ClassVar[Requires] = Requires(domains_in=("train", "id_val"))

    layers: list[str] = field([], help="Modules to probe, e.g. [layer1,avgpool]; empty for the model's stages.")
    fit_balance: bool = field(True, help="Fit and score with inverse domain x class weights.")
    n_controls: int = field(3, low=1, help="Probes on permuted targets that the control is averaged over.")

    def run(self, setup: ImageSetup, recorder: Recorder) -> Aggregates:
        """Fit on training features, score on ``id_val``; hand over the table ``probes`` and its figures.

        Raises:
            ConfigError: If a layer or the checkpoint does not exist.
            DataError: If the training split or id_val has fewer than two domains.
        """
        import pandas as pd

        from paribus.experiments.shortcut._probe_trajectory_report import report

        fitted(self, setup.data.offers, recorder)
        layers = self.layers or probe_layers(setup.model)
        _check(setup, layers)
        chosen = setup.selected()
        if any(checkpoint.on_reported_split for checkpoint in chosen):
            recorder.warn("checkpoint=peak_ood was selected on the OOD split")
        say_choice([one for one in chosen if not one.on_reported_split], ("id_val",), recorder)
        rows: list[dict[str, Any]] = []
        held = _Held(setup, self, n_rows=len(chosen) * len(layers) * len(TARGETS))
        for checkpoint in recorder.progress(chosen, total=len(chosen), description=self.type):
            for layer, train, test in _features(setup, checkpoint, layers, held):
                for target in TARGETS:
                    rows.append(
                        {"epoch": checkpoint.epoch, "layer": layer, "target": target, **held.row(train, test, target)}
                    )
        frame = pd.DataFrame(rows)
        recorder.diagnose(n_contexts_tested=len(setup.data.rows("id_val")))
        return report(frame, layers, recorder)


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


def _check(setup: ImageSetup, layers: list[str]) -> None:
    from paribus.engine.sites import Site

    for layer in layers:
        Site.parse(layer).validate(setup.model)


def _features(
    setup: ImageSetup, checkpoint: Checkpoint, layers: list[str], held: _Held
) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield layer, training features and held-out features [n, d] (position means) of one checkpoint."""
    from paribus.engine.evaluation import Engine

    model = setup.at(checkpoint)
    for layer in layers:
        engine = Engine(
            model,
            layer,
            device=setup.device,
            batch_limit=setup.batch_limit,
            dtype=setup.dtype,
            cache=setup.cache,
            key=checkpoint.key,
        )
        train, test = (np.asarray(engine.pooled(images), dtype=np.float64) for images in held.images)
        yield layer, train, test


class _Held:
    """Targets, clusters and weights of the training and the held-out rows; the same for all checkpoints and layers."""

    def __init__(self, setup: ImageSetup, experiment: ProbeTrajectory, *, n_rows: int) -> None:
        from paribus.subspace.probes import balance_weights

        data = setup.data
        self.setup, self.n_rows = setup, n_rows
        self.splits = [data.rows("train"), data.rows("id_val")]
        self.images = [data.take(rows) for rows in self.splits]
        self.clusters = [data.clusters[rows] for rows in self.splits]
        self.targets = {
            "domain": [data.domains[rows] for rows in self.splits],
            "label": [data.labels[rows] for rows in self.splits],
        }
        self.weights: list[Floats | None] = [
            balance_weights(data.domains[rows], data.labels[rows]) if experiment.fit_balance else None
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
        from paribus.stats.multiplicity import together
        from paribus.stats.score_intervals import score_interval
        from paribus.stats.scores import balanced_accuracy
        from paribus.subspace.probes import fit_probe

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
