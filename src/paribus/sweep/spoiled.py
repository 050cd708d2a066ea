"""Whether finished runs can still be reused, by the same checks as on reuse, without parsing their results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from paribus.errors import DataError
from paribus.results.files import RESULT_FILE
from paribus.results.schema import Artifact
from paribus.results.seal import refuse_changed
from paribus.results.values import decode
from paribus.running.inputs import INPUTS_FILE, KEY, Inputs, check_unchanged, trainings
from paribus.running.sequence import LEFT_OUT
from paribus.tracking import states
from paribus.tracking.manifest import check_folder
from paribus.tracking.states import RunState


class Spoiled:
    """Checks each finished run once; only files on this machine are checked."""

    def __init__(self, runs: Iterable[RunState]) -> None:
        """Store the runs that others may depend on: steps, and trainings of their models."""
        self._by_id = {run.run_id: run for run in runs}
        self._found: dict[str, str | None] = {}

    def why(self, run: RunState, *, with_training: bool = False) -> str | None:
        """Return why a finished run cannot be reused, None if it can.

        Its result, all its files and every file that it read must be unchanged; likewise those of its steps, and, for a
        model trained on the spot, the files that its trainings read.

        Args:
            run: The run.
            with_training: Whether its model is trained on the spot.
        """
        if run.artifacts is None:
            return None
        key = f"{run.run_id}{with_training}"
        if key not in self._found:
            self._found[key] = self._looked_at(run.artifacts, with_training=with_training)
        return self._found[key]

    def _looked_at(self, folder: Path, *, with_training: bool) -> str | None:
        try:
            tree = _tree(folder)
            if not tree["success"]:
                return "its result says that it failed"
            named = tree["artifacts"]
            if not named:
                return f"its {RESULT_FILE} does not say which files belong to it"
            check_folder(folder, {name: Artifact(file["size"], file["sha256"]) for name, file in named.items()})
            check_unchanged(_read(tree, folder))
            self._check_steps(tree)
            if with_training:
                self._check_training(tree)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return f"its {RESULT_FILE} cannot be read"
        except DataError as error:
            return str(error)
        return None

    def _check_steps(self, tree: Mapping[str, Any]) -> None:
        for row in _rows(tree, "steps") if tree["experiment_type"] == "sequence" else ():
            if row["status"] == LEFT_OUT:
                continue
            step = self._by_id.get(str(row["run_id"]))
            if step is None:
                raise DataError(f"step {row['step']}: its run is gone")
            why = f"its run is {step.status}" if step.status != states.FINISHED else self.why(step)
            if why is not None:
                raise DataError(f"step {row['step']}: {why}")

    def _check_training(self, tree: Mapping[str, Any]) -> None:
        for what, run_id in trainings(tree["provenance"]).items():
            training = self._by_id.get(run_id)
            if training is None or training.artifacts is None:
                continue
            try:
                check_unchanged(_read(_tree(training.artifacts), training.artifacts))
            except DataError as error:
                raise DataError(f"{what}: {error}") from None


def _tree(folder: Path) -> dict[str, Any]:
    try:
        text = (folder / RESULT_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"its {RESULT_FILE} is gone") from None
    refuse_changed(text)
    tree: dict[str, Any] = json.loads(text)
    tree["provenance"] = decode(tree["provenance"])
    return tree


def _rows(tree: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    rows: Iterable[Mapping[str, Any]] = tree["tables"][name]["rows"]
    return rows


def _read(tree: Mapping[str, Any], folder: Path) -> Inputs:
    noted = tree["provenance"].get(KEY) or {}
    if "file" in noted:
        noted = json.loads((folder / INPUTS_FILE).read_text(encoding="utf-8"))
    return Inputs.from_plain(noted)
