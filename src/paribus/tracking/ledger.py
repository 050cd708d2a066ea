"""Claims on a tracking server, as a ledger in the store itself, because a server offers no locks.

MLflow never changes a param of a run: of several processes that log the same one, the first wins and the others are
refused, by the database. So a claim is a param of a run that serves only this purpose, the ledger of the study:
``<identity>.<generation>`` holds who took it, ``<identity>.<generation>.end`` says that it was released. Generations
are consecutive; a process that finds the latest one ended, or its holder dead, tries to take the next.

A holder on this machine is dead when its process has ended. One elsewhere is dead when its heartbeat has not changed
while *this* process has watched it for long enough: no clocks are compared, as they may differ by an hour.

A machine that slept for an hour was not dead. So a process that takes over from another machine, and a process about to
end a run, first writes ``<identity>.<generation>.fence``, in which only one of the two succeeds: a holder that was
given up ends no run, and one that is just ending its run gets the time for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.tracking.claims import Claims
from paribus.tracking.heartbeat import LEAST_SILENCE, MISSED_BEATS, here, process_alive, process_started

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CLAIMS = "paribus claims"
"""The MLflow experiment with the ledgers: one run for each study, and one that names them."""
ROOT_TAG = "mlflow.paribus.root"
BEAT = "mlflow.paribus.beat."
"""Prefix of the tags of a ledger that hold the heartbeats, one for each process that holds a claim."""
END, FENCE = "end", "fence"
TAKEN_OVER = "taken over"


@dataclass(frozen=True)
class Holder:
    """Who holds a claim.

    Attributes:
        host: The machine, and on Linux its PID namespace.
        pid: Number of the process.
        started: When the process was started, in ticks since boot; empty where the system does not report it.
        token: Name of its heartbeat.
        every: Seconds between two heartbeats.
        take: Distinguishes several claims of the same process.
    """

    host: str
    pid: int
    started: str
    token: str
    every: float
    take: str = ""

    def text(self) -> str:
        """Return it as the value of a param."""
        return json.dumps(vars(self))


class LedgerClaims(Claims):
    """The claims of this process on one study of a server."""

    poll_seconds = 0.5
    _open: ClassVar[dict[tuple[int, str, str], LedgerClaims]] = {}
    _opening = threading.Lock()

    def __init__(self, client: MlflowClient, study: str, every: float) -> None:
        """Find or create the study's ledger; :meth:`of` returns the object shared within this process.

        Args:
            client: The store's client.
            study: Id of the MLflow experiment.
            every: Seconds between heartbeats while a claim is held.
        """
        super().__init__()
        self._client = client
        self._run = ledger(client, study)
        self._every = every
        self._me = Holder(here(), os.getpid(), process_started(os.getpid()), secrets.token_hex(6), every)
        self._taken: dict[str, int] = {}
        self._others: set[str] = set()
        self._owed: set[str] = set()
        self._watched: dict[str, tuple[str | None, float]] = {}
        self._ending: set[str] = set()
        self._pulse: threading.Event | None = None

    @classmethod
    def of(cls, client: MlflowClient, study: str, every: float) -> LedgerClaims:
        """Return this process's claims on a study.

        Raises:
            ConfigError: If the ledgers were deleted in MLflow.
        """
        key = (os.getpid(), client.tracking_uri, study)
        with cls._opening:
            if key not in cls._open:
                cls._open[key] = cls(client, study, every)
            return cls._open[key]

    def _lock(self, identity: str) -> bool:
        self._give_back()
        mine = Holder(**{**vars(self._me), "take": secrets.token_hex(6)}).text()
        if identity not in self._others and self._try(identity, 0, mine):
            return True
        run = self._client.get_run(self._run).data
        generation, holder, ended = latest(run.params, identity)
        if not ended and self._is_mine(holder) and f"{identity}.{generation}.{END}" not in self._owed:
            return self._got(identity, generation)  # taken, now or earlier, by an attempt whose response was lost
        if ended or (self._is_dead(holder, run.tags) and self._fenced_off(f"{identity}.{generation}", holder)):
            return self._try(identity, generation + 1, mine)
        self._others.add(identity)
        return False

    def is_ours(self, identity: str) -> bool:
        """Return whether the claim of this process was not taken over meanwhile; from then on it cannot be."""
        generation = self._taken.get(identity)
        if generation is None:
            return True
        return self._first(f"{identity}.{generation}.{FENCE}", self._me.text())

    def _fenced_off(self, claim: str, holder: str) -> bool:
        """Prevent a holder elsewhere that seems dead from ending its run; one that is ending it gets more time."""
        said = read_holder(holder)
        if said is None or said.host == here() or self._first(f"{claim}.{FENCE}", TAKEN_OVER):
            return True
        if claim in self._ending:
            return True
        self._ending.add(claim)
        self._watched.pop(holder, None)
        return False

    def _unlock(self, identity: str) -> None:
        generation = self._taken.pop(identity)
        if not self._taken and self._pulse is not None:
            self._pulse.set()
            self._pulse = None
        self._owed.add(f"{identity}.{generation}.{END}")
        self._give_back()

    def _give_back(self) -> None:
        """Record which claims have ended; if the server is unreachable, at the next request for a claim."""
        with contextlib.suppress(Exception):
            for key in sorted(self._owed):
                self._client.log_param(self._run, key, "released")
                self._owed.discard(key)

    def _try(self, identity: str, generation: int, mine: str) -> bool:
        """Try to become the holder of a generation."""
        return self._first(f"{identity}.{generation}", mine) and self._got(identity, generation)

    def _first(self, key: str, value: str) -> bool:
        """Write a param of the ledger, and return whether it now has this value: the first written value stays."""
        try:
            self._client.log_param(self._run, key, value)
        except Exception:  # refused, or the server failed: reading the ledger decides, or fails too
            return self._client.get_run(self._run).data.params.get(key) == value
        return True

    def _got(self, identity: str, generation: int) -> bool:
        self._others.discard(identity)
        self._taken[identity] = generation
        if self._pulse is None:
            self._pulse = threading.Event()
            threading.Thread(target=self._beat, args=(self._pulse,), name="claims", daemon=True).start()
        return True

    def _beat(self, stopped: threading.Event) -> None:
        """Send the heartbeat while a claim is held, and remove it afterwards."""
        key, count = f"{BEAT}{self._me.token}", 0
        while not stopped.wait(self._every):
            count += 1
            with contextlib.suppress(Exception):
                self._client.set_tag(self._run, key, str(count))
        if count:
            with contextlib.suppress(Exception):
                self._client.delete_tag(self._run, key)
        while self._owed:  # the server was unreachable
            time.sleep(self._every)
            self._give_back()

    def _is_mine(self, text: str) -> bool:
        holder = read_holder(text)
        return holder is not None and holder.token == self._me.token

    def _is_dead(self, text: str, tags: Mapping[str, str]) -> bool:
        holder = read_holder(text)
        if holder is None:
            return False
        if holder.host == here():
            return not process_alive(holder.pid, holder.started)
        seen = tags.get(f"{BEAT}{holder.token}")
        before, since = self._watched.get(text, (None, time.monotonic()))
        if text not in self._watched or seen != before:
            self._watched[text] = (seen, time.monotonic())
            return False
        return time.monotonic() - since > max(MISSED_BEATS * holder.every, LEAST_SILENCE)


def latest(params: Mapping[str, str], identity: str) -> tuple[int, str, bool]:
    """Return the latest generation of a claim, who took it, and whether it has ended; -1 where there is none.

    Example:
        >>> latest({"ab.0": "x", "ab.0.end": "released", "ab.1": "y"}, "ab")
        (1, 'y', False)
    """
    generation = 0
    while f"{identity}.{generation}" in params:
        generation += 1
    generation -= 1
    if generation < 0:
        return -1, "", True
    key = f"{identity}.{generation}"
    return generation, params[key], f"{key}.{END}" in params


def read_holder(text: str) -> Holder | None:
    """Return the holder that a ledger names, None where it is unreadable."""
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return None


def ledger(client: MlflowClient, study: str) -> str:
    """Return the id of the run that is a study's ledger; if several processes create one, one of them is chosen.

    Raises:
        ConfigError: If the ledgers were deleted in MLflow.
    """
    root = _root(client)
    if (known := client.get_run(root).data.params.get(study)) is not None:
        return known
    made = _ended_run(client, client.get_run(root).info.experiment_id, f"claims of {study}")
    with contextlib.suppress(Exception):  # another process was faster; if not, the next line fails
        client.log_param(root, study, made)
    chosen = client.get_run(root).data.params[study]
    if chosen != made:
        client.delete_run(made)
    return chosen


def ledgers(client: MlflowClient) -> dict[str, str]:
    """Return the runs that are ledgers, by id of their MLflow experiment; nothing is created."""
    found = client.get_experiment_by_name(CLAIMS)
    if found is None or ROOT_TAG not in found.tags or found.lifecycle_stage == "deleted":
        return {}
    return dict(client.get_run(found.tags[ROOT_TAG]).data.params)


def _root(client: MlflowClient) -> str:
    """Return the run that names the ledgers.

    Only names of MLflow experiments are unique, so the experiment is filled under another name and then renamed: under
    its own name it is always complete.
    """
    found = client.get_experiment_by_name(CLAIMS)
    if found is None:
        made = client.create_experiment(f"{CLAIMS} {secrets.token_hex(6)}")
        client.set_experiment_tag(made, ROOT_TAG, _ended_run(client, made, "ledgers"))
        try:
            client.rename_experiment(made, CLAIMS)
        except Exception:  # another process was faster
            client.delete_experiment(made)
        found = client.get_experiment_by_name(CLAIMS)
    if found is None or found.lifecycle_stage == "deleted" or ROOT_TAG not in found.tags:
        raise ConfigError(
            f"MLflow experiment {CLAIMS!r}: was deleted or changed in MLflow, and claims are kept there; restore it"
        )
    return str(found.tags[ROOT_TAG])


def _ended_run(client: MlflowClient, experiment: str, name: str) -> str:
    run = client.create_run(experiment, run_name=name)
    client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)
