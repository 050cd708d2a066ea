"""A run in progress in the MLflow store: logged values are buffered and sent in batches."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from paribus.errors import ExperimentError
from paribus.results.files import (
    copy,
    describe,
)
from paribus.tracking import _mlflow
from paribus.tracking.file_run import CHECKPOINT_FOLDER, FINISHED, FileRun, check_status
from paribus.tracking.heartbeat import Clock, Heartbeat
from paribus.tracking.kept import FAILURE_TAG
from paribus.tracking.metrics import NON_FINITE_TAG, Point, curve_points, non_finite_tag, split_finite
from paribus.tracking.params import param_key

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking import MlflowClient

    from paribus.results.schema import Curve

    Step = Callable[[MlflowClient, str], object]

METRICS_PER_BATCH = 1000
PARAMS_PER_BATCH = 100
FLUSH_SECONDS = 5.0
MAX_TAG = 5000
NOTE_TAG = "mlflow.note.content"
DIGEST = 36
TABLES_IN_UI = 12
TRIES_OF_DATA = 4
HEART_STOPS = 5.0
"""Seconds to wait for a heartbeat in progress when a run fails; a run that finishes waits until it is done."""


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
        """Take over a run that was just created, and send its heartbeats.

        Args:
            client: The client of its store.
            run_id: Its id.
            folder: Its output folder.
            heartbeat_seconds: Seconds between heartbeats.
            clock: Gives the time of a heartbeat.
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
        """Set the UI's description of the run: the findings in a few words."""
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
            except Exception:  # another process logged the same data at the same time: MLflow checks, then inserts
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
        """Remove a file; on a server it stays, in a run that is not finished."""
        super().withdraw(name)
        if self._store is not None:
            (self._store / name).unlink(missing_ok=True)

    def flush(self) -> None:
        """Send the buffered metrics and tags.

        A point leaves the buffer after it was sent, and keeps the time at which it was measured, so that sending it
        twice because of a signal or an error gives the same point.
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

        A finished run must be complete, so anything that cannot be sent makes it fail. The status of a failed run is
        set even if its last metrics or tags cannot be sent.

        Raises:
            ValueError: If there is no such status.
            ExperimentError: If the store did not confirm the status and cannot be asked for it either.
        """
        check_status(status)
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
        """Set the status; if the store's response to ``FINISHED`` is lost, read the run's status."""
        self._in_doubt = status == FINISHED
        try:
            self._send(lambda client, run: client.set_terminated(run, status))
        except Exception:
            if not (self._in_doubt and self._finished_after_all()):
                raise
        self._in_doubt = False
        self.status = status

    def _finished_after_all(self) -> bool:
        """Return whether the run is finished in the store.

        Raises:
            ExperimentError: If it does not answer, so that the status is unknown.
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
        """Send buffered values if they are many, or have waited for long."""
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
        """Do one idempotent step that changes the run in the store."""
        what(self._client, self._id)

    def _show_table(self, artifact: str) -> None:
        shown = {"path": artifact, "type": "table"}
        if shown in self._tables or len(self._tables) >= TABLES_IN_UI:
            return
        self._tables.append(shown)
        self.tags({"mlflow.loggedArtifacts": json.dumps(self._tables)})


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TAG else text[: MAX_TAG - 3] + "..."
