"""The life cycle of a run: reused or started, executed, kept, and ended in every case."""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.errors import DataError, ExperimentError, ParibusError, with_kind
from paribus.results.schema import Aggregates, Result
from paribus.results.values import plain
from paribus.running import claims, failures, figure_formats, keeping
from paribus.running.holding import SignalsHeld
from paribus.running.recorder import TrackedRecorder
from paribus.running.tags import model_label, run_name, run_tags
from paribus.running.used import unused
from paribus.running.workspace import FileWorkspace, discard
from paribus.tracking.file_run import FINISHED, TRACEBACK_FILE
from paribus.tracking.patience import hurried, is_locked
from paribus.tracking.provenance import provenance
from paribus.tracking.spec import without_password

if TYPE_CHECKING:
    from paribus.running.request import Request
    from paribus.running.resolved import Resolved
    from paribus.tracking.file_run import FileRun
    from paribus.tracking.interface import Store

log = logging.getLogger("paribus")
_told: set[str] = set()
"""Runs whose reuse this process has already reported; a study takes the same model many times."""


class Busy(ExperimentError):
    """Another process is executing the same run, and the request does not wait for it."""


class Superseded(ExperimentError):
    """Another process took over the run, because this one showed no activity for too long."""


@dataclass
class Living:
    """A run in progress.

    Attributes:
        resolved: The resolved request.
        identity: Its identity.
        run: Where it is kept.
        recorder: Receives what its experiment reports.
        workspace: Where it keeps its checkpoints while it runs.
        origin: Its provenance, to which the work adds what it loads.
        started: When it began.
        clock: The same on a monotonic clock, in seconds.
        claim: The tags that declare its claim; empty without one.
        result: Its result, once the work is done.
    """

    resolved: Resolved
    identity: str
    run: FileRun
    recorder: TrackedRecorder
    workspace: FileWorkspace
    origin: dict[str, Any]
    started: datetime
    clock: float
    claim: dict[str, str]
    result: Result | None = None

    def complete(self, result: Result, *, error: str | None = None) -> Result:
        """Return ``result`` with what the run knows about itself."""
        return replace(
            result,
            config=plain(recorded(self.resolved.request.tree)),
            provenance=plain(self.origin),
            success=error is None,
            error_message=error,
            started_at=self.started.isoformat(),
            duration_seconds=time.perf_counter() - self.clock,
            run_id=self.run.run_id,
        )

    def partial(self) -> Result:
        """Return the report so far as a result."""
        request, recorder = self.resolved.request, self.recorder
        return Result(
            spec_id=spec_id(self.resolved, self.identity),
            experiment_type=request.experiment.type,
            evidence=request.experiment.evidence,
            feature=None,
            model=model_label(self.resolved),
            subject=request.subject,
            aggregates=Aggregates(),
            tables=dict(recorder.tables),
            diagnostics=recorder.diagnostics,
            curves=tuple(recorder.curves),
            metrics=dict(recorder.metrics),
        )


def once(
    request: Request,
    store: Store,
    identity: str,
    measure: Callable[[], Result],
    check: Callable[[Result], None] | None = None,
) -> Result:
    """Take a finished run where the request allows it; else measure, in only one process for equal requests.

    Args:
        request: The request.
        store: Where runs are kept.
        identity: Its identity.
        measure: Makes the run.
        check: As for :func:`reusable`.

    Raises:
        Busy: If another process is executing it and the request does not wait.
    """
    if not request.reuses:
        return measure()
    found = reusable(store, identity, check)
    if found is not None:
        return _taken(request, store, found)

    def busy() -> None:
        if not request.waits:
            raise Busy(f"{request.experiment.type}: another process is at it")
        log.info("%s: another process is at it; waiting for its result", request.experiment.type)

    while True:
        with store.claim(identity, busy):
            found = reusable(store, identity, check)
            if found is not None:
                return _taken(request, store, found)
            try:
                return measure()
            except Superseded as error:
                log.warning("%s", error)


def _taken(request: Request, store: Store, found: Result) -> Result:
    """Return the result of a run that is reused, after saying what the request names and it does not have."""
    claims.say_of_reused(request, found)
    figure_formats.say_of_reused(request, store, found)
    return found


def reusable(store: Store, identity: str, check: Callable[[Result], None] | None = None) -> Result | None:
    """Return the result of the latest complete finished run of this identity; warn about defects of others.

    Args:
        store: Where runs are kept.
        identity: The identity.
        check: Raises a DataError if something other than its own files prevents reuse.
    """
    for kept in store.finished(identity):
        try:
            result = store.complete(kept.run_id)
            if check is not None:
                check(result)
        except DataError as error:
            log.warning("run %s of the same identity cannot be reused: %s; measured again", kept.run_id[:8], error)
            continue
        log.log(
            logging.DEBUG if kept.run_id in _told else logging.INFO,
            "%s: reused run %s of %s",
            kept.name,
            kept.run_id[:8],
            kept.started_at.strftime("%Y-%m-%d %H:%M"),
        )
        _told.add(kept.run_id)
        discard(identity)
        return replace(result, run_id=kept.run_id, reused=True)
    return None


def live(
    resolved: Resolved,
    store: Store,
    folder: Path,
    *,
    identity: str,
    parent: str | None,
    work: Callable[[Living], Result],
) -> Result:
    """Begin a run, do its work, keep the result, and end the run exactly once in every case.

    Raises:
        ExperimentError: If the work failed.
        KeyboardInterrupt: On a signal; its ``finished`` is true if the run was already finished.
    """
    living: Living | None = None
    try:
        with SignalsHeld():
            living = begin(resolved, store, folder, identity=identity, parent=parent)
        request = resolved.request
        living.run.config(recorded(request.tree), request.choices, described(resolved), leave_out=unused(resolved))
        living.result = claims.answered(living.complete(work(living)), request, living.claim, living.run)
        living.result = keeping.keep(living.result, living.run, request.figure_formats)
        with SignalsHeld():
            if not store.is_ours(identity):
                raise Superseded(
                    f"{living.recorder.name}: it gave no sign of life for too long, and another one measures it"
                )
            keeping.seal(living.result, living.run)
            living.workspace.remove()
    except BaseException as error:
        if living is None:
            raise
        raised = end(living, error)
        if raised is error:
            raise
        raise raised from error
    log.info("%s: finished in %.1f s", living.recorder.name, living.result.duration_seconds or 0.0)
    return living.result


def begin(resolved: Resolved, store: Store, folder: Path, *, identity: str, parent: str | None) -> Living:
    """Open the run with its tags.

    Raises:
        ExperimentError: If the store refuses it.
    """
    process = provenance()
    name = run_name(resolved)
    try:
        claim = claims.declared(resolved.request, store, identity)
        tags = run_tags(resolved, identity, process) | claim
        run = store.start(name, folder=folder, tags=tags, parent=parent)
    except ParibusError:
        raise
    except Exception as error:
        raise ExperimentError(f"{name}: the run could not be begun: {with_kind(error)}") from error
    try:
        workspace = FileWorkspace(identity, run.checkpoint)
    except BaseException as error:
        run.finish("FAILED", f"no place for its work: {with_kind(error)}")
        raise
    return Living(
        resolved=resolved,
        identity=identity,
        run=run,
        recorder=TrackedRecorder(run=run, workspace=workspace, name=name),
        workspace=workspace,
        origin=keeping.provenance_of(resolved, process),
        started=datetime.now(UTC),
        clock=time.perf_counter(),
        claim=claim,
    )


def end(living: Living, error: BaseException) -> BaseException:
    """End a run stopped by an error or a signal, and return the error to raise, with the run's id.

    A run that had already finished stays as it is.
    """
    finished = living.run.status == FINISHED
    with SignalsHeld():
        if not finished:
            finished = end_badly(living, error)
        if finished:
            living.workspace.remove()
        else:
            living.workspace.release()
    raised = error
    if isinstance(error, Exception | SystemExit) and not isinstance(error, ParibusError):
        raised = ExperimentError(with_kind(error))
    with contextlib.suppress(AttributeError):
        raised.run_id = living.run.run_id  # type: ignore[attr-defined]
        raised.finished = finished  # type: ignore[attr-defined]
    return raised


def end_badly(living: Living, error: BaseException) -> bool:
    """Mark a run as failed or killed, and keep its partial result; return whether it was already finished.

    The status is set first, so that a later failure does not leave the run RUNNING. If even that fails, nothing more is
    written, because the state of the run is unknown.
    """
    interrupted = isinstance(error, KeyboardInterrupt)
    killed = interrupted or isinstance(error, Superseded)
    message = with_kind(error)
    if interrupted:
        message = f"interrupted ({error})" if str(error) else "interrupted"
    run = living.run
    kind = failures.INTERRUPTED if killed else failures.kind(error)
    try:  # do not wait again for a locked store, nor after the user has interrupted
        with hurried() if kind in (failures.INTERRUPTED, failures.STORE) else contextlib.nullcontext():
            run.finish("KILLED" if killed else "FAILED", message, kind)
    except Exception as problem:
        log.error(
            "%s: its end could not be recorded: %s; what it wrote is in %s, and the same command runs it again",
            living.recorder.name,
            "the store is locked" if is_locked(problem) else with_kind(problem),
            run.folder,
        )
    if run.status is None or run.status == FINISHED:
        return run.status == FINISHED
    with contextlib.suppress(Exception):
        if not killed:
            run.text(TRACEBACK_FILE, "".join(traceback.format_exception(error)))
        found = living.result or living.partial()
        keeping.keep_partial(living.complete(found, error=message), run)
    return False


def recorded(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as runs keep it: without the password in the address of their store."""
    tracking = tree.get("tracking") or {}
    address = tracking.get("uri")
    return {**tree, "tracking": {**tracking, "uri": without_password(address)}} if address else dict(tree)


def described(resolved: Resolved) -> dict[str, Any]:
    """Return the nodes that a run's params show besides its configuration: those of the trained model it takes."""
    architecture = resolved.source.tree.get("model") if resolved.source is not None else None
    return {"model": architecture} if architecture else {}


def spec_id(resolved: Resolved, identity: str) -> str:
    """Return a short id of the request, equal for equal requests."""
    return f"{resolved.request.experiment.type}_{identity[:8]}"
