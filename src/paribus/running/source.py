"""A trained model as an experiment gets it: from a kept run, or from the step before in the same sequence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus import digests
from paribus.config.aliases import today
from paribus.config.check import TARGET, build
from paribus.errors import CheckpointError, ConfigError, DataError
from paribus.results.files import describe
from paribus.running import inputs
from paribus.running.contents import fingerprint, without_start
from paribus.running.workspace import SUFFIX, read_state

if TYPE_CHECKING:
    import pandas as pd

    from paribus.experiments.checkpoints import Checkpoints
    from paribus.results.schema import Result
    from paribus.running.request import Request
    from paribus.running.resolve import Resolved
    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun

CHECKPOINTS = "checkpoints"
GROUPS = ("model", "training", "data")
"""The config groups that say what a trained model is."""
_STAND_INS = tuple(today(f"paribus.{name}") for name in ("subjects.as_trained.AsTrained", "models.tracked.Tracked"))
_EPOCH = re.compile(r"checkpoint_e(\d+)")


@dataclass(frozen=True)
class ModelSource:
    """The trained model of a run; weights are read when they are asked for.

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
        planned: Whether it is only going to be trained, so that nothing but its identity is known.
        read: A digest of what its training read that its identity does not know of; empty where there is nothing.
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

    @property
    def label(self) -> str:
        """What it is called in results."""
        return f"run {self.run_id[:8]}" if self.run_id else f"trained {self.identity[:8]}"

    def origin(self) -> dict[str, Any]:
        """Return what the provenance of a run on this model says of it; :func:`from_result` reads it back."""
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
        """Return what was kept under the name of a checkpoint (tensors and plain values).

        Raises:
            CheckpointError: If it is not there or not readable.
        """
        if name not in self.names:
            raise CheckpointError(f"{self.label}: has no checkpoint {name!r}; kept: {', '.join(self.names) or 'none'}")
        return read_state(self.locate(name))

    def epoch_state(self, epoch: int) -> dict[str, Any]:
        """Return everything that was kept at an epoch."""
        return self.state(self._epochs()[epoch])

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
        from paribus.experiments.checkpoints import Checkpoints

        epochs = self._epochs()
        network = fingerprint(without_start(self.architecture))

        def load(epoch: int) -> Mapping[str, Any]:
            weights: Mapping[str, Any] = self.epoch_state(epoch)["model"]
            return weights

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


def from_run(store: Store, run: KeptRun) -> ModelSource:
    """Return the model that a kept run trained; of a sequence, the model of its training step.

    Raises:
        ConfigError: If the run trained none, or is not finished.
        DataError: If its files are missing.
    """
    if run.tags.get("produces_model") != "true":
        trained = [step for step in steps_of(store, run) if step.tags.get("produces_model") == "true"]
        if not trained:
            raise ConfigError(
                f"model.run={run.run_id[:8]}: a run of {run.experiment_type or 'another program'}, which trains "
                "no model; name a training run, see paribus runs"
            )
        run = trained[-1]
    if run.status != "FINISHED":
        raise ConfigError(f"model.run={run.run_id[:8]}: is {run.status}, not FINISHED; its model is not complete")
    result = store.result(run.run_id)
    files = {Path(path).name.removesuffix(SUFFIX): path for path in store.artifacts(run.run_id, CHECKPOINTS)}
    return from_result(
        result,
        identity=run.identity or run.run_id,
        names=tuple(sorted(files)),
        locate=lambda name: store.download(run.run_id, files[name]),
        options={group: run.params.get(group) for group in GROUPS},
    )


def steps_of(store: Store, run: KeptRun) -> list[KeptRun]:
    """Return the runs of a sequence's steps, also those that it took over from an earlier one."""
    if run.experiment_type != "sequence":
        return []
    try:
        steps = store.result(run.run_id).tables["steps"].frame
    except (DataError, KeyError):
        return store.children(run.run_id)
    return [store.get(run_id) for run_id in steps["run_id"].dropna()]


def from_folder(result: Result, folder: Path, identity: str) -> ModelSource:
    """Return the model of an untracked training run whose files stand in ``folder``."""
    files = {path.name.removesuffix(SUFFIX): path for path in (folder / CHECKPOINTS).glob(f"*{SUFFIX}")}
    return from_result(result, identity=identity, names=tuple(sorted(files)), locate=lambda name: files[name])


def from_trained(result: Result, resolved: Resolved, store: Store, folder: Path) -> ModelSource:
    """Return the model of a training that just finished, tracked or not."""
    from paribus.running.identify import identify

    if result.run_id is None:
        return from_folder(result, folder, identify(resolved))
    return from_run(store, store.get(result.run_id))


def from_result(
    result: Result,
    *,
    identity: str,
    names: tuple[str, ...],
    locate: Callable[[str], Path],
    options: Mapping[str, str | None] | None = None,
) -> ModelSource:
    """Return the model of a training run from its result and its checkpoint files.

    A training that itself took a trained model says in its provenance what that was; its own data and, where it
    depends on one, its own training are what stood in its configuration.
    """
    taken = result.provenance
    before = dict(taken.get("resolved") or {})
    chosen = dict(taken.get("resolved_options") or {})
    tree = {group: result.config.get(group) for group in GROUPS}
    named = {group: (options or {}).get(group) for group in GROUPS}
    trains = "training" in taken.get("needs", GROUPS)  # else it stood in the configuration, but made nothing
    for group in GROUPS:
        if _stands_for_another(tree[group]) or (group == "model" and before) or (group == "training" and not trains):
            tree[group], named[group] = before.get(group), chosen.get(group)
    try:
        nodes = {group: build(node, group) if node is not None else None for group, node in tree.items()}
    except ConfigError as error:
        label = f"run {result.run_id[:8]}" if result.run_id else f"the training {identity[:8]}"
        raise ConfigError(f"{error} (so the model of {label} was made)") from error
    seed = int(result.config.get("seed", 0))
    return ModelSource(
        identity=identity,
        run_id=result.run_id,
        architecture=nodes["model"],
        training=nodes["training"],
        data=nodes["data"],
        seed=seed,
        history=result.tables["history"].frame if "history" in result.tables else None,
        best=_best(result),
        names=names,
        locate=_unchanged(locate, result),
        read=inputs.undeclared(result),
        tree=tree,
        options=named,
        network_seed=int(taken.get("network_seed", seed)),
        data_digest=taken.get("data_digest"),
        trained_on=(*(taken.get("trained_on") or ([before["data"]] if before.get("data") else [])), tree["data"]),
    )


def _unchanged(locate: Callable[[str], Path], result: Result) -> Callable[[str], Path]:
    """Return ``locate`` with a check that a checkpoint is still the one that the run finished with.

    Raises:
        CheckpointError: By what is returned, if it is not.
    """

    def checked(name: str) -> Path:
        path = locate(name)
        kept = result.artifacts.get(f"{CHECKPOINTS}/{name}{SUFFIX}")
        if kept is not None and describe(path).digest != kept.digest:
            raise CheckpointError(f"{path}: was changed after the training run finished; so it is not its model")
        return path

    return checked


def _stands_for_another(node: Any) -> bool:
    """Return whether a configuration node says only that something is as in another run."""
    return isinstance(node, Mapping) and today(str(node.get(TARGET, ""))) in _STAND_INS


def _best(result: Result) -> dict[str, int]:
    """Return the epochs that training itself marked as best."""
    marked = result.tables.get("checkpoints")
    if marked is None:
        return {}
    best = {}
    for choice in ("peak_val", "peak_ood"):
        if choice in marked.frame:
            epochs = marked.frame.loc[marked.frame[choice].astype(bool), "epoch"]
            if len(epochs):
                best[choice] = int(epochs.iloc[0])
    return best


def planned(request: Request, identity: str) -> ModelSource:
    """Return the model that a training request is going to make, before it has: only its identity can be used."""
    return ModelSource(
        identity=identity,
        run_id=None,
        architecture=request.nodes.get("model"),
        training=request.nodes.get("training") if "training" in request.experiment.needs else None,
        data=request.nodes.get("data"),
        seed=request.seed,
        history=None,
        best={},
        names=(),
        locate=_not_yet,
        options={group: request.choices.get(group) for group in GROUPS},
        network_seed=request.seed,
        planned=True,
    )


def _not_yet(name: str) -> Path:
    raise CheckpointError(f"checkpoint {name!r}: the model is not trained yet")
