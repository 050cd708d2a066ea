"""What comparisons work on: finished runs as plain data, wherever they were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paribus.experiments.base import Setup

if TYPE_CHECKING:
    import pandas as pd

FINISHED = "FINISHED"


@dataclass(frozen=True)
class CollectedRun:
    """One run as a comparison sees it.

    Attributes:
        run_id: Id of the tracked run.
        identity: Hash of what the run computes; runs of one identity are the same measurement.
        experiment_type: What was run.
        status: ``FINISHED``, ``FAILED``, ``KILLED`` or ``RUNNING``.
        condition: Training condition of the model, if one was trained.
        seed: Seed of the trained model that the run is about, of the run itself where none was trained; the
            independent unit of every test.
        own_seed: Seed of the run itself.
        model_run: The run that trained the model; that run's own id in a training.
        n_train: Size of the training set.
        experiment_version: Declared version of the experiment type; numbers of different versions differ in meaning.
        params: Flattened configuration (``training.weight_decay``, ...), values as they were logged or typed.
        metrics: Headline metrics.
        aggregates: Fields and ``custom`` entries of the aggregates, in one flat mapping.
        tables: Tables by name; a lazy mapping will do.
        code_version: Commit of the code that made it, with a mark if it was changed.
        parent: Id of the run that this one is nested under.
        sweep: Id of the sweep.
        started_at: ISO time; the latest of several runs of one identity is used.
        tags: Tags as they were kept.
        origin: Provenance: digests of data and model, among others; a lazy mapping will do.

    Example:
        >>> run = CollectedRun("r1", "i", "ablate", seed=3, params={"experiment.place": "fc"})
        >>> run.status, run.params["experiment.place"]
        ('FINISHED', 'fc')
    """

    run_id: str
    identity: str
    experiment_type: str
    status: str = FINISHED
    condition: str | None = None
    seed: int | None = None
    n_train: int | None = None
    experiment_version: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    aggregates: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    code_version: str | None = None
    parent: str | None = None
    sweep: str | None = None
    started_at: str | None = None
    own_seed: int | None = None
    model_run: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class RunsSetup(Setup):
    """The setup of a comparison.

    Attributes:
        runs: All runs it may use, of every status; the experiment selects and reports what it left out.
    """

    runs: Sequence[CollectedRun]
