"""The end of a sweep: closes open runs, makes the study's comparison, prints a summary."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence as Many
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.errors import ExperimentError, ParibusError
from paribus.running import summary
from paribus.running.experiment import run_experiment
from paribus.running.on_model import without_training
from paribus.running.request import Request, from_job
from paribus.running.resolved import Resolved
from paribus.running.run import single_folder
from paribus.running.sequence import Sequence
from paribus.running.steps import uncompared
from paribus.sweep.outcome import Outcome, counts
from paribus.tracking.delivery import arrived
from paribus.tracking.opening import open_store
from paribus.tracking.patience import hurried
from paribus.tracking.spec import without_password
from paribus.tracking.spool import ROOT, answers

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.results.schema import Result
    from paribus.tracking.interface import Store

log = logging.getLogger("paribus")
COMPARISON = "comparison"


def finish(
    jobs: Many[Job],
    sweep: str,
    *,
    output_dir: Path | None = None,
    interrupted: bool = False,
    ended: Many[Outcome] = (),
) -> list[Result]:
    """Close runs that were left open, make the comparison that the study declares, and print what was found.

    The comparison is made even if some jobs failed; it lists the runs it is made from.

    Args:
        jobs: All jobs of the sweep.
        sweep: Its id.
        output_dir: The sweep's folder; the comparison's files go to ``comparison`` under it.
        interrupted: Whether the sweep was stopped; then nothing is compared.
        ended: How each job ended.

    Returns:
        The comparisons' results.

    Raises:
        ExperimentError: If a comparison failed, or cannot be made because the server is unreachable.
    """
    folder = Path(output_dir) if output_dir is not None else single_folder()
    results: list[Result] = []
    problems: list[str] = []
    if not interrupted:
        print(f"\n{counts(ended, expected=len(jobs))}")
    for request in _by_store([from_job(job, sweep=sweep) for job in jobs]):
        if (away := _away(request)) is not None:
            if _comparison(request) is not None and not interrupted:
                problems.append(away)  # it is missing
            else:
                log.warning("%s", away)
            continue
        if interrupted:
            with hurried():
                open_store(request.tracking).mark_killed(sweep, "the sweep was interrupted")
            continue
        store = open_store(request.tracking)
        store.reap()
        comparison = _comparison(request)
        nothing = uncompared(request)
        if nothing is not None:
            log.warning("the comparison is left out: %s", nothing)
        elif comparison is not None:
            try:
                result = compare(request, store, folder / COMPARISON, job_runs(store, sweep, ended))
            except ParibusError as error:
                problems.append(f"{comparison.type}: {error}")
            else:
                results.append(result)
                print(summary.conclusions(result, folder / COMPARISON))
        print(summary.ui_line(request.tracking))
    if problems:
        raise ExperimentError("; ".join(problems))
    return results


def _away(request: Request) -> str | None:
    """Deliver runs that were spooled to disk; return a message if a server is still unreachable.

    A study that declares no comparison then needs nothing but the delivery.
    """
    spec = request.tracking
    if spec.kind != "server":
        return None
    uri = without_password(str(spec.uri))
    if not answers(str(spec.uri)):
        then = ", then the same command makes the comparison" if _comparison(request) is not None else ""
        return f"{uri} does not answer; once it does, paribus sync delivers the runs that wait in {ROOT}{then}"
    if (said := arrived(spec)) is not None:
        print(said)
    return None


def compare(request: Request, store: Store, folder: Path, runs: tuple[str, ...]) -> Result:
    """Make the comparison that a study declares, as a run of its own.

    Args:
        request: A job of the study.
        store: Where its runs are kept.
        folder: Where the comparison's files go.
        runs: Ids of the runs it is made from.

    Raises:
        ExperimentError: If there is none.
    """
    if not runs:
        raise ExperimentError("no job of this sweep left a run to compare")
    declared = request.experiment
    assert isinstance(declared, Sequence) and declared.comparison is not None
    experiment, node = declared.comparison, request.tree.get("experiment", {}).get(COMPARISON) or {}
    if "runs" in {field.name for field in dataclasses.fields(experiment)}:
        experiment, node = dataclasses.replace(experiment, runs=list(runs)), {**node, "runs": list(runs)}
    asked = dataclasses.replace(request.for_step(COMPARISON, experiment, node).with_options_of(COMPARISON), runs=runs)
    return run_experiment(Resolved(without_training(asked), None), store, folder)


def job_runs(store: Store, sweep: str, ended: Many[Outcome]) -> tuple[str, ...]:
    """Return the ids of the runs of the jobs of a sweep: started in it, or reused from earlier."""
    kept = {run.run_id: run for run in reversed(store.runs())}
    own = [run.run_id for run in kept.values() if run.tags.get("sweep") == sweep and run.parent is None]
    taken = [outcome.run_id for outcome in ended if outcome.run_id in kept]
    ids = dict.fromkeys(str(run_id) for run_id in (*taken, *own))
    return tuple(run_id for run_id in ids if kept[run_id].tags.get("step") != COMPARISON)


def _by_store(requests: list[Request]) -> list[Request]:
    """Return one request for each MLflow experiment that the sweep wrote to, one with a comparison if there is one."""
    chosen: dict[tuple[str, str | None, str, str], Request] = {}
    for request in requests:
        spec = request.tracking
        key = (spec.kind, spec.uri, spec.folder, spec.experiment)
        declares = _comparison(request) is not None
        if key not in chosen or (declares and _comparison(chosen[key]) is None):
            chosen[key] = request
    return list(chosen.values())


def _comparison(request: Request) -> Any:
    """Return the comparison that a study declares, None without."""
    return request.experiment.comparison if isinstance(request.experiment, Sequence) else None
