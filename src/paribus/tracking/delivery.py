"""Delivery of spooled runs to their server: everything arrives once, however often delivery is interrupted.

Each step is idempotent: a run on the server has a tag with its spooled id, so it is found and not created twice;
params, metrics with their times, tags and files are the same the second time; the status comes last. A spool, and every
copy of it on another machine, is delivered by one process at a time, which holds a claim.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.results.files import RESULT_FILE
from paribus.tracking import _mlflow, server
from paribus.tracking.artifacts import local_path
from paribus.tracking.embedded import opened
from paribus.tracking.file_run import FINISHED
from paribus.tracking.heartbeat import close, sign_of_life
from paribus.tracking.kept import ONCE_TAG, PARENT_TAG, SPOOLED_TAG
from paribus.tracking.ledger import LedgerClaims
from paribus.tracking.life_mark import LIFE_TAG
from paribus.tracking.opening import open_store
from paribus.tracking.pages import PAGE, all_pages, experiments_of
from paribus.tracking.relocate import relocate
from paribus.tracking.run import METRICS_PER_BATCH, PARAMS_PER_BATCH
from paribus.tracking.spec import TrackingSpec, database, has_runs
from paribus.tracking.spool import BEGUN_TAG, Spool, spool_of
from paribus.tracking.store import MlflowStore

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

DELIVERED_TAG = "mlflow.paribus.delivered"
"""Tag of a spooled run: the id of the delivered run on the server."""
log = logging.getLogger("paribus")


@dataclass(frozen=True)
class Delivered:
    """How the delivery of a spool ended.

    Attributes:
        arrived: How many runs were delivered.
        there: How many were already on the server, because another process finished the same run meanwhile.
        left: How many still wait: they have not ended, or another process is executing the same run now.
    """

    arrived: int = 0
    there: int = 0
    left: int = 0

    def text(self, uri: str) -> str:
        """Return it in one line.

        Example:
            >>> Delivered(3, left=1).text("http://host:5000")
            '3 runs delivered to http://host:5000; 1 wait: not ended yet, or another process is at the same run'
        """
        parts = [f"{self.arrived} runs delivered to {uri}"]
        if self.there:
            parts.append(f"{self.there} were finished there by another process meanwhile")
        if self.left:
            parts.append(f"{self.left} wait: not ended yet, or another process is at the same run")
        return "; ".join(parts)


def arrived(spec: TrackingSpec) -> str | None:
    """Deliver the runs spooled for a server that answers again; return a message, None if there are none.

    Raises:
        ConfigError: If the server does not answer.
        DataError: If a file of a spooled run is missing, or was changed in transfer.
    """
    if spec.kind != "server" or (spool := spool_of(str(spec.uri))) is None or not waiting(spool):
        return None
    return f"kept while the server was away: {deliver(spool, str(spec.uri)).text(spool.uri)}"


def deliver(spool: Spool, uri: str) -> Delivered:
    """Deliver the runs of a spool; its files are removed when all are delivered.

    Args:
        spool: The spool.
        uri: Address of its server, with user and password where it needs them.

    Raises:
        ConfigError: If the server does not answer.
        DataError: If a file of a spooled run is missing, or was changed in transfer.
    """
    server.refuse_silent(uri)
    if not waiting(spool):
        return Delivered()
    relocate(spool.folder)
    kept = open_store(spool.spec())
    assert isinstance(kept, MlflowStore)
    kept.reap()
    return _Delivery(spool, kept, uri).all()


def waiting(spool: Spool) -> int:
    """Return how many runs wait in a spool.

    Raises:
        DataError: If it cannot be read.
    """
    if not has_runs(spool.spec()):
        return 0  # the process that made it was killed before the database existed
    query = "select count(*) from runs where lifecycle_stage = 'active' "
    query += "and run_uuid not in (select run_uuid from tags where key = ?)"
    with opened(database(spool.spec())) as connection:
        return int(connection.execute(query, (DELIVERED_TAG,)).fetchone()[0])


class _Delivery:
    """One delivery."""

    def __init__(self, spool: Spool, kept: MlflowStore, uri: str) -> None:
        self._spool = spool
        self._from = kept.client
        self._uri = uri
        self._names = experiments_of(self._from)
        self._stores: dict[str, MlflowStore] = {}
        self._ids: dict[str, str] = {}
        self._held: dict[str, tuple[LedgerClaims, str]] = {}
        self._busy: set[str] = set()

    def all(self) -> Delivered:
        """Deliver everything: parents are started before the runs nested in them, and ended after them."""
        with self._claims(self._runs()[0]).hold(
            self._spool.key, lambda: log.info("another process delivers these runs")
        ):
            runs = self._runs()
            self._ids = {run.info.run_id: run.data.tags[k] for run in runs for k in _KNOWN_BY if k in run.data.tags}
            left = [run for run in runs if DELIVERED_TAG not in run.data.tags]
            ended = [run for run in left if run.info.status != "RUNNING"]
            try:
                there = [self._is_elsewhere(run) for run in ended]
                for run in sorted(ended, key=lambda run: (run.info.start_time, PARENT_TAG in run.data.tags)):
                    self._begin(run)
                for run in sorted(ended, key=lambda run: (run.info.end_time, PARENT_TAG not in run.data.tags)):
                    self._fill(run)
            finally:
                for claims, identity in self._held.values():
                    claims.release(identity)
            arrived = sum(self._is_marked(run) for run in left) - sum(there)
            delivered = Delivered(arrived, sum(there), len(left) - arrived - sum(there))
            if not delivered.left:
                self._clear(runs)
        return delivered

    def _runs(self) -> list[Run]:
        """Return the runs of the spool, with those delivered earlier, in which others may be nested."""
        ids = list(self._names)
        ask = self._from.search_runs
        return list(all_pages(lambda token: ask(ids, run_view_type=EVERYTHING, max_results=PAGE, page_token=token)))

    def _clear(self, runs: Sequence[Run]) -> None:
        """Remove the files of delivered runs. The database stays: another process may have it open."""
        for run in runs:
            folder = local_path(run.info.artifact_uri)
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            if run.info.lifecycle_stage == "active":
                self._from.delete_run(run.info.run_id)

    def _store(self, run: Run) -> MlflowStore:
        """Return the server's store for the MLflow experiment of a run."""
        name = self._names[run.info.experiment_id]
        if name not in self._stores:
            opened = open_store(TrackingSpec(kind="server", uri=self._uri, experiment=name))
            assert isinstance(opened, MlflowStore)
            self._stores[name] = opened
        return self._stores[name]

    def _claims(self, run: Run) -> LedgerClaims:
        store = self._store(run)
        return LedgerClaims.of(store.client, store.experiment_id(), EVERY)

    def _is_elsewhere(self, run: Run) -> bool:
        """Return whether another process finished the same run on the server, which then replaces this one.

        Only runs that must be unique are checked, holding the claim on them; one that another process is executing
        waits.
        """
        store, identity, local = self._store(run), run.data.tags.get("identity"), run.info.run_id
        if run.info.status != FINISHED or not identity or ONCE_TAG not in run.data.tags:
            return False
        claims = self._claims(run)
        if not claims.take(identity):
            self._busy.add(local)
            return False
        self._held[local] = (claims, identity)
        begun = self._ids.get(local)
        same = [
            each.run_id
            for each in store.finished(identity)
            if each.run_id != begun and each.tags.get(SPOOLED_TAG) != local
        ]
        if not same:
            return False
        if begun is not None:
            close(store.client, begun, f"run {same[0]} is the same, and was finished while the server was away")
        self._mark(run, same[0])
        return True

    def _begin(self, run: Run) -> None:
        """Find or create the run on the server."""
        local = run.info.run_id
        if local in self._ids or local in self._busy:
            return
        store = self._store(run)
        if found := store.runs(where=f"tags.`{SPOOLED_TAG}` = '{local}'", limit=1):
            self._ids[local] = found[0].run_id
            return
        made = store.client.create_run(
            store.experiment_id(),
            start_time=run.info.start_time,
            tags={**self._tags(run), **sign_of_life(EVERY, store.clock).tags(), SPOOLED_TAG: local},
            run_name=run.info.run_name,
        )
        self._ids[local] = made.info.run_id

    def _fill(self, run: Run) -> None:
        """Copy everything of the spooled run to the server's run, its end last."""
        if run.info.run_id in self._busy or self._is_marked(run):
            return
        target = self._ids[run.info.run_id]
        store = self._store(run)
        if store.client.get_run(target).info.status != FINISHED:
            params = [_mlflow.Param(key, self._text(value)) for key, value in run.data.params.items()]
            for start in range(0, len(params), PARAMS_PER_BATCH):
                store.client.log_batch(target, params=params[start : start + PARAMS_PER_BATCH])
            self._metrics(run, store.client, target)
            if run.inputs is not None and run.inputs.dataset_inputs:
                store.client.log_inputs(target, run.inputs.dataset_inputs)
            self._files(run, store.client, target)
            claims, identity = self._held.get(run.info.run_id, (None, ""))
            if claims is not None and not claims.is_ours(identity):  # taken over while this machine slept
                return
            tags = [_mlflow.RunTag(key, value) for key, value in self._tags(run).items()]
            store.client.log_batch(target, tags=[*tags, _mlflow.RunTag(SPOOLED_TAG, run.info.run_id)])
            store.client.set_terminated(target, run.info.status, end_time=run.info.end_time)
        if run.info.status == FINISHED:
            store.complete(target)
        self._mark(run, target)

    def _metrics(self, run: Run, client: MlflowClient, target: str) -> None:
        points = [point for key in run.data.metrics for point in self._from.get_metric_history(run.info.run_id, key)]
        for start in range(0, len(points), METRICS_PER_BATCH):
            client.log_batch(target, metrics=points[start : start + METRICS_PER_BATCH])

    def _files(self, run: Run, client: MlflowClient, target: str) -> None:
        """Send the files, ``result.json`` last."""
        folder = local_path(run.info.artifact_uri)
        if folder is None or not folder.is_dir():
            return
        files = [path for path in folder.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: (path == folder / RESULT_FILE, path)):
            inside = path.parent.relative_to(folder).as_posix()
            client.log_artifact(target, str(path), None if inside == "." else inside)

    def _tags(self, run: Run) -> dict[str, str]:
        left_out = (LIFE_TAG, BEGUN_TAG, DELIVERED_TAG)
        return {key: self._text(value) for key, value in run.data.tags.items() if key not in left_out}

    def _text(self, text: str) -> str:
        """Return a value with spooled run ids replaced by those on the server."""
        for local, there in self._ids.items():
            if local in text:
                text = text.replace(local, there)
        return text

    def _is_marked(self, run: Run) -> bool:
        return DELIVERED_TAG in self._from.get_run(run.info.run_id).data.tags

    def _mark(self, run: Run, target: str) -> None:
        self._ids[run.info.run_id] = target
        self._from.set_tag(run.info.run_id, DELIVERED_TAG, target)


EVERY = 30.0
"""Seconds between the heartbeats of a delivery."""
EVERYTHING = 3
"""MLflow's ``ViewType.ALL``."""
_KNOWN_BY = (BEGUN_TAG, DELIVERED_TAG)
