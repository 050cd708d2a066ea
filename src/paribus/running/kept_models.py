"""The trained models of runs: of a kept run, of one that just ended, of a planned one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.config.aliases import today
from paribus.config.check import TARGET, build
from paribus.errors import CheckpointError, ConfigError
from paribus.results.files import describe
from paribus.running import inputs
from paribus.running.identify import identify
from paribus.running.source import ModelSource
from paribus.running.workspace import SUFFIX
from paribus.tracking.steps import steps_of

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.running.request import Request
    from paribus.running.resolved import Resolved
    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun

CHECKPOINTS = "checkpoints"
GROUPS = ("model", "training", "data")
"""The config groups that say what a trained model is."""
_STAND_INS = tuple(today(f"paribus.{name}") for name in ("subjects.as_trained.AsTrained", "models.tracked.Tracked"))


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


def from_folder(result: Result, folder: Path, identity: str) -> ModelSource:
    """Return the model of an untracked training run whose files are in ``folder``."""
    files = {path.name.removesuffix(SUFFIX): path for path in (folder / CHECKPOINTS).glob(f"*{SUFFIX}")}
    return from_result(result, identity=identity, names=tuple(sorted(files)), locate=lambda name: files[name])


def from_trained(result: Result, resolved: Resolved, store: Store, folder: Path) -> ModelSource:
    """Return the model of a training that just finished, tracked or not."""
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
    depends on one, its own training are those of its configuration.
    """
    taken = result.provenance
    before = dict(taken.get("resolved") or {})
    chosen = dict(taken.get("resolved_options") or {})
    tree = {group: result.config.get(group) for group in GROUPS}
    named = {group: (options or {}).get(group) for group in GROUPS}
    trains = "training" in taken.get("needs", GROUPS)  # else it was in the configuration, but made nothing
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
        CheckpointError: From the returned function, if it is not.
    """

    def checked(name: str) -> Path:
        path = locate(name)
        kept = result.artifacts.get(f"{CHECKPOINTS}/{name}{SUFFIX}")
        if kept is not None and describe(path).digest != kept.digest:
            raise CheckpointError(f"{path}: was changed after the training run finished; so it is not its model")
        return path

    return checked


def _stands_for_another(node: Any) -> bool:
    """Return whether a configuration node only refers to another run."""
    return isinstance(node, Mapping) and today(str(node.get(TARGET, ""))) in _STAND_INS


def _best(result: Result) -> dict[str, int]:
    """Return the epochs that the training marked as best."""
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


def planned(request: Request, identity: str, before: ModelSource | None = None) -> ModelSource:
    """Return the model that a training request will make: only its identity can be used.

    Args:
        request: The training.
        identity: Its identity.
        before: The model that it takes, where that is only planned too.
    """
    to_come = (*(before.to_come if before is not None else ()), request.experiment)
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
        to_come=to_come if request.experiment.takes_trained else (),
    )


def _not_yet(name: str) -> Path:
    raise CheckpointError(f"checkpoint {name!r}: the model is not trained yet")
