"""One run while it goes on: what it logs, kept as files in its folder and, where tracked, in the MLflow store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.results.frames import check_frame, encode_column
from paribus.results.io import ROWS_IN_JSON, TABLE_FOLDER, check_name, write_table, write_text
from paribus.tracking.heartbeat import Heartbeat
from paribus.tracking.metrics import NON_FINITE_TAG, Point, curve_points, non_finite_tag, split_finite
from paribus.tracking.params import flatten, param_key, to_text

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from paribus.results.schema import Curve, Table

FIGURE_FOLDER = "figures"
CHECKPOINT_FOLDER = "checkpoints"
CONFIG_FILE = "config.yaml"
STATUSES = ("FINISHED", "FAILED", "KILLED")
METRICS_PER_BATCH = 1000
PARAMS_PER_BATCH = 100
FLUSH_SECONDS = 5.0
MAX_TAG = 5000
NOTE_TAG = "mlflow.note.content"
DIGEST = 36
ROWS_IN_UI = 2000
TABLES_IN_UI = 12


class FileRun:
    """A run whose files stand in its folder and nowhere else (``tracking=off``).

    Attributes:
        folder: The run's output folder; it is made.
        run_id: None here; the MLflow run id where the run is tracked.
    """

    run_id: str | None = None

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def config(self, tree: Mapping[str, Any], choices: Mapping[str, str | None] | None = None) -> None:
        """Keep the complete, typed configuration as ``config.yaml``; its leaves and the chosen options as params."""
        import yaml

        text = yaml.safe_dump(json.loads(json.dumps(tree, default=str)), sort_keys=False, allow_unicode=True)
        self.text(CONFIG_FILE, text)
        chosen = {group: option for group, option in (choices or {}).items() if option and group.isidentifier()}
        self._params({param_key(name): to_text(value) for name, value in {**chosen, **flatten(tree)}.items()})

    def text(self, name: str, text: str) -> None:
        """Keep a text file under ``name``."""
        self._upload(write_text(self.folder / name, text))

    def table(self, table: Table) -> None:
        """Keep a table as parquet, and as JSON (column names and rows) up to 20,000 rows."""
        self._upload(write_table(table, self.folder), TABLE_FOLDER)
        frame = check_frame(table.name, table.frame)
        if len(frame) > ROWS_IN_JSON:
            return
        columns = [encode_column(frame[name]) for name in frame.columns]
        data = [list(row) for row in zip(*columns, strict=True)]
        text = json.dumps({"columns": list(frame.columns), "data": data}, ensure_ascii=False, allow_nan=False)
        self._upload(write_text(self.folder / TABLE_FOLDER / f"{table.name}.json", text), TABLE_FOLDER)
        if len(frame) <= ROWS_IN_UI:
            self._show_table(f"{TABLE_FOLDER}/{table.name}.json")

    def figure(self, name: str, png: bytes, pdf: bytes) -> None:
        """Keep a drawn figure."""
        check_name(name)
        folder = self.folder / FIGURE_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, content in ((".png", png), (".pdf", pdf)):
            path = folder / f"{name}{suffix}"
            path.write_bytes(content)
            self._upload(path, FIGURE_FOLDER)

    def checkpoint(self, path: Path) -> None:
        """Keep a checkpoint file for other runs to load (linked where the file system can, else copied)."""
        target = self.folder / CHECKPOINT_FOLDER / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(path)
        except OSError:
            import shutil

            shutil.copy2(path, target)

    def metric(self, name: str, value: float, step: int) -> None:
        """Keep one point of a metric's history."""

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Keep headline metrics."""

    def curve(self, curve: Curve) -> None:
        """Keep a curve as a metric history."""

    def tags(self, tags: Mapping[str, str]) -> None:
        """Keep tags."""

    def note(self, text: str) -> None:
        """Say in a few words what was found, as the run list shows it."""

    def data_set(self, name: str, digest: str) -> None:
        """Name the data that the run works on."""

    def finish(self, status: str, message: str | None = None) -> None:
        """End the run.

        Args:
            status: ``FINISHED``, ``FAILED`` or ``KILLED``.
            message: What went wrong.
        """

    def _upload(self, path: Path, folder: str | None = None) -> None:
        """Copy a file of the run's folder to the store."""

    def _params(self, params: Mapping[str, str]) -> None:
        """Log params."""

    def _show_table(self, artifact: str) -> None:
        """Let the UI compare a table across runs."""


class TrackedRun(FileRun):
    """A run in an MLflow store. Metrics are buffered and sent in batches; nothing is sent asynchronously."""

    run_id: str

    def __init__(self, client: MlflowClient, run_id: str, folder: Path, *, heartbeat_seconds: float) -> None:
        """Take over a run that was just created, and keep it marked as alive."""
        super().__init__(folder)
        self.run_id = run_id
        self._client = client
        self._points: list[Point] = []
        self._seen: set[tuple[str, int]] = set()
        self._non_finite: dict[str, str] = {}
        self._tables: list[dict[str, str]] = []
        self._flushed = time.monotonic()
        self._ended = False
        self._heartbeat = Heartbeat(client, run_id, heartbeat_seconds)

    def metric(self, name: str, value: float, step: int) -> None:
        """Keep one point of a metric's history; one that is not finite is left out.

        Raises:
            ValueError: If the step is not an integer (SQLite would store it silently, a server refuse it).
        """
        if isinstance(step, bool) or int(step) != step:
            raise ValueError(f"metric {name!r}: a step must be an integer, got {step!r}")
        finite, _ = split_finite({name: value})
        self._add([Point(point.name, point.value, int(step)) for point in finite])

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Keep headline metrics; those that are not finite stand in a tag and in ``result.json``."""
        finite, others = split_finite(metrics)
        self._add(finite)
        if others:
            self._non_finite.update(others)
            self.tags({NON_FINITE_TAG: non_finite_tag(self._non_finite)})

    def curve(self, curve: Curve) -> None:
        """Keep a curve as a metric history whose step is the level."""
        self._add([point for point in curve_points(curve) if (point.name, point.step) not in self._seen])

    def tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, cut where they are longer than the store takes."""
        from mlflow.entities import RunTag

        batch = [RunTag(param_key(name), _cut(str(value))) for name, value in tags.items()]
        for start in range(0, len(batch), PARAMS_PER_BATCH):
            self._client.log_batch(self.run_id, tags=batch[start : start + PARAMS_PER_BATCH])

    def note(self, text: str) -> None:
        """Say in a few words what was found: the UI's description of the run."""
        self.tags({NOTE_TAG: text})

    def data_set(self, name: str, digest: str) -> None:
        """Name the data that the run works on: the UI's data set of the run."""
        from mlflow.entities import Dataset, DatasetInput

        known = Dataset(name=name[:500], digest=digest[:DIGEST], source_type="paribus", source=json.dumps(digest))
        self._client.log_inputs(self.run_id, [DatasetInput(known, tags=[])])

    def checkpoint(self, path: Path) -> None:
        """Keep a checkpoint file as an artifact, for other runs to load."""
        self._upload(path, CHECKPOINT_FOLDER)

    def flush(self) -> None:
        """Send the buffered metrics."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points, self._points = self._points, []
        for start in range(0, len(points), METRICS_PER_BATCH):
            batch = [Metric(p.name, p.value, now, p.step) for p in points[start : start + METRICS_PER_BATCH]]
            self._client.log_batch(self.run_id, metrics=batch)
        self._flushed = time.monotonic()

    def finish(self, status: str, message: str | None = None) -> None:
        """End the run, once; the status is set even where the last metrics or tags cannot be sent."""
        if status not in STATUSES:
            raise ValueError(f"no such status {status!r}; valid: {', '.join(STATUSES)}")
        if self._ended:
            return
        self._ended = True
        self._heartbeat.stop()
        try:
            self.flush()
            if message:
                self.tags({"error_message": message, NOTE_TAG: f"{status}: {message}"})
        finally:
            self._client.set_terminated(self.run_id, status)

    def _add(self, points: list[Point]) -> None:
        self._points += points
        self._seen.update((point.name, point.step) for point in points)
        if len(self._points) >= METRICS_PER_BATCH or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def _upload(self, path: Path, folder: str | None = None) -> None:
        self._client.log_artifact(self.run_id, str(path), folder)

    def _params(self, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        batch = [Param(name, value) for name, value in params.items()]
        for start in range(0, len(batch), PARAMS_PER_BATCH):
            self._client.log_batch(self.run_id, params=batch[start : start + PARAMS_PER_BATCH])

    def _show_table(self, artifact: str) -> None:
        shown = {"path": artifact, "type": "table"}
        if shown in self._tables or len(self._tables) >= TABLES_IN_UI:
            return
        self._tables.append(shown)
        self.tags({"mlflow.loggedArtifacts": json.dumps(self._tables)})


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TAG else text[: MAX_TAG - 3] + "..."
