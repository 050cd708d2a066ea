"""One run while it goes on: what it logs, kept as files in its folder and, where tracked, in the MLflow store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from paribus import results
from paribus.errors import ExperimentError
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
from paribus.tracking import _mlflow
from paribus.tracking.heartbeat import Clock, Heartbeat
from paribus.tracking.kept import FAILURE_TAG
from paribus.tracking.metrics import NON_FINITE_TAG, Point, curve_points, non_finite_tag, split_finite
from paribus.tracking.params import flatten, param_key, to_text

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking import MlflowClient

    from paribus.results.schema import Artifact, Curve, Table

    Step = Callable[[MlflowClient, str], object]

FIGURE_FOLDER = "figures"
CHECKPOINT_FOLDER = "checkpoints"
CONFIG_FILE = "config.yaml"
TRACEBACK_FILE = "traceback.txt"
FINISHED = "FINISHED"
STATUSES = (FINISHED, "FAILED", "KILLED")
METRICS_PER_BATCH = 1000
PARAMS_PER_BATCH = 100
FLUSH_SECONDS = 5.0
MAX_TAG = 5000
NOTE_TAG = "mlflow.note.content"
DIGEST = 36
ROWS_IN_UI = 2000
TABLES_IN_UI = 12
TRIES_OF_DATA = 4
YAML: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""Writes YAML by libyaml, where it is installed."""
HEART_STOPS = 5.0
"""Seconds to wait for a beat under way when a run ends badly; one that finishes waits until it is through."""


class FileRun:
    """A run whose files are in its folder and nowhere else (``tracking=off``).

    A run that is finished is not written to any more: whoever tries gets a RuntimeError.

    Attributes:
        folder: The run's output folder; it is made, and what an earlier run said there about its end is removed.
        run_id: None here; the MLflow run id where the run is tracked.
        status: How it ended, None while it goes on.
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
            described: Further nodes for the params alone, by place: what something that is only named is made of.
            leave_out: Groups that the run does not work with; they are in ``config.yaml`` and not among the params.
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
        self._keep(name, lambda path: write_text(path, text))

    def table(self, table: Table) -> None:
        """Keep a table as parquet, and as JSON (column names and rows) up to 20,000 rows.

        One of a comparison that fits on a page is kept as Markdown and as LaTeX too.
        """
        name = f"{TABLE_FOLDER}/{check_name(table.name)}.parquet"
        self._keep(name, lambda _: results.write_table(table, self.folder))
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
            self._keep(f"{FIGURE_FOLDER}/{check_name(name)}.{ending}", partial(write_bytes, content=content))

    def checkpoint(self, path: Path) -> None:
        """Keep a checkpoint file for other runs to load."""
        self._keep(f"{CHECKPOINT_FOLDER}/{path.name}", lambda target: copy(path, target))

    def file(self, name: str, write: Callable[[Path], object]) -> None:
        """Keep a file under ``name``, which ``write`` writes to the path it is given."""
        self._keep(name, write)

    def withdraw(self, name: str) -> None:
        """Take a file back from a run that did not finish after all."""
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
        """Say in a few words what was found, as the run list shows it."""

    def data_set(self, name: str, digest: str) -> None:
        """Name the data that the run works on."""

    def flush(self) -> None:
        """Send what is still buffered."""

    def finish(self, status: str, message: str | None = None, failure: str | None = None) -> None:
        """End the run, once.

        Args:
            status: ``FINISHED``, ``FAILED`` or ``KILLED``.
            message: What went wrong.
            failure: Of what kind that was.

        Raises:
            ValueError: If there is no such status.
        """
        _check_status(status)
        self.status = self.status or status

    def _keep(self, name: str, write: Callable[[Path], object]) -> None:
        """Write one file of the run into its folder, and into the store where it has one."""
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
        """Let the UI compare a table across runs."""


@dataclass(frozen=True)
class _Batch:
    """Params, metrics and tags that are sent together."""

    metrics: Many[Metric] = ()
    params: Many[Param] = ()
    tags: Many[RunTag] = ()

    def __call__(self, client: MlflowClient, run_id: str) -> None:
        """Send them."""
        client.log_batch(run_id, metrics=self.metrics, params=self.params, tags=self.tags)


class TrackedRun(FileRun):
    """A run in an MLflow store. Metrics and tags are buffered and sent in batches; nothing is sent asynchronously."""

    run_id: str

    def __init__(
        self,
        client: MlflowClient,
        run_id: str,
        folder: Path,
        *,
        heartbeat_seconds: float,
        clock: Clock = time.time,
        artifacts: Path | None = None,
    ) -> None:
        """Take over a run that was just created, and keep it marked as alive.

        Args:
            client: The client of its store.
            run_id: Its id.
            folder: Its output folder.
            heartbeat_seconds: Seconds between signs of life.
            clock: Tells the time of a sign of life.
            artifacts: Where its artifacts are, if that is a folder of this machine: they are written there in one
                step each. Elsewhere the client uploads them.
        """
        super().__init__(folder)
        self.run_id = run_id
        self._client = client
        self._id = run_id
        self._store = artifacts
        self._points: list[tuple[int, Point]] = []
        self._waiting: dict[str, str] = {}
        self._seen: set[tuple[str, int]] = set()
        self._non_finite: dict[str, str] = {}
        self._tables: list[dict[str, str]] = []
        self._flushed = time.monotonic()
        self._in_doubt = False
        self._heartbeat = Heartbeat(client, run_id, heartbeat_seconds, clock)

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
        """Keep headline metrics; those that are not finite go into a tag and into ``result.json``.

        A metric that has a history ends with its last point: one more, at step 0, would be drawn as its first.
        """
        finite, others = split_finite(metrics)
        histories = {name for name, step in self._seen if step != 0}
        self._add([point for point in finite if point.name not in histories])
        if others:
            self._non_finite.update(others)
            self.tags({NON_FINITE_TAG: non_finite_tag(self._non_finite)})

    def curve(self, curve: Curve) -> None:
        """Keep a curve as a metric history whose step is the level."""
        self._add([point for point in curve_points(curve) if (point.name, point.step) not in self._seen])

    def tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, cut where they are longer than the store takes; they are sent with the next metrics."""
        self._refuse_if_finished()
        self._waiting |= {param_key(name): _cut(str(value)) for name, value in tags.items()}
        self._flush_in_time()

    def note(self, text: str) -> None:
        """Say in a few words what was found: the UI's description of the run."""
        self.tags({NOTE_TAG: text})

    def data_set(self, name: str, digest: str) -> None:
        """Name the data that the run works on: the UI's data set of the run."""
        self._refuse_if_finished()
        known = _mlflow.Dataset(
            name=name[:500], digest=digest[:DIGEST], source_type="paribus", source=json.dumps(digest)
        )
        for attempt in range(TRIES_OF_DATA):
            try:
                self._send(lambda client, run: client.log_inputs(run, [_mlflow.DatasetInput(known, tags=[])]))
                return
            except Exception:  # another process named the same data at the same moment, and MLflow looks, then inserts
                if attempt == TRIES_OF_DATA - 1:
                    raise
                time.sleep(0.05 * (attempt + 1))

    def checkpoint(self, path: Path) -> None:
        """Keep a checkpoint file as an artifact, for other runs to load; the run's folder has no copy of it."""
        self._refuse_if_finished()
        name = f"{CHECKPOINT_FOLDER}/{path.name}"
        self._upload(path, name)
        self.artifacts[name] = describe(path)

    def withdraw(self, name: str) -> None:
        """Take a file back; on a server it stays, in a run that is not finished."""
        super().withdraw(name)
        if self._store is not None:
            (self._store / name).unlink(missing_ok=True)

    def flush(self) -> None:
        """Send the buffered metrics and tags.

        A point leaves the buffer when it was sent, and keeps the time at which it was measured: one that is sent twice,
        because a signal or an error came in between, is the same point to the store.
        """
        while self._points or self._waiting:
            tags = dict(list(self._waiting.items())[:PARAMS_PER_BATCH])
            batch = self._points[: METRICS_PER_BATCH - len(tags)]
            self._send(
                _Batch(
                    metrics=[_mlflow.Metric(point.name, point.value, when, point.step) for when, point in batch],
                    tags=[_mlflow.RunTag(name, value) for name, value in tags.items()],
                )
            )
            del self._points[: len(batch)]
            self._waiting = {name: value for name, value in self._waiting.items() if name not in tags}
        self._flushed = time.monotonic()

    def finish(self, status: str, message: str | None = None, failure: str | None = None) -> None:
        """End the run, once.

        A run that finished is complete by then, so whatever cannot be sent makes it fail. The status of one that did
        not is set even where its last metrics or tags cannot be sent.

        Raises:
            ValueError: If there is no such status.
            ExperimentError: If the store cannot be asked whether the run is finished, after it did not answer to that.
        """
        _check_status(status)
        if self.status is not None:
            return
        if status == FINISHED:
            self._heartbeat.stop()
            self.flush()
            self._end(status)
            return
        self._heartbeat.stop(seconds=HEART_STOPS)
        if self._in_doubt and self._finished_after_all():
            return
        try:
            if message:
                said = {"error_message": message, NOTE_TAG: f"{status}: {message}"}
                self.tags(said | ({FAILURE_TAG: failure} if failure else {}))
            self.flush()
        finally:
            self._end(status)

    def _end(self, status: str) -> None:
        """Set the status; where the store's answer to ``FINISHED`` is lost, ask for the run's status."""
        self._in_doubt = status == FINISHED
        try:
            self._send(lambda client, run: client.set_terminated(run, status))
        except Exception:
            if not (self._in_doubt and self._finished_after_all()):
                raise
        self._in_doubt = False
        self.status = status

    def _finished_after_all(self) -> bool:
        """Return whether the store knows the run as finished.

        Raises:
            ExperimentError: If it does not answer: then nobody may say that the run failed.
        """
        try:
            known = self._client.get_run(self._id).info.status
        except Exception as error:
            raise ExperimentError(f"the store does not say whether the run is finished: {error}") from error
        self._in_doubt = False
        if known == FINISHED:
            self.status = FINISHED
        return self.status == FINISHED

    def _add(self, points: list[Point]) -> None:
        self._refuse_if_finished()
        now = int(time.time() * 1000)
        self._points += [(now, point) for point in points]
        self._seen.update((point.name, point.step) for point in points)
        self._flush_in_time()

    def _flush_in_time(self) -> None:
        """Send what is buffered where it is much, or has waited for long."""
        if len(self._points) >= METRICS_PER_BATCH or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def _upload(self, path: Path, name: str) -> None:
        if self._store is not None:
            copy(path, self._store / name)
        else:
            folder = str(PurePosixPath(name).parent)
            inside = None if folder == "." else folder
            self._send(lambda client, run: client.log_artifact(run, str(path), inside))

    def _params(self, params: Mapping[str, str]) -> None:
        batch = [_mlflow.Param(name, value) for name, value in params.items()]
        for start in range(0, len(batch), PARAMS_PER_BATCH):
            self._send(_Batch(params=batch[start : start + PARAMS_PER_BATCH]))

    def _send(self, what: Step) -> None:
        """Do one step that changes the run in the store; doing it twice is doing it once."""
        what(self._client, self._id)

    def _show_table(self, artifact: str) -> None:
        shown = {"path": artifact, "type": "table"}
        if shown in self._tables or len(self._tables) >= TABLES_IN_UI:
            return
        self._tables.append(shown)
        self.tags({"mlflow.loggedArtifacts": json.dumps(self._tables)})


def _check_status(status: str) -> None:
    if status not in STATUSES:
        raise ValueError(f"no such status {status!r}; valid: {', '.join(STATUSES)}")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TAG else text[: MAX_TAG - 3] + "..."
