"""The work of probes."""

from __future__ import annotations

import numpy as np

from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import forest
from paribus.experiments.any._session import Rows, place_of, rows_of, selected
from paribus.experiments.any.probe.spec import Probe
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.factors._vectors import bound_place, classes, vectors
from paribus.measure.executor import Executor
from paribus.methods.contrast import Null
from paribus.methods.probe import probe
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates
from paribus.stats.clusters import reduce_to_clusters
from paribus.stats.intervals import SHARE_GAP

NULL = "probes of classes permuted among clusters"
COLUMNS = {
    "place": "where vectors are read",
    "target": "what the probe reads",
    "mean_readout": "accuracy of the probe",
    "mean_delta": "probe_balanced_accuracy - chance",
    "std_delta": "sample sd over contexts of what each adds to mean_delta, weighted by the inverse frequency of its "
    "class",
    "probe_balanced_accuracy": "mean recall over the classes",
    "chance": "balanced accuracy of guessing: 1 over the number of classes among the contexts reported",
}


def validate(experiment: Probe, setup: NetworkSetup) -> None:
    """Look up places, targets and splits."""
    rows, executor = rows_of(experiment, setup), setup.executor()
    for text in experiment.at():
        bound_place(place_of(text, executor), executor)
    for target in experiment.targets:
        classes(executor, target, rows.fit)
        classes(executor, target, rows.reported, said=f"the contexts of {rows.said}")


def run(experiment: Probe, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Probe at every checkpoint; hand over ``effects`` and its figure.

    Raises:
        ConfigError: If a place does not exist.
        DataError: If contexts have no such target, or none are left to fit on or to report.
    """
    rows = rows_of(experiment, setup)
    parts: list[Part] = []
    for checkpoint, executor in selected(setup, recorder):
        parts += [_at(experiment, setup, executor, rows, checkpoint.epoch, text) for text in experiment.at()]
    to = Reported(setup, recorder, "accuracy", rows, COLUMNS)
    frame = effects(
        to,
        parts,
        what="One row per checkpoint, place and target: a probe scored on clusters it was not fitted on.",
        evidence=Evidence.OBSERVATIONAL,
        bounds=SHARE_GAP,
    )
    says = "Hatched: probes of permuted classes. What is read need not be used."
    looks = {"xlabel": "balanced accuracy above chance", "null_label": "permuted classes"}
    forest(to, frame, "probe", "What a linear probe reads", says, **looks)
    return summed_up(to, frame)


def _at(experiment: Probe, setup: NetworkSetup, executor: Executor, rows: Rows, epoch: int, text: str) -> Part:
    """Return the rows of one place."""
    cluster = setup.contexts.cluster
    place = bound_place(place_of(text, executor), executor)
    fit, held_out = vectors(executor, place, rows.fit), vectors(executor, place, rows.reported)
    found = [
        probe(
            (fit, classes(executor, target, rows.fit), cluster[rows.fit]),
            (held_out, classes(executor, target, rows.reported)),
            n_null=min(experiment.n_controls, setup.stats.n_null),
            rng=setup.rng(f"probe {text} {target}"),
        )
        for target in experiment.targets
    ]
    labels = [
        {
            "level": f"{target} at {place}",
            "place": str(place),
            "target": target,
            "probe_balanced_accuracy": one.balanced,
            "chance": one.chance,
            "mean_readout": float(one.correct.mean()),
        }
        for target, one in zip(experiment.targets, found, strict=True)
    ]
    sums = reduce_to_clusters(np.array([one.gain for one in found]), cluster[rows.reported])
    null = np.array([one.control for one in found])
    return Part(epoch, labels, sums, None, Null(null, NULL) if null.shape[1] else None)
