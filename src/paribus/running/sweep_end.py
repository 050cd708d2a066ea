"""What stands at the end of a sweep: no run left open, the study's comparison, and a summary."""

from __future__ import annotations

import logging
from collections.abc import Sequence as Many
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.errors import ExperimentError, ParibusError
from paribus.running import summary
from paribus.running.life import run_experiment
from paribus.running.request import Request, from_job
from paribus.running.resolve import Resolved
from paribus.running.run import single_folder
from paribus.running.sequence import Sequence
from paribus.sweep.outcome import Outcome, counts
from paribus.tracking.store import open_store

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

    The comparison is made also when some jobs failed: it says which runs it is made from.

    Args:
        jobs: All jobs of the sweep.
        sweep: Its id.
        output_dir: The sweep's folder; the comparison's files go to ``comparison`` under it.
        interrupted: Whether the sweep was stopped; then nothing is compared.
        ended: What became of each job.

    Returns:
        The comparisons' results.

    Raises:
        ExperimentError: If a comparison failed.
    """
    folder = Path(output_dir) if output_dir is not None else single_folder()
    results: list[Result] = []
    problems: list[str] = []
    if not interrupted:
        print(f"\n{counts(ended, expected=len(jobs))}")
    for request in _by_store([from_job(job, sweep=sweep) for job in jobs]):
        store = open_store(request.tracking)
        if interrupted:
            store.mark_killed(sweep, "the sweep was interrupted")
            continue
        store.reap()
        comparison = getattr(request.experiment, COMPARISON, None)
        if comparison is not None:
            try:
                result = compare(request, store, folder / COMPARISON)
            except ParibusError as error:
                problems.append(f"{comparison.type}: {error}")
            else:
                results.append(result)
                print("\n".join([f"{comparison.type}:", *(f"  {line}" for line in summary.lines(result))]))
                drawn = [folder / COMPARISON / "figures" / f"{figure.name}.png" for figure in result.figures]
                print("".join(f"  figure: {path}\n" for path in drawn if path.exists()), end="")
        print(summary.ui_line(request.tracking))
    if problems:
        raise ExperimentError("; ".join(problems))
    return results


def compare(request: Request, store: Store, folder: Path) -> Result:
    """Make the comparison that a study declares, as a run of its own."""
    experiment = request.experiment
    assert isinstance(experiment, Sequence) and experiment.comparison is not None
    node = request.tree.get("experiment", {}).get(COMPARISON) or {}
    asked = request.for_step(COMPARISON, experiment.comparison, node)
    return run_experiment(Resolved(asked.with_nodes(training=None), None), store, folder)


def _by_store(requests: list[Request]) -> list[Request]:
    """Return one request for each MLflow experiment that the sweep wrote to, one with a comparison if there is one."""
    chosen: dict[tuple[str, str | None, str, str], Request] = {}
    for request in requests:
        spec = request.tracking
        key = (spec.kind, spec.uri, spec.folder, spec.experiment)
        declares = getattr(request.experiment, COMPARISON, None) is not None
        if key not in chosen or (declares and getattr(chosen[key].experiment, COMPARISON, None) is None):
            chosen[key] = request
    return list(chosen.values())
