"""Runs the network with one circle of its embedding, or without it, beside random subspaces of its rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_softmax

from paribus.arrays import Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.experiments.base import Recorder
from paribus.experiments.checkpoints import Checkpoint
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.tokens._circuit import Embedded, embedding_of
from paribus.experiments.tokens.subspace_isolation.report import READ, report
from paribus.experiments.tokens.subspace_isolation.spec import SubspaceIsolation
from paribus.measure.at_site import AtSite
from paribus.results.schema import Aggregates
from paribus.stats.nulls import null_columns
from paribus.subjects.tokens.circuits import Circle
from paribus.subspace.bases import RANDOM_KINDS, covariance_root, random_subspaces

__all__ = ["embedding_of", "run"]
BLOCK = 32
"""Edits whose outputs are held at a time."""


def run(experiment: SubspaceIsolation, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Isolate the circles at every chosen checkpoint; hand over ``isolation`` and its figures.

    Raises:
        DataError: If the contexts are not all pairs.
        ConfigError: If the embedding is not found.
    """
    name = embedding_of(setup, experiment.embedding)
    rows: list[dict[str, Any]] = []
    for checkpoint in setup.selected():
        rows += _Isolating(experiment, setup, recorder, checkpoint, name).rows()
    recorder.diagnose(n_contexts_tested=len(setup.contexts))
    return report(recorder, rows, setup)


@dataclass(frozen=True)
class _Subspace:
    """Circles that are kept or removed together."""

    name: str
    circles: list[Circle]
    basis: Floats

    @property
    def rank(self) -> int:
        return int(self.basis.shape[1])


class _Isolating:
    """One network: its unedited outputs, and what edits make of them."""

    def __init__(
        self, experiment: SubspaceIsolation, setup: NetworkSetup, recorder: Recorder, checkpoint: Checkpoint, name: str
    ) -> None:
        self.experiment, self.setup, self.recorder, self.checkpoint = experiment, setup, recorder, checkpoint
        executor = setup.executor(checkpoint)
        self.embedded = Embedded.of(executor.network, name, experiment)
        self.here: AtSite = executor.at(name)
        self.cells = setup.contexts.cells(np.arange(len(setup.contexts)))
        self.labels: Ints = np.asarray(setup.contexts.label)
        self.base = self.here.outputs(self.cells)
        self.root = covariance_root(self.embedded.vectors)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per subspace, op and kind of null."""
        raw = dict(zip(READ, self._read([Identity()])[0], strict=True))
        found = []
        for op in self.experiment.ops:
            some = self._subspaces()
            own = self._read([self._edit(op, one.basis) for one in some])
            nulls = {rank: self._nulls(op, rank) for rank in sorted({one.rank for one in some})}
            for one, values in zip(some, own, strict=True):
                for kind in RANDOM_KINDS:
                    found.append(self._row(op, one, values, raw, kind, nulls[one.rank].get(kind)))
        return found

    def _subspaces(self) -> list[_Subspace]:
        circles = self.embedded.circles
        groups = {f"circle {one.frequency}": [one] for one in circles}
        if self.experiment.together and len(circles) > 1:
            groups[f"all {len(circles)} circles"] = circles
        return [_Subspace(name, some, self.embedded.basis(some)) for name, some in groups.items()]

    def _edit(self, op: str, basis: Floats) -> Intervention:
        return self.embedded.kept(basis) if op == "keep" else self.embedded.removed(basis)

    def _nulls(self, op: str, rank: int) -> dict[str, Floats]:
        """Return by kind what is read under random subspaces ``[n_null, read]``."""
        n, width = self.setup.stats.n_null, self.root.shape[1]
        found = {}
        for kind in RANDOM_KINDS if n else ():
            rng = self.setup.rng(f"null/{kind}/{rank}")
            bases = random_subspaces(n, width, rank, kind=kind, rng=rng, root=self.root)
            found[kind] = self._read([self._edit(op, basis) for basis in bases])
        return found

    def _read(self, edits: list[Intervention]) -> Floats:
        """Return accuracy, margin and KL to the unedited output under each edit ``[edits, read]``."""
        found = []
        log_base = log_softmax(self.base, axis=1)
        for start in range(0, len(edits), BLOCK):
            outputs, how = self.here.edited(self.cells, edits[start : start + BLOCK])
            self.recorder.diagnose(engine=how)
            for own in np.asarray(outputs, dtype=np.float64):
                chosen = own[np.arange(len(own)), self.labels]
                margin = chosen - (own.sum(1) - chosen) / (own.shape[1] - 1)
                kl = (np.exp(log_base) * (log_base - log_softmax(own, axis=1))).sum(1)
                found.append([(own.argmax(1) == self.labels).mean(), margin.mean(), kl.mean()])
        return np.array(found).reshape(len(edits), len(READ))

    def _row(
        self, op: str, one: _Subspace, values: Floats, raw: dict[str, float], kind: str, null: Floats | None
    ) -> dict[str, Any]:
        read = dict(zip(READ, values, strict=True))
        row: dict[str, Any] = {
            "epoch": self.checkpoint.epoch,
            "circle": one.name,
            "frequency": one.circles[0].frequency if len(one.circles) == 1 else np.nan,
            "rank": one.rank,
            "share": sum(circle.share for circle in one.circles),
            "op": op,
            "accuracy_raw": raw["accuracy"],
            "accuracy": read["accuracy"],
            "n_correct": round(read["accuracy"] * len(self.labels)),
            "margin_raw": raw["margin"],
            "margin": read["margin"],
            "delta": read["margin"] - raw["margin"],
            "delta_accuracy": read["accuracy"] - raw["accuracy"],
            "kl": read["kl"],
            "null_kind": kind,
            "n_null": 0 if null is None else len(null),
        }
        drawn = np.empty((0, len(READ))) if null is None else null
        row |= null_columns(row["delta"], drawn[:, 1] - raw["margin"], "null")
        return row | null_columns(row["delta_accuracy"], drawn[:, 0] - raw["accuracy"], "accuracy_null")
