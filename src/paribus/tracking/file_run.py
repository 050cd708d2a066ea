"""A run in progress, kept as files in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from paribus import results
from paribus.results import typeset
from paribus.results.evidence import Evidence
from paribus.results.files import (
    PARTIAL_FILE,
    RESULT_FILE,
    ROWS_IN_JSON,
    TABLE_FOLDER,
    check_name,
    copy,
    describe,
    write_bytes,
    write_text,
)
from paribus.tracking.params import flatten, param_key, to_text

if TYPE_CHECKING:
    from paribus.results.schema import Artifact, Curve, Table

FIGURE_FOLDER = "figures"
CHECKPOINT_FOLDER = "checkpoints"
CONFIG_FILE = "config.yaml"
TRACEBACK_FILE = "traceback.txt"
FINISHED = "FINISHED"
STATUSES = (FINISHED, "FAILED", "KILLED")
ROWS_IN_UI = 2000
YAML: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""YAML writer, by libyaml if installed."""


class FileRun:
    """A run whose files are in its folder and nowhere else (``tracking=off``).

    A finished run is not written to: an attempt raises a RuntimeError.

    Attributes:
        folder: The run's output folder; it is created, and files about the end of an earlier run are removed.
        run_id: None here; the MLflow run id where the run is tracked.
        status: How it ended, None while it runs.
        artifacts: Its files so far, by their path in the run.
    """

    run_id: str | None = None

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        self.folder = folder
        self.status: str | None = None
        self.artifacts: dict[str, Artifact] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for name in (RESULT_FILE, PARTIAL_FILE, TRACEBACK_FILE):
            (folder / name).unlink(missing_ok=True)

    def config(
        self,
        tree: Mapping[str, Any],
        choices: Mapping[str, str | None] | None = None,
        described: Mapping[str, Any] | None = None,
        leave_out: frozenset[str] = frozenset(),
    ) -> None:
        """Keep the complete, typed configuration as ``config.yaml``; its leaves and the chosen options as params.

        Args:
            tree: The configuration.
            choices: Option chosen in each group.
            described: Further nodes for the params alone, by key, that describe something the configuration only
                names.
            leave_out: Groups that the run does not use; they are in ``config.yaml`` but not among the params.
        """
        plain = json.loads(json.dumps(tree, default=str))
        text = yaml.dump(plain, Dumper=YAML, sort_keys=False, allow_unicode=True)
        self.text(CONFIG_FILE, text)
        chosen = {group: option for group, option in (choices or {}).items() if option and group.isidentifier()}
        leaves = {**chosen, **flatten(described or {}), **flatten(tree)}
        shown = {name: value for name, value in leaves.items() if name.partition(".")[0] not in leave_out}
        self._params({param_key(name): to_text(value) for name, value in shown.items()})

    def text(self, name: str, text: str) -> None:
        """Keep a text file under ``name``."""
        self.file(name, lambda path: write_text(path, text))

    def table(self, table: Table) -> None:
        """Keep a table as parquet, and as JSON (column names and rows) up to 20,000 rows.

        A table of a comparison that fits on a page is also kept as Markdown and LaTeX.
        """
        name = f"{TABLE_FOLDER}/{check_name(table.name)}.parquet"
        self.file(name, lambda _: results.write_table(table, self.folder))
        frame = results.check_frame(table.name, table.frame)
        if table.evidence is Evidence.COMPARISON and typeset.fits(frame):
            self.text(f"{TABLE_FOLDER}/{table.name}.md", typeset.markdown(frame))
            self.text(f"{TABLE_FOLDER}/{table.name}.tex", typeset.latex(frame, caption=table.description))
        if len(frame) > ROWS_IN_JSON:
            return
        columns = [results.encode_column(frame[name]) for name in frame.columns]
        data = [list(row) for row in zip(*columns, strict=True)]
        text = json.dumps({"columns": list(frame.columns), "data": data}, ensure_ascii=False, allow_nan=False)
        self.text(f"{TABLE_FOLDER}/{table.name}.json", text)
        if len(frame) <= ROWS_IN_UI:
            self._show_table(f"{TABLE_FOLDER}/{table.name}.json")

    def figure(self, name: str, drawn: Mapping[str, bytes]) -> None:
        """Keep a drawn figure, by the formats that it was drawn in (``png``, ``pdf``)."""
        for ending, content in drawn.items():
            self.file(f"{FIGURE_FOLDER}/{check_name(name)}.{ending}", partial(write_bytes, content=content))

    def checkpoint(self, path: Path) -> None:
        """Keep a checkpoint file for other runs to load."""
        self.file(f"{CHECKPOINT_FOLDER}/{path.name}", lambda target: copy(path, target))

    def withdraw(self, name: str) -> None:
        """Remove a file from a run that did not finish after all."""
        self._refuse_if_finished()
        (self.folder / name).unlink(missing_ok=True)
        self.artifacts.pop(name, None)

    def metric(self, name: str, value: float, step: int) -> None:
        """Keep one point of a metric's history."""

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Keep headline metrics."""

    def curve(self, curve: Curve) -> None:
        """Keep a curve as a metric history."""

    def tags(self, tags: Mapping[str, str]) -> None:
        """Keep tags."""

    def note(self, text: str) -> None:
        """Set the short description of the findings in the run list."""

    def data_set(self, name: str, digest: str) -> None:
        """Name the data that the run works on."""

    def flush(self) -> None:
        """Send buffered values."""

    def finish(self, status: str, message: str | None = None, failure: str | None = None) -> None:
        """End the run, once.

        Args:
            status: ``FINISHED``, ``FAILED`` or ``KILLED``.
            message: What went wrong.
            failure: Kind of the failure.

        Raises:
            ValueError: If there is no such status.
        """
        check_status(status)
        self.status = self.status or status

    def file(self, name: str, write: Callable[[Path], object]) -> None:
        """Keep a file under ``name``, which ``write`` writes to the path it is given."""
        self._refuse_if_finished()
        path = self.folder / name
        write(path)
        self.artifacts[name] = describe(path)
        self._upload(path, name)

    def _refuse_if_finished(self) -> None:
        if self.status == FINISHED:
            raise RuntimeError(f"run {self.run_id or self.folder}: is finished, and a finished run is not written to")

    def _upload(self, path: Path, name: str) -> None:
        """Copy a file of the run's folder to the store."""

    def _params(self, params: Mapping[str, str]) -> None:
        """Log params."""

    def _show_table(self, artifact: str) -> None:
        """Log a table so that the UI can compare it across runs."""


def check_status(status: str) -> None:
    """Refuse a status that a run cannot end with.

    Raises:
        ValueError: If it is none.
    """
    if status not in STATUSES:
        raise ValueError(f"no such status {status!r}; valid: {', '.join(STATUSES)}")
