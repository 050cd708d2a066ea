"""A store of runs in MLflow: its own database and artifact folder, or a tracking server."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus import results
from paribus.errors import ConfigError, DataError, ExperimentError, message_of
from paribus.results.files import PARTIAL_FILE, RESULT_FILE, TABLE_FOLDER, write_text
from paribus.tracking import _mlflow, derived, embedded, heartbeat, local, manifest, server, views
from paribus.tracking.artifacts import inside, local_path, safe_path
from paribus.tracking.claims import Claims, FileClaims
from paribus.tracking.kept import PARENT_TAG, SPOOLED_TAG, TRAINED, KeptRun, kept
from paribus.tracking.ledger import CLAIMS, LedgerClaims
from paribus.tracking.pages import PAGE, all_pages, experiments_of
from paribus.tracking.run import TrackedRun

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

    from paribus.results.schema import Result
    from paribus.tracking.groups import Groups
    from paribus.tracking.spec import TrackingSpec

SWEEPS = "paribus sweeps"
"""The MLflow experiment with one run for each sweep; searches over all experiments leave it out."""
WORKERS_END = 10.0
"""Seconds that the workers of an interrupted sweep are given to end their runs."""
_RUN_ID = re.compile(r"[0-9a-f]{4,32}")


class MlflowStore:
    """Runs in an MLflow store, in one MLflow experiment of it, through an explicit client."""

    def __init__(self, client: MlflowClient, experiment: str, *, spec: TrackingSpec, root: Path | None) -> None:
        """Use ``experiment`` of the store behind ``client``; ``root`` is the folder of an embedded store."""
        self._client = client
        self.experiment = experiment
        self._spec = spec
        self._root = root
        self._names: dict[str, str] = {}
        self._id: str | None = None
        self._tags: Mapping[str, str] = {}
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        self.clock = server.clock(str(spec.uri)) if root is None else local.clock(root)

    @property
    def client(self) -> MlflowClient:
        """The MLflow client, for operations that this class does not offer."""
        return self._client

    def experiment_id(self) -> str:
        """Return the id of the MLflow experiment, which is created where it is missing.

        Raises:
            ConfigError: If it was deleted in the UI.
        """
        if self._id is None:
            self._id = self._find_experiment() or self._create_experiment()
            self._offer_views(self._id)
        return self._id

    def start(
        self, name: str, *, folder: Path, tags: Mapping[str, str] | None = None, parent: str | None = None
    ) -> TrackedRun:
        """Begin a run, marked as living in this process."""
        folder.mkdir(parents=True, exist_ok=True)  # before the run exists, so that a failure leaves no run
        every = self._spec.heartbeat_seconds
        marks = {**self._spec.tags, **(tags or {}), **heartbeat.sign_of_life(every, self.clock).tags()}
        if parent is not None:
            marks[PARENT_TAG] = parent
        run = self._client.create_run(self.experiment_id(), tags=marks, run_name=name)
        return self._begun(run, folder)

    def _begun(self, run: Run, folder: Path) -> TrackedRun:
        return TrackedRun(
            self._client,
            run.info.run_id,
            folder,
            heartbeat_seconds=self._spec.heartbeat_seconds,
            clock=self.clock,
            artifacts=local_path(run.info.artifact_uri or ""),
        )

    def keep_text(self, name: str, tags: Mapping[str, str], file: str, text: str) -> str:
        """Keep a text as a run that is finished at once, and return the run's id."""
        run = self._client.create_run(self.experiment_id(), tags={**self._spec.tags, **tags}, run_name=name)
        folder = local_path(run.info.artifact_uri or "")
        if folder is not None:
            write_text(folder / file, text)
        else:
            self._client.log_text(run.info.run_id, text, file)
        self._client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)

    def keep_groups(self, groups: Groups) -> list[str]:
        """Keep runs that represent the groups of a comparison, once for each comparison, and return their ids."""
        made = self.runs(where=f"tags.`{derived.SAME_TAG}` = '{groups.same}'", groups=True)
        own = [run.run_id for run in made if run.tags.get(derived.FROM_TAG) == groups.comparison.run_id]
        return own or derived.keep(self._client, self.experiment_id(), groups, made)

    def runs(
        self, *, where: str = "", limit: int | None = None, everywhere: bool = False, groups: bool = False
    ) -> list[KeptRun]:
        """Return runs, the latest first.

        Args:
            where: A filter in MLflow's search syntax, e.g. ``tags.sweep = 'x' and attributes.status = 'FINISHED'``.
            limit: The most runs to return.
            everywhere: Search all MLflow experiments of the store, not only this one.
            groups: Include the derived runs that represent a group of a comparison.
        """
        if self._root is not None and (asked := embedded.conditions(where)) is not None:
            asked = asked if groups else [*asked, embedded.without_tag(derived.ROLE_TAG, derived.DERIVED)]
            return self._read(self._root, asked, limit, everywhere=everywhere)
        return self._searched(where, limit, everywhere, groups)

    def _read(
        self, root: Path, asked: Sequence[embedded.QueryPart], limit: int | None = None, *, everywhere: bool = False
    ) -> list[KeptRun]:
        """Return runs of the embedded store in a folder: of all MLflow experiments that hold some, or of this one."""
        with embedded.opened(root / local.DATABASE) as connection:
            if everywhere:
                there = embedded.experiments(connection).items()
                chosen = {number: name for number, name in there if _holds_runs(name)}
            else:
                number = self._number(connection)
                chosen = {} if number is None else {number: self.experiment}
            return embedded.read_runs(connection, chosen, asked, limit)

    def _number(self, connection: sqlite3.Connection) -> str | None:
        """Return the id of the MLflow experiment in an embedded store, None where there is none.

        Raises:
            ConfigError: If it was deleted in the UI.
        """
        found = {name: number for number, name in embedded.experiments(connection).items()}.get(self.experiment)
        if found is None and self.experiment in embedded.experiments(connection, deleted=True).values():
            raise self._deleted()
        return found

    def _searched(self, where: str, limit: int | None, everywhere: bool, groups: bool = False) -> list[KeptRun]:
        """Return runs as MLflow finds them."""
        if everywhere:
            ids = list(self._experiments())
        else:
            one = self._id or self._find_experiment()
            ids = [one] if one else []
        if not ids:
            return []
        search, most = self._client.search_runs, min(PAGE, limit or PAGE)
        order = ["attributes.start_time DESC", "attributes.run_id ASC"]
        every = all_pages(lambda token: search(ids, where, max_results=most, order_by=order, page_token=token))
        found = (kept(run, self._name(run.info.experiment_id)) for run in every)
        return list(islice((run for run in found if groups or not derived.is_derived(run)), limit))

    def get(self, run: str) -> KeptRun:
        """Return the run with this id, or the only one whose id begins with it.

        Raises:
            ConfigError: If there is none, or several.
        """
        if not _RUN_ID.fullmatch(run):
            raise ConfigError(f"run {run!r}: not a run id; give at least 4 of its hexadecimal digits, see paribus runs")
        found = self.runs(where=f"attributes.run_id LIKE '{run}%'", limit=5, everywhere=True, groups=True)
        if not found and self._root is None:  # files written while the server was unreachable use spooled ids
            found = self.runs(where=f"tags.`{SPOOLED_TAG}` LIKE '{run}%'", limit=5, everywhere=True, groups=True)
        if len(found) == 1:
            return found[0]
        if not found:
            latest = ", ".join(f"{r.run_id[:8]} ({r.name})" for r in self.runs(limit=3, everywhere=True))
            raise ConfigError(f"run {run!r}: no such run in this store; the latest are: {latest or 'none'}")
        raise ConfigError(f"run {run!r}: {len(found)} runs begin so: {', '.join(r.run_id[:12] for r in found)}")

    def finished(self, identity: str) -> list[KeptRun]:
        """Return the finished runs of this identity in the MLflow experiment, the latest first."""
        if self._root is not None:
            return self._read(self._root, [embedded.with_tag("identity", identity), embedded.with_status("FINISHED")])
        return self.runs(where=f"tags.identity = '{identity}' and attributes.status = 'FINISHED'")

    def claim(self, identity: str, busy: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
        """Hold the exclusive right to measure an identity; wait (``busy`` is called once) while another has it."""
        return self._claims().hold(identity, busy)

    def is_ours(self, identity: str) -> bool:
        """Return whether the claim held on an identity, if one is, has not been taken over by another process."""
        return self._claims().is_ours(identity)

    def _claims(self) -> Claims:
        if self._root is not None:
            return FileClaims.of(self._root / local.ARTIFACTS)
        return LedgerClaims.of(self._client, self.experiment_id(), self._spec.heartbeat_seconds)

    def latest_model(self, subject: str | None = None) -> KeptRun | None:
        """Return the latest finished run of the MLflow experiment that produced a model for a subject, or for any."""
        asked = TRAINED if subject is None else f"{TRAINED} and tags.subject = '{subject}'"
        found = self.runs(where=asked, limit=1)
        return found[0] if found else None

    def children(self, run_id: str) -> list[KeptRun]:
        """Return the runs nested in a run, the earliest first."""
        return self.runs(where=f"tags.{PARENT_TAG} = '{run_id}'", everywhere=True)[::-1]

    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        """Return the paths of the files directly in a folder of the run."""
        path = safe_path(folder) if folder else None
        where = self._folder(run_id) if self._root is not None else None
        if where is None:
            return [found.path for found in self._client.list_artifacts(run_id, path) if not found.is_dir]
        listed = inside(where, path) if path else where
        if not listed.is_dir():
            return []
        return sorted(f"{path}/{file.name}" if path else file.name for file in listed.iterdir() if not file.is_dir())

    def _folder(self, run_id: str) -> Path | None:
        """Return the folder of a run's files; None where they are not on this machine."""
        uri = embedded.artifact_uri(self._root / local.DATABASE, run_id) if self._root is not None else None
        if uri is None:  # MLflow gives the message for a run that does not exist
            uri = self._client.get_run(run_id).info.artifact_uri or ""
        return local_path(uri)

    def download(self, run_id: str, path: str) -> Path:
        """Return an artifact as a local file or folder: itself in a local store, else a temporary copy.

        Raises:
            DataError: If there is no such artifact, or its path leads out of the run.
        """
        where = self._folder(run_id)
        if where is not None:
            target = inside(where, path)
            if not target.exists():
                raise DataError(f"run {run_id[:8]}: has no artifact {path!r} under {where}")
            return target
        if self._copies is None:
            self._copies = tempfile.TemporaryDirectory(prefix="paribus_")
        copies = Path(self._copies.name) / run_id
        copies.mkdir(exist_ok=True)
        if not inside(copies, path).exists():
            try:
                self._client.download_artifacts(run_id, safe_path(path), str(copies))
            except Exception as error:
                raise DataError(
                    f"run {run_id[:8]}: artifact {path!r} cannot be fetched ({message_of(error)})"
                ) from None
        return inside(copies, path)

    def result(self, run_id: str) -> Result:
        """Read a run's result; for an unfinished run its partial result.

        Raises:
            DataError: If its files are missing or unreadable.
        """
        top = self.artifacts(run_id)
        partial = RESULT_FILE not in top and PARTIAL_FILE in top
        path = self.download(run_id, PARTIAL_FILE if partial else RESULT_FILE)
        if path.is_file() and '"file":' in path.read_text(encoding="utf-8", errors="replace"):
            self.download(run_id, TABLE_FOLDER)
        return results.read_partial(path.parent) if partial else results.read(path.parent)

    def complete(self, run_id: str) -> Result:
        """Read a finished run's result after checking that the run is complete.

        Every file that the result names must be there with its size; where its content is on this machine, with its
        digest.

        Raises:
            DataError: If it is not: the message says what is missing or was changed.
        """
        where = self._folder(run_id)
        result = self.result(run_id)
        if not result.success:
            raise DataError(f"its result says that it failed: {result.error_message}")
        if not result.artifacts:
            raise DataError(f"its {RESULT_FILE} does not say which files belong to it")
        if where is not None:
            manifest.check_folder(where, result.artifacts)
        else:
            manifest.check_listing(lambda folder: self._sizes(run_id, folder), result.artifacts)
            manifest.check_folder(self.download(run_id, RESULT_FILE).parent, result.artifacts, absent_is_fine=True)
        return result

    def _sizes(self, run_id: str, folder: str) -> dict[str, int]:
        """Return the files directly in a folder of a run, with their sizes in bytes."""
        listed = self._client.list_artifacts(run_id, folder or None)
        return {found.path: int(found.file_size or 0) for found in listed if not found.is_dir}

    def reap(self) -> list[str]:
        """Mark RUNNING runs whose process has ended as KILLED and return their ids."""
        return heartbeat.reap(self._client, list(self._experiments()), self.clock)

    def mark_killed(self, sweep: str, message: str) -> list[str]:
        """Mark the RUNNING runs of a sweep as KILLED and return their ids.

        A worker that is just ending gets some seconds to end its run itself.
        """
        running = self.runs(where=f"tags.sweep = '{sweep}' and attributes.status = 'RUNNING'", everywhere=True)
        patience = time.monotonic() + WORKERS_END
        marked = []
        for run in running:
            heartbeat.wait_for_end(self._client.get_run(run.run_id), seconds=patience - time.monotonic())
            if heartbeat.close(self._client, run.run_id, message):
                marked.append(run.run_id)
        return marked

    def addresses(self, base: str) -> list[views.Address]:
        """Return where the UI at ``base`` shows the runs and curves of this MLflow experiment; empty without runs."""
        number = self._id or self._find_experiment()
        if number is None:
            return []
        types = sorted({run.experiment_type or "" for run in self.runs()})
        tags = self._client.get_experiment(number).tags
        viewed = types if f"{views.VIEW_TAG}{views.RUNS}" in tags else None
        return views.of_experiment(base, number, self.experiment, viewed, tags) if types else []

    def _experiments(self) -> Sequence[str]:
        """Return the ids of all MLflow experiments with runs of experiments, and remember their names."""
        found = experiments_of(self._client)
        self._names.update(found)
        return [number for number, name in found.items() if _holds_runs(name)]

    def _name(self, experiment_id: str) -> str:
        if experiment_id not in self._names:
            self._names[experiment_id] = self._client.get_experiment(experiment_id).name
        return self._names[experiment_id]

    def _find_experiment(self) -> str | None:
        """Return the id of the MLflow experiment, None where there is none, and remember its tags."""
        if self._root is not None:  # read directly: every job of a sweep asks
            with embedded.opened(self._root / local.DATABASE) as connection:
                number = self._number(connection)
                if number is not None:
                    self._tags = embedded.experiment_tags(connection, number)
            return number
        found = self._client.get_experiment_by_name(self.experiment)
        if found is None:
            return None
        if found.lifecycle_stage == "deleted":
            raise self._deleted()
        self._tags = found.tags
        return str(found.experiment_id)

    def _deleted(self) -> ConfigError:
        return ConfigError(
            f"tracking.experiment: {self.experiment!r} was deleted in MLflow; restore it, or choose another name"
        )

    def _offer_views(self, experiment_id: str) -> None:
        """Let MLflow's UI show columns in which runs differ; a store that refuses the tag is left without."""
        with contextlib.suppress(Exception):
            for name, text in views.missing(self._tags).items():
                self._client.set_experiment_tag(experiment_id, name, text)

    def _create_experiment(self) -> str:
        """Create the MLflow experiment; if another process was faster, use its."""
        location = None
        tags: dict[str, Any] = {}
        if self._root is not None:
            slug = re.sub(r"[^A-Za-z0-9_-]+", "_", self.experiment).strip("_")[:60] or "runs"
            location = f"{local.artifact_root(self._root)}/{slug}"
            tags[local.FOLDER_TAG] = str(self._root.resolve())
        try:
            return str(self._client.create_experiment(self.experiment, artifact_location=location, tags=tags))
        except _mlflow.MlflowException as error:
            found = self._client.get_experiment_by_name(self.experiment)
            if found is None:
                raise ExperimentError(f"MLflow experiment {self.experiment!r}: {message_of(error)}") from error
            return str(found.experiment_id)


def _holds_runs(experiment: str) -> bool:
    """Return whether an MLflow experiment is one with runs of experiments."""
    return experiment != SWEEPS and not experiment.startswith(CLAIMS)
