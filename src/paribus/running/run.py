"""Running one job."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.running import inputs
from paribus.running.experiment import run_experiment
from paribus.running.life import reusable
from paribus.running.request import from_job
from paribus.running.resolve import resolve
from paribus.running.sequence import Sequence
from paribus.running.steps import check_steps, run_sequence
from paribus.tracking.opening import open_store
from paribus.tracking.spool import open_to_run

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.results.schema import Result
    from paribus.running.request import Request
    from paribus.tracking.interface import Store
    from paribus.tracking.spec import TrackingSpec

_reaped: set[str] = set()


def run_job(
    job: Job,
    *,
    sweep: str | None = None,
    output_dir: Path | None = None,
    inside: Path | None = None,
    waits: bool = True,
) -> Result:
    """Run one job and return its result.

    Args:
        job: A composed and checked job; :func:`paribus.running.validate.validate` looks its names up beforehand.
        sweep: Id of the sweep it belongs to; in a sweep, ``reuse=auto`` takes finished runs of the same identity.
        output_dir: Where its files go; by default ``multirun/single/<date>/<time>``.
        inside: The folder that the experiment works in, where its own code may write; by default the working folder.
        waits: Whether to wait while another process is at the same job.

    Raises:
        ExperimentError: If the experiment failed; the run is FAILED, and the error's ``run_id`` names it.
        Busy: If another process is executing the same job, and this one is not to wait.
        ParibusError: If it turned out only now that the request is wrong.
        KeyboardInterrupt: On a signal; the run is KILLED.
    """
    request = replace(from_job(job, sweep=sweep), inside=inside, waits=waits)
    store = open_to_run(request.tracking)
    key = _reap_once(store, request.tracking)
    folder = (Path(output_dir) if output_dir is not None else single_folder()).absolute()
    try:
        return run_request(request, store, folder)
    except BaseException:
        _reaped.discard(key)  # the process may have left a run that is found only by the next search
        raise


def run_request(request: Request, store: Store, folder: Path) -> Result:
    """Run a request, an experiment or a sequence of them, and return its result."""
    if isinstance(request.experiment, Sequence):
        return run_sequence(request, store, folder)
    return run_experiment(resolve(request, store), store, folder)


def take_job(job: Job, identity: str, *, sweep: str) -> Result | None:
    """Return the result of a finished run of a job if it can be reused, after checking everything it depends on.

    Args:
        job: A composed and checked job.
        identity: Identity of its run.
        sweep: Id of the sweep it belongs to.
    """
    request = from_job(job, sweep=sweep)
    if not request.reuses:
        return None
    store = open_store(request.tracking)
    if isinstance(request.experiment, Sequence):
        return reusable(store, identity, lambda result: check_steps(result, store))
    resolved = resolve(request, store)
    return reusable(store, identity, lambda result: inputs.check_run(result, store, resolved))


def single_folder(now: datetime | None = None) -> Path:
    """Return the output folder of a single run, unique to the microsecond.

    Example:
        >>> from datetime import datetime
        >>> single_folder(datetime(2026, 1, 2, 3, 4, 5)).parts[-2:]
        ('2026-01-02', '03-04-05-000000')
    """
    moment = now or datetime.now()
    return Path("multirun") / "single" / moment.strftime("%Y-%m-%d") / moment.strftime("%H-%M-%S-%f")


def _reap_once(store: Store, spec: TrackingSpec) -> str:
    """Close the runs that were left RUNNING, once per store unless a job fails; return the store's key."""
    key = f"{spec.kind}/{spec.uri}/{Path(spec.folder).absolute()}"
    if key not in _reaped:
        _reaped.add(key)
        store.reap()
    return key
