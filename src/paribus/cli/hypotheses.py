"""The ledger of a hypothesis: what its runs have shown, and what is missing."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from paribus.cli.columns import aligned
from paribus.config import catalogue
from paribus.errors import ConfigError, DataError
from paribus.experiments.base import Experiment
from paribus.experiments.told import MIDDLE, Effects
from paribus.results.hypothesis import COMPLETE, Bearing, missing, standing
from paribus.tracking.claim_tags import ANSWER_TAG, BEFORE_TAG, CLAIM_TAG, HYPOTHESIS_TAG

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun

_NAME = re.compile(r"[^'\"`\\\n]+")
_HEADER = ("run", "evidence", "bears on", "established", "beyond null", "claim", "declared", "answer", "name")


def ledger(store: Store, hypothesis: str, *, everywhere: bool) -> str:
    """Return the ledger of a hypothesis as text.

    Args:
        store: Where its runs are.
        hypothesis: Its name, as ``parent_hypothesis`` of the runs says.
        everywhere: Whether to search all studies of the store.

    Raises:
        ConfigError: If the name is invalid, or no finished run names it.
    """
    if not _NAME.fullmatch(hypothesis):
        raise ConfigError(f"runs: --hypothesis {hypothesis!r}: a name without quotes and backslashes is wanted")
    where = f"tags.{HYPOTHESIS_TAG} = '{hypothesis}' and attributes.status = 'FINISHED'"
    found = store.runs(where=where, everywhere=everywhere)
    if not found:
        raise ConfigError(
            f"runs: no finished run bears on {hypothesis!r}; say parent_hypothesis={hypothesis} when you run one"
        )
    types = {cls.type: cls for cls in (option.load() for option in catalogue.options("experiment"))}
    bearings = [bearing(store, run, types.get(run.experiment_type or "")) for run in reversed(found)]
    shown = [f"  {aspect}: {state}" for aspect, state in standing(bearings).items()]
    lacking = [f"  {line}" for line in missing(bearings)] or ["  nothing"]
    table = aligned([_row(one) for one in bearings], header=_HEADER)
    return "\n".join([f"hypothesis {hypothesis}, {len(bearings)} runs", table, "shown", *shown, "missing", *lacking])


def bearing(store: Store, run: KeptRun, kind: type[Experiment] | None) -> Bearing:
    """Return what a run has shown.

    Args:
        store: Where it is.
        run: The run.
        kind: Its experiment class; None where that is not installed.
    """
    established, beyond, complete = False, None, False
    if kind is not None:
        try:
            result = store.result(run.run_id)
            established, beyond = shown(result, kind)
            complete = result.aggregates.custom.get("population") == COMPLETE
        except DataError:
            kind = None
    return Bearing(
        run_id=run.run_id,
        name=run.name,
        evidence=run.tags.get("evidence", ""),
        bears_on=kind.bears_on if kind is not None else (),
        established=established,
        beyond_null=beyond,
        complete=complete,
        claim=run.tags.get(CLAIM_TAG, ""),
        verdict=run.tags.get(ANSWER_TAG, ""),
        before=run.tags.get(BEFORE_TAG) == "true",
        replicate=run.tags.get("model_seed", run.tags.get("model_run", "")),
    )


def shown(result: Result, kind: type[Experiment]) -> tuple[bool, bool | None]:
    """Return whether something is established in a result, and whether an established effect lies outside its null.

    Args:
        result: The result.
        kind: The experiment class, whose declared sentences determine the reported rows.
    """
    if "passed" in result.aggregates.custom:
        return bool(result.aggregates.custom["passed"]), None
    level = 1 - float(((result.config.get("stats") or {}).get("confidence")) or 0.95)
    established, beyond = False, None
    for told in kind.tells:
        if not isinstance(told, Effects) or told.table not in result.tables:
            continue
        for row in told.established_rows(result.tables[told.table].frame, result.aggregates, level):
            established = True
            if told.null and math.isfinite(row.percentile):
                beyond = bool(beyond) or not MIDDLE[0] <= row.percentile <= MIDDLE[1]
    return established, beyond


def _row(one: Bearing) -> tuple[str, ...]:
    beyond = "" if one.beyond_null is None else "yes" if one.beyond_null else "no"
    declared = ("before" if one.before else "after") if one.claim else ""
    answer = COMPLETE if one.complete else "yes" if one.established else "no"
    established = answer if one.bears_on else ""
    return (
        one.run_id[:8],
        one.evidence,
        ", ".join(one.bears_on),
        established,
        beyond,
        one.claim,
        declared,
        one.verdict,
        one.name,
    )
