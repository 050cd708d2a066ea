"""A trained model as given to an experiment: from a kept run, or from an earlier step of the same sequence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from paribus import digests
from paribus.errors import CheckpointError
from paribus.experiments.checkpoints import Checkpoints
from paribus.running import caches
from paribus.running.contents import fingerprint, without_start
from paribus.running.workspace import read_state
from paribus.training.loops.workspace import AUTOENCODER

if TYPE_CHECKING:
    import pandas as pd


_EPOCH = re.compile(r"checkpoint_e(\d+)")


@dataclass(frozen=True)
class ModelSource:
    """The trained model of a run; weights are read on demand.

    Attributes:
        identity: Identity of the run that trained it.
        run_id: Its run, None where it is not tracked.
        architecture: Spec of the network.
        training: How it was trained.
        data: Spec of what it was trained on.
        seed: Seed of that run.
        history: One row per evaluation during training, where there is such a table.
        best: Epoch by choice (``peak_val``, ``peak_ood``).
        names: The kept checkpoints, sorted.
        locate: Returns the file of a checkpoint.
        tree: The configuration nodes of model, training and data.
        options: Names of the options chosen for them, where they are known.
        network_seed: Seed of the run that built the network; another one where that run took a trained model.
        data_digest: Digest of the data as that run loaded them, where it is known.
        trained_on: Configuration nodes of all data that its weights were fitted to, the latest last.
        planned: Whether it is yet to be trained, so that only its identity is known.
        read: A digest of what its training read outside its identity; empty if nothing.
        to_come: Further planned trainings that will add to it, such as that of its autoencoder.
    """

    identity: str
    run_id: str | None
    architecture: Any
    training: Any
    data: Any
    seed: int
    history: pd.DataFrame | None
    best: Mapping[str, int]
    names: tuple[str, ...]
    locate: Callable[[str], Path]
    tree: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, str | None] = field(default_factory=dict)
    network_seed: int = 0
    data_digest: str | None = None
    trained_on: tuple[Any, ...] = ()
    planned: bool = False
    read: str = ""
    to_come: tuple[Any, ...] = ()

    @property
    def label(self) -> str:
        """Its name in results."""
        return f"run {self.run_id[:8]}" if self.run_id else f"trained {self.identity[:8]}"

    def origin(self) -> dict[str, Any]:
        """Return this model's entry in the provenance; :func:`paribus.running.kept_models.from_result` reads it."""
        return {
            "model_run": self.run_id,
            "model_identity": self.identity,
            "model_seed": self.seed,
            "network_seed": self.network_seed,
            "resolved": dict(self.tree),
            "resolved_options": dict(self.options),
            "trained_on": list(self.trained_on),
        }

    def state(self, name: str) -> dict[str, Any]:
        """Return the content of a checkpoint (tensors and plain values).

        Raises:
            CheckpointError: If it is missing or unreadable.
        """
        if name not in self.names:
            raise CheckpointError(f"{self.label}: has no checkpoint {name!r}; kept: {', '.join(self.names) or 'none'}")
        return read_state(self.locate(name))

    def epoch_state(self, epoch: int) -> dict[str, Any]:
        """Return the whole checkpoint of an epoch."""
        return self.state(self._epochs()[epoch])

    def autoencoders(self) -> list[dict[str, Any]]:
        """Return the sparse autoencoders that were trained on it: their weights and the site each reads."""
        return [self.state(name) for name in self.names if name.startswith(AUTOENCODER)]

    def _epochs(self) -> dict[int, str]:
        epochs = {int(found[1]): name for name in self.names if (found := _EPOCH.fullmatch(name))}
        if not epochs:
            raise CheckpointError(f"{self.label}: kept no checkpoints, so there is no trained model to take from it")
        return epochs

    def checkpoints(self) -> Checkpoints:
        """Return the index of its checkpoints by epoch.

        Raises:
            CheckpointError: If it kept none.
        """
        epochs = self._epochs()
        network = fingerprint(without_start(self.architecture))

        def load(epoch: int) -> Mapping[str, Any]:
            kept: Mapping[str, Any] = caches.checkpoints.get(content(epoch), lambda: read(epoch))
            return {name: value.clone() if isinstance(value, Tensor) else value for name, value in kept.items()}

        def read(epoch: int) -> Any:
            return self.epoch_state(epoch)["model"]

        best = {choice: epoch for choice, epoch in self.best.items() if epoch in epochs}

        def content(epoch: int) -> str:
            try:
                weights = digests.file_digest(self.locate(epochs[epoch]))
            except OSError as error:
                raise CheckpointError(f"{self.label}: checkpoint of epoch {epoch} cannot be read ({error})") from None
            return f"{weights}/{network}"

        return Checkpoints(
            loader=load,
            content=content,
            epochs=tuple(epochs),
            history=self.history,
            best=best,
            key=f"{self.identity}/{self.run_id or ''}",
        )
