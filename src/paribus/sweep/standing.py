"""The state of each job of a sweep, derived from the runs in the store; nothing of it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.errors import DataError
from paribus.experiments.base import KEPT_RUNS
from paribus.results.files import RESULT_FILE
from paribus.running import failures
from paribus.running.inputs import INPUTS_FILE, KEY, Inputs, check_unchanged
from paribus.running.tags import code_version
from paribus.tracking import states
from paribus.tracking.kept import FAILURE_TAG
from paribus.tracking.provenance import provenance
from paribus.tracking.states import RunState

if TYPE_CHECKING:
    from pathlib import Path

    from paribus.sweep.identities import Known

FINISHED, RUNNING, FAILED, KILLED, STALE, TODO, AFTER = (
    "finished", "running", "failed", "killed", "stale", "to do", "after others",
)  # fmt: skip
STATES = (FINISHED, RUNNING, FAILED, KILLED, STALE, AFTER, TODO)
"""In the order in which they are listed."""
_SAYS_WHAT_IT_READ = tuple(f'"{name}":'.encode() for name in ("opened", "listed", "absent", "sources", "file"))


@dataclass(frozen=True)
class Standing:
    """The state of a job.

    Attributes:
        state: One of :data:`STATES`.
        run: The run that says so, None where there is none.
        why: What there is to say about it: why a run is stale, what failed, what is waited for.
        again: Whether a sweep runs the job.
    """

    state: str
    run: RunState | None = None
    why: str = ""
    again: bool = True


class Runs:
    """The runs of a study by identity, the latest first."""

    def __init__(self, runs: Iterable[RunState], *, today: str | None = None) -> None:
        """Sort them.

        Args:
            runs: The runs, the latest first.
            today: Version of the code that would run now; None: found out when it is needed.
        """
        self.all = tuple(runs)
        self._today = today
        self._by: dict[str, list[RunState]] = {}
        for run in self.all:
            if run.identity:
                self._by.setdefault(run.identity, []).append(run)

    def of(self, identity: str) -> Sequence[RunState]:
        """Return the runs of an identity."""
        return self._by.get(identity, ())

    def has_finished(self, identity: str) -> bool:
        """Return whether a run of an identity finished."""
        return any(run.status == states.FINISHED for run in self.of(identity))

    def is_running(self, identity: str) -> bool:
        """Return whether a run of an identity goes on."""
        return any(run.status == states.RUNNING for run in self.of(identity))

    @property
    def today(self) -> str:
        """Version of the code that would run now."""
        if self._today is None:
            self._today = code_version(provenance()) or ""
        return self._today


def standing(identity: str, runs: Runs, *, reuses: bool = True, retry: str = "killed", check: bool = True) -> Standing:
    """Return the state of a job of this identity.

    Args:
        identity: Its identity.
        runs: The runs of its study.
        reuses: Whether finished runs are taken.
        retry: ``failed``: failed jobs are tried again; ``killed``: only where the code has changed since, or where the
            job itself was not the reason.
        check: Whether to look at the files of finished runs.
    """
    found = runs.of(identity)
    stale = None
    for run in found:
        if run.status == states.FINISHED and reuses:
            why = spoiled(run) if check else None
            if why is None:
                return Standing(FINISHED, run, again=False)
            stale = stale or Standing(STALE, run, why)
    going = next((run for run in found if run.status == states.RUNNING), None)
    if going is not None:
        return Standing(RUNNING, going)
    if stale is not None:
        return stale
    if not found or found[0].status == states.FINISHED:
        return Standing(TODO)
    latest = found[0]
    if latest.status == states.KILLED:
        return Standing(KILLED, latest, latest.tags.get("error_message", ""))
    again = retry == "failed" or not _will_fail_again(latest, runs)
    return Standing(FAILED, latest, latest.tags.get("error_message", ""), again)


def all_standing(jobs: Sequence[Known], by_store: Mapping[str, Runs], *, reused: bool) -> list[Standing]:
    """Return the state of each job of a sweep.

    A job whose model is missing, and is being trained by another process or by an earlier job, waits for it.

    Args:
        jobs: The jobs.
        by_store: The runs of every store they use, by its spec as text.
        reused: Whether ``reuse=auto`` takes finished runs, as it does in sweeps.
    """
    found = []
    trained_by: dict[str, int] = {}
    for known in jobs:
        job, runs = known.job, by_store[repr(known.job.nodes["tracking"])]
        if known.identity is None:
            others = len(jobs) > 1 and job.experiment.subject == KEPT_RUNS
            found.append(Standing(AFTER, why="made from the runs of others") if others else Standing(TODO))
            continue
        reuses = job.reuse == "always" or (job.reuse == "auto" and reused)
        stands = standing(known.identity, runs, reuses=reuses, retry=job.sweep.retry)
        if stands.state == TODO:
            stands = _after(known, runs, trained_by) or stands
        for model in known.models:
            trained_by.setdefault(model, known.number)
        found.append(stands)
    return found


def _after(known: Known, runs: Runs, trained_by: Mapping[str, int]) -> Standing | None:
    for model in known.models:
        if runs.has_finished(model):
            continue
        if runs.is_running(model):
            return Standing(AFTER, why=f"its model ({model[:8]}) is being trained")
        if model in trained_by:
            return Standing(AFTER, why=f"its model ({model[:8]}) is trained by job {trained_by[model]}")
    return None


def _will_fail_again(run: RunState, runs: Runs) -> bool:
    """Return whether a job that failed would fail in the same way: same code, and the job itself was the reason."""
    kind = run.tags.get(FAILURE_TAG, "")
    return kind in failures.OF_THE_JOB and run.tags.get("code_version", "") == runs.today


def spoiled(run: RunState) -> str | None:
    """Return why a finished run cannot be taken: its result is gone, or a file that it read has changed; else None.

    Only files on this machine are looked at; when a run is taken, all that belongs to it is compared.
    """
    if run.artifacts is None:
        return None
    try:
        content = (run.artifacts / RESULT_FILE).read_bytes()
    except OSError:
        return f"its {RESULT_FILE} is gone"
    if not any(name in content for name in _SAYS_WHAT_IT_READ):
        return None
    try:
        check_unchanged(_read(content, run.artifacts))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"its {RESULT_FILE} cannot be read"
    except DataError as error:
        return str(error)
    return None


def _read(content: bytes, folder: Path) -> Inputs:
    noted = json.loads(content).get("provenance", {}).get(KEY) or {}
    if "file" in noted:
        noted = json.loads((folder / INPUTS_FILE).read_text(encoding="utf-8"))
    return Inputs.from_plain(noted)
