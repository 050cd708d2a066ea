"""Running one job."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.running.life import run_experiment
from paribus.running.request import from_job
from paribus.running.resolve import resolve
from paribus.running.sequence import Sequence, run_sequence
from paribus.tracking.store import open_store

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.results.schema import Result
    from paribus.tracking.interface import Store
    from paribus.tracking.spec import TrackingSpec

_reaped: set[str] = set()


def run_job(job: Job, *, sweep: str | None = None, output_dir: Path | None = None) -> Result:
    """Run one job and return its result.

    Args:
        job: A composed and checked job; :func:`paribus.running.validate.validate` looks its names up beforehand.
        sweep: Id of the sweep it belongs to; in a sweep, ``reuse=auto`` takes finished runs of the same identity.
        output_dir: Where its files go; by default ``multirun/single/<date>/<time>``.

    Raises:
        ExperimentError: If the experiment failed; the run is FAILED, and the error's ``run_id`` names it.
        ParibusError: If it turned out only now that the request is wrong.
        KeyboardInterrupt: If a signal came; the run is KILLED.
    """
    request = from_job(job, sweep=sweep)
    store = open_store(request.tracking)
    _reap_once(store, request.tracking)
    folder = Path(output_dir) if output_dir is not None else single_folder()
    if isinstance(request.experiment, Sequence):
        return run_sequence(request, store, folder)
    return run_experiment(resolve(request, store), store, folder)


def single_folder(now: datetime | None = None) -> Path:
    """Return the output folder of a single run, unique to the microsecond."""
    moment = now or datetime.now()
    return Path("multirun") / "single" / moment.strftime("%Y-%m-%d") / moment.strftime("%H-%M-%S-%f")


def _reap_once(store: Store, spec: TrackingSpec) -> None:
    """Close the runs that dead processes left RUNNING, once per store in the life of this process."""
    key = f"{spec.kind}/{spec.uri}/{Path(spec.folder).absolute()}"
    if key not in _reaped:
        _reaped.add(key)
        store.reap()
