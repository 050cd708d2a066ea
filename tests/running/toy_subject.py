"""A subject without images, for tests of a run's life: data are numbers, a model is one linear map."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from paribus.errors import CheckpointError, ConfigError, DataError, DivergedError
from paribus.experiments.base import Experiment, Setup
from paribus.experiments.subject import SubjectPlugin
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Curve, Figure, Table
from paribus.spec import ModelSpec, Spec, field

LOADED: list[int] = []


@dataclass(frozen=True)
class ToyData(Spec):
    """Numbers."""

    seed: int = field(0, help="Seed.")
    n_train: int = field(10, low=1, help="How many.")
    broken: bool = field(False, help="Cannot be loaded.")

    def fingerprint(self) -> str:
        return f"toy/{self.seed}/{self.n_train}"

    def load(self) -> np.ndarray:
        LOADED.append(self.seed)
        if self.broken:
            raise DataError("toy: row 3 is broken")
        return np.random.default_rng(self.seed).normal(size=self.n_train)


@dataclass(frozen=True)
class ToyModel(ModelSpec):
    """One linear map."""

    width: int = field(2, low=1, help="Width.")


@dataclass(kw_only=True)
class ToySetup(Setup):
    """Numbers and weights."""

    data: Any
    weights: Any = None
    feature_name: str | None = None


class ToySubject(SubjectPlugin):
    """Sets toys up."""

    name = "toy"

    def validate(self, asked):
        asked.load()

    def setup(self, asked):
        weights = None
        if asked.trained is not None:
            (chosen,) = asked.trained.checkpoints().select(asked.checkpoint)
            weights = chosen.load()["w"]
        return ToySetup(**asked.basics, data=asked.load(), weights=weights, feature_name="mean")


class Toy(Experiment):
    """Base of the toys."""

    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    subject: ClassVar[str] = "toy"
    summary: ClassVar[str] = "A toy."
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "stats")


@dataclass(frozen=True)
class Measure(Toy):
    """Measures the mean, times the weights of a model if there are any."""

    type: ClassVar[str] = "toy_measure"
    factor: float = field(1.0, help="Factor.")
    label: str = field("a", science=False, help="Says nothing.")

    def run(self, setup, recorder):
        scale = 1.0 if setup.weights is None else float(setup.weights.sum())
        mean = float(setup.data.mean()) * self.factor * scale
        frame = pd.DataFrame({"alpha": [-1.0, 0.0, 1.0], "mean": [mean - 1, mean, np.nan]})
        recorder.table(Table("sweep", "One row per alpha.", self.evidence, frame))
        recorder.figure(Figure("sweep", "curve", ("sweep",), {"x": "alpha", "y": "mean"}, "Mean"))
        recorder.curve(Curve("mean", (-1.0, 0.0, 1.0), (mean - 1, mean, mean + 1), "alpha"))
        recorder.metric("mean", mean)
        recorder.diagnose(n_contexts_tested=len(setup.data))
        list(recorder.progress(range(3), description="loop"))
        return Aggregates(
            mean_delta=mean, n_samples=len(setup.data), custom={"mean_low": mean - 1, "mean_high": mean + 1}
        )


@dataclass(frozen=True)
class Train(Toy):
    """Counts to a number, keeping its state; resumes."""

    type: ClassVar[str] = "toy_train"
    evidence: ClassVar[Evidence] = Evidence.TRAINING
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "training")
    produces_model: ClassVar[bool] = True
    epochs: int = field(3, low=1, help="Epochs.")
    die_at: int = field(0, science=False, help="Killed in this epoch.")
    fail_at: int = field(0, science=False, help="Fails in this epoch.")

    def run(self, setup, recorder):
        import torch

        kept = recorder.workspace.load("resume") or {"epoch": 0, "w": torch.zeros(2)}
        first, w = int(kept["epoch"]), kept["w"]
        for epoch in range(1, first + 1):
            recorder.metric("val_acc", epoch / 10, step=epoch)
        for epoch in range(first + 1, self.epochs + 1):
            w = w + epoch
            recorder.metric("val_acc", epoch / 10, step=epoch)
            recorder.workspace.save("resume", {"epoch": epoch, "w": w})
            recorder.workspace.save(f"checkpoint_e{epoch:05d}", {"model": {"w": w}, "epoch": epoch})
            if epoch == self.die_at:
                os.kill(os.getpid(), 9)
            if epoch == self.fail_at:
                raise FloatingPointError(f"the loss became nan\nin epoch {epoch}")
        epochs = list(range(1, self.epochs + 1))
        history = pd.DataFrame({"epoch": epochs, "val_acc": [0.5, 0.9, 0.7, 0.1][: self.epochs]})
        recorder.table(Table("history", "One row per epoch.", self.evidence, history))
        marks = pd.DataFrame(
            {"epoch": epochs, "peak_val": [e == 2 for e in epochs], "peak_ood": [e == 1 for e in epochs]}
        )
        recorder.table(Table("checkpoints", "One row per checkpoint.", self.evidence, marks))
        for epoch in epochs:
            recorder.workspace.publish(f"checkpoint_e{epoch:05d}")
        return Aggregates(n_samples=len(setup.data), custom={"resumed_from": first})


@dataclass(frozen=True)
class Refine(Toy):
    """Takes a model and publishes another: ten times the weights."""

    type: ClassVar[str] = "toy_refine"
    evidence: ClassVar[Evidence] = Evidence.TRAINING
    produces_model: ClassVar[bool] = True
    takes_model: ClassVar[bool] = True

    def run(self, setup, recorder):
        recorder.workspace.save("checkpoint_e00009", {"model": {"w": setup.weights * 10}, "epoch": 9})
        recorder.workspace.publish("checkpoint_e00009")
        return Aggregates()


@dataclass(frozen=True)
class SpotModel(ToyModel):
    """A model that is trained where it is needed."""

    weights: str | None = field(None, help="A file.")
    trained_by: ClassVar[tuple[str, ...]] = ("toy_train", "toy_refine")


ERRORS = {
    "config": ConfigError("this layer is no such layer"),
    "weights": CheckpointError("these are no weights"),
    "numpy_memory": MemoryError("Unable to allocate 7.45 GiB for an array"),
    "cpu_memory": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
    ),
    "cuda_memory": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "diverged": DivergedError("the loss became nan in epoch 3"),
    "library_nan": ValueError("Input X contains NaN."),
    "store": sqlite3.OperationalError("database is locked"),
    "disk": OSError(errno.ENOSPC, "No space left on device"),
    "code": ZeroDivisionError("division by zero"),
    "import": ImportError("no module named nowhere"),
    "quits": SystemExit("this library gives up"),
}


@dataclass(frozen=True)
class Fail(Toy):
    """Hands one table over and fails in the way it is told."""

    type: ClassVar[str] = "toy_fail"
    how: str = field("error", help="How.")

    def run(self, setup, recorder):
        recorder.table(Table("before", "Before it failed.", self.evidence, pd.DataFrame({"x": [1, 2]})))
        recorder.metric("kept", 1.5)
        recorder.metric("trace", 0.5, step=3)
        if self.how == "interrupt":
            raise KeyboardInterrupt("SIGTERM")
        if self.how == "data":
            raise DataError("row 7 is broken")
        if self.how in ERRORS:
            raise ERRORS[self.how]
        if self.how == "table":
            recorder.table(Table("Bad name", "x", self.evidence, pd.DataFrame({"x": [1]})))
        if self.how == "figure":
            recorder.figure(Figure("none", "no_such_kind", ("before",), {}, "None"))
            return Aggregates()
        if self.how == "sleep":
            print("started", flush=True)
            time.sleep(60)
        raise RuntimeError("it broke\nin two lines")


@dataclass(frozen=True)
class Compare(Toy):
    """Counts the runs."""

    type: ClassVar[str] = "toy_compare"
    evidence: ClassVar[Evidence] = Evidence.COMPARISON
    subject: ClassVar[str] = "runs"
    needs: ClassVar[tuple[str, ...]] = ("stats",)
    fail: bool = field(False, help="Fails.")

    def run(self, setup, recorder):
        if self.fail:
            raise ValueError("nothing to compare")
        rows = [(r.experiment_type, r.status, r.seed, r.condition, r.n_train) for r in setup.runs]
        frame = pd.DataFrame(rows, columns=["type", "status", "seed", "condition", "n_train"])
        recorder.table(Table("runs", "One row per run.", self.evidence, frame))
        means = [r.aggregates["mean_delta"] for r in setup.runs if r.experiment_type == "toy_measure" and r.aggregates]
        return Aggregates(n_samples=len(rows), custom={"summary": [f"{len(means)} means compared"]})
