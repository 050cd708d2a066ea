"""Keeps runs on disk while their server is unreachable, until ``paribus sync`` delivers them.

A spool is an embedded store like any other, in ``multirun/.spool`` of the working folder, so that jobs find, claim and
reuse the runs of earlier jobs there. A run that was started on the server continues in it, with everything that was
sent so far.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from paribus.errors import DataError, ExperimentError, ParibusError, message_of
from paribus.tracking import server
from paribus.tracking.artifacts import local_path
from paribus.tracking.environment import quiet
from paribus.tracking.heartbeat import Heartbeat
from paribus.tracking.interface import Store
from paribus.tracking.opening import client_of, open_store
from paribus.tracking.run import TrackedRun
from paribus.tracking.spec import TrackingSpec, without_password
from paribus.tracking.store import MlflowStore

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

    from paribus.tracking.groups import Groups
    from paribus.tracking.heartbeat import Clock
    from paribus.tracking.run import Step

ROOT = Path("multirun") / ".spool"
SERVER_FILE = "server.json"
BEGUN_TAG = "mlflow.paribus.begun"
"""Tag of a spooled run that was started on the server: its id there."""
log = logging.getLogger("paribus")
T = TypeVar("T")


@dataclass(frozen=True)
class Spool:
    """Runs of this working folder that wait for a server.

    Attributes:
        folder: Where they are kept.
        uri: Address of the server, without a password.
        key: Names this spool, and every copy of it.
    """

    folder: Path
    uri: str
    key: str

    def spec(self, experiment: str = "paribus") -> TrackingSpec:
        """Return the store in it."""
        return TrackingSpec(folder=str(self.folder), experiment=experiment)


def spools(root: Path = ROOT) -> list[Spool]:
    """Return the spools of this working folder.

    Raises:
        DataError: If the server of one is unknown.
    """
    found = []
    for path in sorted(root.glob(f"*/{SERVER_FILE}")):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            found.append(Spool(path.parent.absolute(), str(said["uri"]), str(said["key"])))
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise DataError(f"{path}: does not say which server these runs are for ({message_of(error)})") from None
    return found


def spool_of(uri: str, root: Path = ROOT) -> Spool | None:
    """Return the spool for a server, None without one."""
    return next((each for each in spools(root) if each.uri == without_password(uri)), None)


def make(uri: str, root: Path = ROOT) -> Spool:
    """Return the spool for a server, creating it if missing."""
    address = without_password(uri)
    name = re.sub(r"[^A-Za-z0-9]+", "_", address.partition("://")[2] or address).strip("_")[:40]
    folder = root.absolute() / f"{name}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
    path = folder / SERVER_FILE
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"uri": address, "key": secrets.token_hex(16)})
        with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    found = spool_of(uri, root)
    assert found is not None
    return found


def answers(uri: str) -> bool:
    """Return whether a server is usable now."""
    return server.answers(uri, lambda: client_of(uri).search_experiments(max_results=1))


def open_to_run(spec: TrackingSpec) -> Store:
    """Open the store that a job keeps its runs in; if that is a server, no run is lost when it becomes unreachable.

    Raises:
        ParibusError: As :func:`paribus.tracking.opening.open_store`.
    """
    return cast("Store", SpoolingStore(spec)) if spec.kind == "server" else open_store(spec)


class SpoolingStore:
    """A server's store, replaced by the spool from the moment that the server does not answer until the job ends."""

    def __init__(self, spec: TrackingSpec) -> None:
        """Open the server's store, or the spool if it does not answer."""
        self._spec = spec
        self._root = ROOT.absolute()  # the experiment may go to another folder while it works
        self._store: MlflowStore | None = None
        self._spool: MlflowStore | None = None
        if self.is_away():
            self._store = self.spool()
        else:
            self._ask(lambda store: None)

    def __getattr__(self, name: str) -> Any:
        """Return the operation ``name`` of a store, done by the server, or by the spool if necessary."""
        if name.startswith("_") or name not in vars(Store):
            raise AttributeError(name)
        return lambda *given, **named: self._ask(lambda store: getattr(store, name)(*given, **named))

    def keep_groups(self, groups: Groups) -> list[str]:
        """Keep runs that represent groups, if the server is reachable; a comparison in a spool has none."""
        return [] if self.is_away() else self._ask(lambda store: store.keep_groups(groups))

    @contextlib.contextmanager
    def claim(self, identity: str, busy: Callable[[], None]) -> Iterator[None]:
        """Hold the exclusive right to measure an identity; wait (``busy`` is called once) while another holds it."""
        with contextlib.ExitStack() as held:
            self._ask(lambda store: held.enter_context(store.claim(identity, busy)))
            yield

    def spool(self) -> MlflowStore:
        """Return the spool, created on first use."""
        if self._spool is None:
            made = make(str(self._spec.uri), self._root)
            told = replace(
                made.spec(self._spec.experiment),
                tags=self._spec.tags,
                heartbeat_seconds=self._spec.heartbeat_seconds,
            )
            opened = open_store(told)
            assert isinstance(opened, MlflowStore)
            self._spool = opened
            log.warning(
                "%s does not answer: runs are kept in %s until paribus sync delivers them", made.uri, made.folder
            )
        return self._spool

    def is_away(self) -> bool:
        """Return whether the server does not answer now."""
        return not answers(str(self._spec.uri))

    def _ask(self, what: Callable[[MlflowStore], T]) -> T:
        """Query the store; if it fails because the server is unreachable, use the spool from now on."""
        try:
            return what(self._opened())
        except Exception as error:
            if self._store is not None and self._store is self._spool:
                raise
            if not self.is_away():
                raise
            self._store = self.spool()
            try:
                return what(self._store)
            except ParibusError:
                raise
            except Exception:  # it is about a run that only the server knows
                uri = without_password(str(self._spec.uri))
                raise ExperimentError(f"{uri} does not answer, and runs that it keeps are needed") from error

    def _opened(self) -> MlflowStore:
        if self._store is None:
            quiet()
            self._store = _ServerStore(client_of(str(self._spec.uri)), self._spec, self)
        return self._store


class _ServerStore(MlflowStore):
    """A server's store whose runs survive its failure."""

    def __init__(self, client: MlflowClient, spec: TrackingSpec, home: SpoolingStore) -> None:
        """Use the store behind ``client``."""
        super().__init__(client, spec.experiment, spec=spec, root=None)
        self._home = home

    def _begun(self, run: Run, folder: Path) -> TrackedRun:
        return SpoolingRun(
            self._client,
            run,
            folder,
            heartbeat_seconds=self._spec.heartbeat_seconds,
            clock=self.clock,
            home=self._home,
        )


class SpoolingRun(TrackedRun):
    """A run on a server that continues in the spool when the server becomes unreachable."""

    def __init__(
        self,
        client: MlflowClient,
        begun: Run,
        folder: Path,
        *,
        heartbeat_seconds: float,
        clock: Clock,
        home: SpoolingStore,
    ) -> None:
        """Take over a run that was just created.

        Args:
            client: The client of its store.
            begun: The run as it was created.
            folder: Its output folder.
            heartbeat_seconds: Seconds between heartbeats.
            clock: Gives the time of a heartbeat.
            home: Determines whether the server is unreachable, and opens the spool.
        """
        super().__init__(client, begun.info.run_id, folder, heartbeat_seconds=heartbeat_seconds, clock=clock)
        self._every = heartbeat_seconds
        self._home = home
        self._begun = begun
        self._steps: list[Step] | None = []

    def _send(self, what: Step) -> None:
        """Do one step; if the server is unreachable, do this and all earlier steps in the spool."""
        if self._steps is None:
            super()._send(what)
            return
        self._steps.append(what)
        try:
            super()._send(what)
        except Exception:
            if self._home.is_away():
                self._go_on(self._steps)
            else:
                super()._send(what)  # a single response was lost; a second failure is the run's own

    def _go_on(self, steps: Many[Step]) -> None:
        """Continue in the spool."""
        store, begun = self._home.spool(), self._begun
        made = store.client.create_run(
            store.experiment_id(),
            start_time=begun.info.start_time,
            tags={**begun.data.tags, BEGUN_TAG: self.run_id},
            run_name=begun.info.run_name,
        )
        self._client, self._id = store.client, made.info.run_id
        self._store = local_path(made.info.artifact_uri)
        self._heartbeat.stop(seconds=0.0)
        self._heartbeat = Heartbeat(self._client, self._id, self._every)
        self._steps = None
        for step in steps:
            super()._send(step)
