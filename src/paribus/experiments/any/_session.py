"""One run of a generic experiment: which contexts, at which checkpoints, with what bound to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from paribus.arrays import Bools, Ints
from paribus.engine.auto_site import resolve_site
from paribus.engine.short_names import places
from paribus.errors import ConfigError, DataError
from paribus.experiments.any._readouts import KL, readout_of
from paribus.experiments.any.generic import ALL, AUTO, Generic
from paribus.experiments.base import Recorder
from paribus.experiments.checkpoints import Checkpoint
from paribus.experiments.setup import NetworkSetup
from paribus.measure.binding import Binding, FactorSpec
from paribus.measure.executor import Executor
from paribus.measure.factor import Factor, Units
from paribus.measure.readout import Readout
from paribus.methods.contrast import Reading

Answer = TypeVar("Answer")
MOST_FIT = 5000
"""The most contexts that anything is fitted on."""
REPORTED = ("test", "ood", "id_val", "val", "all")
"""Splits that ``auto`` reports, the first that is there."""


@dataclass(frozen=True)
class Rows:
    """Which contexts.

    Attributes:
        reported: The contexts whose effects are reported.
        fit: Those that factors, probes and choices are fitted on; no cluster is in both.
        said: Where they come from, for the reader.
        complete: Whether the reported ones are all of a split of a complete population: then nothing is inferred over
            contexts.
    """

    reported: Ints
    fit: Ints
    said: str
    complete: bool = False


@dataclass(frozen=True)
class At:
    """A network at one checkpoint, and what is read of which contexts.

    Attributes:
        setup: Settings of the statistics, clusters, randomness.
        recorder: Gets tables, figures, counts and warnings.
        rows: Which contexts.
        executor: Runs the network.
        kind: Name of the readout.
        readout: What is read.
        checkpoint: The checkpoint.
    """

    setup: NetworkSetup
    recorder: Recorder
    rows: Rows
    executor: Executor
    kind: str
    readout: Readout
    checkpoint: Checkpoint

    @property
    def epoch(self) -> int:
        """The epoch of the checkpoint."""
        return self.checkpoint.epoch

    def ask(
        self, method: Callable[..., Answer], *what: Any, stream: str, rows: Ints | None = None, **options: Any
    ) -> Answer:
        """Put the question of a method to the network.

        Args:
            method: The method, as :func:`paribus.methods.sweep.sweep` is one.
            what: What it varies.
            stream: Name of its stream of randomness.
            rows: In which contexts; None: those that are reported.
            options: What else it takes. Its null has as many draws as the statistics say, unless ``n_null`` is here.
        """
        options = {"n_null": self.setup.stats.n_null, "rng": self.setup.rng(stream), **options}
        return method(self.reading(rows), *what, **options)

    def reading(self, rows: Ints | None = None) -> Reading:
        """Return what a method is put to: what is read of contexts; None: those that are reported."""
        return Reading(self.executor, self.readout, self.rows.reported if rows is None else rows, self.recorder)


def at_checkpoints(
    experiment: Generic, setup: NetworkSetup, recorder: Recorder, rows: Rows | None = None
) -> Iterator[At]:
    """Yield the network at each chosen checkpoint; warnings about the contexts are recorded at the first.

    Args:
        experiment: Says what is read, of which contexts.
        setup: Has them.
        recorder: Is told.
        rows: Which contexts, where they are others than :func:`rows_of` says.

    Raises:
        ConfigError: If something that is named does not exist.
        DataError: If no contexts are left.
    """
    rows = rows_of(experiment, setup) if rows is None else rows
    first = True
    for checkpoint, executor in selected(setup, recorder):
        kind, readout = readout_of(experiment, setup, executor)
        if first and kind == KL and experiment.readout == AUTO and setup.contexts.label is not None:
            recorder.warn(
                "What is read is the divergence from the unedited outputs: the labels are no classes of the network's "
                "outputs (names that output_names lacks, fractions, or numbers out of range)."
            )
        first = False
        yield At(setup, recorder, rows, executor, kind, readout, checkpoint)


def selected(setup: NetworkSetup, recorder: Recorder) -> Iterator[tuple[Checkpoint, Executor]]:
    """Yield each chosen checkpoint with its executor; warnings about the contexts are recorded at the first."""
    for note in setup.notes:
        recorder.warn(note)
    for checkpoint in setup.selected():
        if checkpoint.on_reported_split:
            recorder.warn("The checkpoint was chosen by the accuracy on the reported split (peak_ood).")
        yield checkpoint, setup.executor(checkpoint)


def only_network(setup: NetworkSetup, recorder: Recorder) -> tuple[Checkpoint, Executor]:
    """Return the one chosen checkpoint with its executor; warnings about the contexts are recorded."""
    for note in setup.notes:
        recorder.warn(note)
    (checkpoint,) = setup.selected()
    return checkpoint, setup.executor(checkpoint)


def refuse_several(setup: NetworkSetup, why: str) -> None:
    """Refuse all checkpoints where one is meant.

    Raises:
        ConfigError: If all are chosen.
    """
    if setup.checkpoint == ALL:
        raise ConfigError(f"checkpoint={ALL}: {why}; say checkpoint=final, peak_val or epoch:N")


def rows_of(experiment: Generic, setup: NetworkSetup) -> Rows:
    """Return the contexts that are reported, and those that are fitted on where anything is fitted or chosen.

    Raises:
        ConfigError: If a split does not exist.
        DataError: If no contexts are left for one of the two.
    """
    subject = setup.contexts
    name = experiment.split if experiment.split != AUTO else _first(REPORTED, subject.splits)
    reported = subject.rows_of(name, "split")
    said, complete = name, subject.complete
    fit = np.empty(0, np.int64)
    if experiment.fits:
        from_split = experiment.fit_split
        if from_split == AUTO:
            from_split = "train" if "train" in subject.splits and name != "train" else name
        fit = subject.rows_of(from_split, "fit_split")
        if from_split == name:
            fit, reported = _halves(fit, subject.cluster, setup.rng("halves"))
            complete = False
            said = f"half of the clusters of {name}; the other half was fitted on"
        else:
            fit = fit[~np.isin(subject.cluster[fit], subject.cluster[reported])]
        if len(fit) < 2 or not len(reported):
            raise DataError(
                f"experiment.fit_split: {len(fit)} contexts to fit on and {len(reported)} to report are left where no "
                "cluster may be in both; name another split, or give more clusters"
            )
    complete = complete and is_whole(setup, name, experiment.n_contexts)
    reported = _legal(setup, _drawn(setup, reported, experiment.n_contexts, "contexts"))
    if not len(reported):
        raise DataError(f"experiment.split={name}: none of the contexts is legal as it is, so none can be a baseline")
    return Rows(reported, _legal(setup, _drawn(setup, fit, MOST_FIT, "fit_contexts")), said, complete)


def rows_to_choose_on(split: str, setup: NetworkSetup, most: int) -> tuple[Ints, str]:
    """Return contexts for choosing and the name of their split: one used for fitting, so that none is reported.

    Args:
        split: Its name; ``auto``: ``train`` where there is one, else what is reported.
        setup: Has the splits.
        most: The most contexts, drawn at random; 0: all.

    Raises:
        ConfigError: If the split does not exist.
        DataError: If none of its contexts is legal.
    """
    name = split if split != AUTO else _first(("train", *REPORTED), setup.contexts.splits)
    rows = _legal(setup, _drawn(setup, setup.contexts.rows_of(name, "split"), most, "contexts"))
    if not len(rows):
        raise DataError(f"experiment.split={name}: none of the contexts is legal as it is")
    return rows, name


def is_whole(setup: NetworkSetup, split: str, most: int) -> bool:
    """Return whether at most ``most`` contexts of a split (0: all) are all of a split of a complete population."""
    return setup.contexts.complete and not 0 < most < len(setup.contexts.splits[split])


def place_of(text: str, executor: Executor) -> str:
    """Return the place that ``text`` names: ``auto`` is the input of the last linear layer that is run.

    Short names are given in full; one of several layers stays as it is, for the factor that takes several.

    Raises:
        ConfigError: If there is no linear layer.
    """
    if text == AUTO:
        return str(resolve_site(AUTO, executor.network))
    found = places(text, executor.network)
    return found[0] if len(found) == 1 else text


def bind(
    name: str,
    spec: FactorSpec,
    experiment: Generic,
    setup: NetworkSetup,
    executor: Executor,
    *,
    place: str | None = None,
) -> Factor | Units:
    """Return a factor bound to the network and its contexts, not fitted yet.

    Raises:
        ConfigError: If something that it names is not there.
    """
    text = place_of(place or experiment.place, executor) if spec.subject == "any" else ""
    parts = {**setup.parts, "readable": setup.readable(executor)}
    return spec.bound(Binding(executor, text, setup.rng(f"{name}_fit"), parts))


def factor_of(experiment: Generic, setup: NetworkSetup, executor: Executor, name: str = "factor") -> Factor:
    """Return a factor that has levels, bound to the network and its contexts, not fitted yet.

    Raises:
        ConfigError: If these are units, or something that it names is not there.
    """
    found = bind(name, experiment.factors()[name], experiment, setup, executor)
    if isinstance(found, Units):
        raise ConfigError(
            f"experiment.{name}: {found.name} are present or removed and have no levels; use experiment=ablate, "
            "interact or cores, or another factor"
        )
    return found


def units_of(experiment: Generic, setup: NetworkSetup, executor: Executor) -> Units:
    """Return the units of the field ``factor``, bound to the network and its contexts, not fitted yet.

    Raises:
        ConfigError: If it has levels, or something that it names is not there.
        DataError: If they cannot be removed from some context with what those fitted on give.
    """
    found = bind("factor", experiment.factors()["factor"], experiment, setup, executor)
    if isinstance(found, Factor):
        raise ConfigError(
            f"experiment.factor: {found.name} has levels and is no set of units; use experiment=sweep, or "
            "factor@experiment.factor=units"
        )
    rows = rows_of(experiment, setup)
    found.check_rows(setup.contexts, rows.reported, rows.fit)
    return found


def look_up(experiment: Generic, setup: NetworkSetup) -> str:
    """Look up split and readout without measuring more than a few contexts; return the readout's name."""
    rows_of(experiment, setup)
    return readout_of(experiment, setup, setup.executor())[0]


def _drawn(setup: NetworkSetup, rows: Ints, most: int, stream: str) -> Ints:
    """Return at most ``most`` of the rows, drawn at random, in their order; 0: all."""
    if not most or len(rows) <= most:
        return rows
    return rows[np.sort(setup.rng(stream).choice(len(rows), most, replace=False))]


def _legal(setup: NetworkSetup, rows: Ints) -> Ints:
    """Return the contexts that are legal as they are."""
    if not len(rows):
        return rows
    legal: Bools = setup.contexts.enforce(setup.contexts.cells(rows)).ok
    return rows[legal]


def _first(names: tuple[str, ...], splits: Any) -> str:
    return next((name for name in names if name in splits), next(iter(splits)))


def _halves(rows: Ints, cluster: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return rows in two halves of whole clusters."""
    ids = np.unique(cluster[rows])
    first = np.isin(cluster[rows], rng.permutation(ids)[: len(ids) // 2])
    return rows[first], rows[~first]
