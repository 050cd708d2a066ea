"""Selection of the runs that a comparison is made from, with the findings about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from paribus.compare import honesty
from paribus.compare.collect import candidates, select, with_one_type
from paribus.compare.honesty import Finding, Grouping, Placed
from paribus.compare.restricted import Restricted
from paribus.compare.where import fits
from paribus.experiments.setup_runs import CollectedRun
from paribus.results.words import counted


@dataclass(frozen=True)
class Admitted:
    """The runs that are compared.

    Attributes:
        runs: Finished, one per identity, of one version per type; includes trainings needed only to choose epochs.
        placed: Those that have the compared numbers, with group and replicate.
        findings: Findings about them.
        left_out: What was left out, in sentences.
        apart: Params in which runs of one group and replicate differ.
    """

    runs: tuple[CollectedRun, ...]
    placed: tuple[Placed, ...]
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]
    apart: tuple[str, ...]


def looked_through(
    experiment: Restricted,
    runs: Sequence[CollectedRun],
    compared: Collection[str],
    grouping: Grouping,
    numbers: Collection[str] = (),
) -> Admitted:
    """Return the runs that may be compared, and the findings about them.

    Args:
        experiment: The comparison, which says of which types runs are, and its restriction on them.
        runs: All runs, of every status.
        compared: Types of the runs that hold what is compared.
        grouping: How they are grouped.
        numbers: Names of what is compared.

    Raises:
        ConfigError: If the restriction names something that no run has, or excludes all runs.
    """
    experiment.check_runs(runs)
    runs = sorted(runs, key=lambda run: (run.started_at or "", run.run_id))  # whatever order they come in
    runs = with_one_type(runs, (*grouping.group_by, *grouping.unit))
    types = experiment.types()
    selection = select(runs, types, experiment.where)
    asked = [each for each in candidates(runs, types) if fits(each, experiment.where)]
    mine, chosen = ([each for each in some if each.experiment_type in compared] for some in (asked, selection.runs))
    placed, absent = honesty.place(chosen, grouping)
    findings = honesty.look_through(mine, placed, grouping, numbers)
    placed, apart = honesty.told_apart(placed, grouping)
    kind = f" of {next(iter(compared))}" if len(compared) == 1 else ""
    left_out = [f"{counted(n, 'run')}{kind} {why} left out." for why, n in sorted(absent.items())]
    return Admitted(selection.runs, tuple(placed), tuple(findings), (*selection.left_out, *left_out), tuple(apart))
