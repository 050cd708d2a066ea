"""The state of each job of a sweep, derived from the runs in the store and not stored itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.running import failures
from paribus.sweep.needed_training import Training
from paribus.sweep.spoiled import Spoiled
from paribus.tracking import states
from paribus.tracking.kept import ASKED_TAG, FAILURE_TAG
from paribus.tracking.provenance import code_version, provenance
from paribus.tracking.states import RunState, run_states

if TYPE_CHECKING:
    from paribus.sweep.identities import Known

FINISHED, RUNNING, FAILED, KILLED, STALE, TODO, AFTER = (
    "finished", "running", "failed", "killed", "stale", "to do", "after others",
)  # fmt: skip
STATES = (FINISHED, RUNNING, FAILED, KILLED, STALE, AFTER, TODO)
"""The states, in the order in which they are listed."""


def counted(states: Iterable[str | None]) -> dict[str, int]:
    """Return how many jobs are in each state, in the order of :data:`STATES`.

    Example:
        >>> counted(["to do", "finished", "to do"])
        {'finished': 1, 'to do': 2}
    """
    found = Counter(states)
    return {state: found[state] for state in STATES if state in found}


@dataclass(frozen=True)
class Standing:
    """The state of a job.

    Attributes:
        state: One of :data:`STATES`.
        run: The run that it is derived from, None without one.
        why: The reason: why a run is stale, what failed, what it waits for.
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
            today: Version of the current code; None: determined when needed.
        """
        self.all = tuple(runs)
        self.spoiled = Spoiled(self.all)
        self._today = today
        self._by: dict[str, list[RunState]] = {}
        for run in self.all:
            if run.identity:
                self._by.setdefault(run.identity, []).append(run)

    def of(self, identity: str) -> Sequence[RunState]:
        """Return the runs of an identity."""
        return self._by.get(identity, ())

    def asking(self, asked: str, *, sweep: str | None = None) -> Sequence[RunState]:
        """Return the runs of a comparison request, of one sweep or of all."""
        return [
            run
            for run in self.all
            if run.tags.get(ASKED_TAG) == asked and (sweep is None or run.tags.get("sweep") == sweep)
        ]

    def has_finished(self, identity: str) -> bool:
        """Return whether a run of an identity finished."""
        return any(run.status == states.FINISHED for run in self.of(identity))

    def running(self, identity: str) -> RunState | None:
        """Return the running run of an identity, None without one."""
        return next((run for run in self.of(identity) if run.status == states.RUNNING), None)

    @property
    def today(self) -> str:
        """Version of the current code."""
        if self._today is None:
            self._today = code_version(provenance()) or ""
        return self._today


def standing(
    identity: str,
    runs: Runs,
    *,
    reuses: bool = True,
    retry: str = "killed",
    check: bool = True,
    on_the_spot: bool = False,
) -> Standing:
    """Return the state of a job of this identity.

    Args:
        identity: Its identity.
        runs: The runs of its study.
        reuses: Whether finished runs are taken.
        retry: ``failed``: failed jobs are tried again; ``killed``: only where the code has changed since, or where the
            job itself was not the reason.
        check: Whether to look at the files of finished runs.
        on_the_spot: Whether its model is trained where it is needed.
    """
    found = runs.of(identity)
    stale = None
    for run in found:
        if run.status == states.FINISHED and reuses:
            why = runs.spoiled.why(run, with_training=on_the_spot) if check else None
            if why is None:
                return Standing(FINISHED, run, again=False)
            stale = stale or Standing(STALE, run, why)
    if (going := runs.running(identity)) is not None:
        return Standing(RUNNING, going)
    if stale is not None and found[0].status == states.FINISHED:  # else it was tried again since
        return stale
    if not found or found[0].status == states.FINISHED:
        return Standing(TODO)
    latest = found[0]
    if latest.status == states.KILLED:
        return Standing(KILLED, latest, latest.tags.get("error_message", ""))
    again = retry == "failed" or not _will_fail_again(latest, runs)
    return Standing(FAILED, latest, latest.tags.get("error_message", ""), again)


def runs_by_store(jobs: Iterable[Known]) -> dict[str, Runs]:
    """Return the runs of every store that jobs are kept in, by its key."""
    specs = {each.store: each.job.nodes["tracking"] for each in jobs}
    return {store: Runs(run_states(spec)) for store, spec in specs.items()}


def all_standing(jobs: Sequence[Known], by_store: Mapping[str, Runs], *, reused: bool) -> list[Standing]:
    """Return the state of each job of a sweep.

    A job whose model is missing, and is being trained by another process or by an earlier job, waits for it; one that
    compares runs waits for all jobs that make runs where it looks for them.

    Args:
        jobs: The jobs.
        by_store: The runs of every store they use, as :func:`runs_by_store` returns them.
        reused: Whether ``reuse=auto`` takes finished runs, as it does in sweeps.
    """
    found: dict[int, Standing] = {}
    trained_by: dict[str, int] = {}
    making: dict[str, int] = {}
    for place, known in enumerate(jobs):
        if known.asked is not None:
            continue
        status = _of_one(known, by_store[known.store], trained_by, reused=reused)
        for model in known.models:
            trained_by.setdefault(model.identity, known.number)
        making[known.store] = making.get(known.store, 0) + status.again
        found[place] = status
    for place, known in enumerate(jobs):
        if known.asked is not None:
            others = making.get(known.store, 0)
            found[place] = _comparing(known, by_store[known.store], others, reused=reused)
    return [found[place] for place in range(len(jobs))]


def _of_one(known: Known, runs: Runs, trained_by: Mapping[str, int], *, reused: bool) -> Standing:
    if known.identity is None:
        return Standing(TODO)
    reuses, retry = _reuses(known, reused=reused), known.job.sweep.retry
    status = standing(known.identity, runs, reuses=reuses, retry=retry, on_the_spot=bool(known.models))
    return after(known.models, runs, trained_by) or status if status.state == TODO else status


def _comparing(known: Known, runs: Runs, others: int, *, reused: bool) -> Standing:
    """Return the state of a job that compares runs, of which ``others`` jobs are still to make some."""
    assert known.asked is not None and known.identity is not None
    earlier = runs.asking(known.asked)
    going = next((run for run in earlier if run.status == states.RUNNING), None)
    if going is not None:
        return Standing(RUNNING, going)
    if others:
        return Standing(AFTER, why=f"compares runs that {others} job{'s' if others > 1 else ''} will have made")
    status = standing(known.identity, runs, reuses=_reuses(known, reused=reused), retry=known.job.sweep.retry)
    made = next((run for run in earlier if run.status == states.FINISHED), None)
    if status.state == TODO and made is not None and made.identity != known.identity:
        return Standing(STALE, made, "it compares other runs than there are now")
    return status


def _reuses(known: Known, *, reused: bool) -> bool:
    return bool(known.job.reuse == "always" or (known.job.reuse == "auto" and reused))


def after(models: Sequence[Training], runs: Runs, trained_by: Mapping[str, int]) -> Standing | None:
    """Return the state of a job that waits for the training of its model, None if it does not.

    Args:
        models: The trainings that it needs.
        runs: The runs of its study.
        trained_by: The jobs before it that make a training, by its identity.
    """
    for model in (each.identity for each in models):
        if runs.has_finished(model):
            continue
        if (going := runs.running(model)) is not None:
            return Standing(AFTER, why=f"its model is being trained by run {going.run_id[:8]}")
        if model in trained_by:
            return Standing(AFTER, why=f"its model is trained by job {trained_by[model]}")
    return None


def _will_fail_again(run: RunState, runs: Runs) -> bool:
    """Return whether a job that failed would fail in the same way: same code, and the job itself was the reason."""
    kind = run.tags.get(FAILURE_TAG, "")
    return kind in failures.OF_THE_JOB and run.tags.get("code_version", "") == runs.today
