"""The claim of a run: declared in its tags at the start, answered once its numbers exist."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from paribus.compare.collect import candidates
from paribus.compare.plugin import collect
from paribus.compare.restricted import Restricted
from paribus.compare.where import fits
from paribus.errors import ConfigError
from paribus.experiments.base import KEPT_RUNS
from paribus.experiments.setup_runs import FINISHED, CollectedRun
from paribus.results.claim import CLAIM, Claim, answer
from paribus.results.found import SUMMARY
from paribus.spec import fields_of
from paribus.stats.spec import StatsSpec
from paribus.tracking.claim_tags import ANSWER_TAG, BEFORE_TAG, CLAIM_TAG, COMPARED_TAG, DECLARED_TAG

if TYPE_CHECKING:
    from paribus.experiments.base import Experiment
    from paribus.results.schema import Result
    from paribus.running.request import Request
    from paribus.tracking.file_run import FileRun
    from paribus.tracking.interface import Store

SEQUENCE = "sequence"
log = logging.getLogger("paribus")


def claim_of(request: Request) -> Claim | None:
    """Return the claim of a request, None without one. In a sequence it belongs to the steps that declare the number.

    Raises:
        ConfigError: If its level differs from that of the intervals.
    """
    made = request.claim
    if made.endpoint is None or request.experiment.type == SEQUENCE:
        return None
    if request.step is not None and made.endpoint.partition("@")[0] not in _known(request.experiment):
        return None
    spec = request.nodes.get("stats")
    if isinstance(spec, StatsSpec) and abs(1 - made.alpha - spec.confidence) > 1e-9:
        raise ConfigError(
            f"claim.alpha={made.alpha:g}: the intervals of this run have confidence {spec.confidence:g}; "
            f"set stats.confidence={1 - made.alpha:g}"
        )
    return Claim(made.endpoint, made.direction, made.smallest, made.alpha)


def _known(experiment: Experiment) -> set[str]:
    """Return the endpoints that an experiment declares, or that a comparison compares."""
    compared = fields_of(experiment).get("endpoints") or ()
    return {each.name for each in experiment.declares} | {str(each) for each in compared}


def declared(request: Request, store: Store, identity: str) -> dict[str, str]:
    """Return the tags that declare a claim as a run begins: what, when, and whether before any look at these numbers.

    A claim counts as declared before only if there is no finished run of the same identity, which would have the same
    numbers. The claim of a comparison must also be among the params of all finished runs that it compares.
    """
    claim = claim_of(request)
    if claim is None:
        return {}
    compared = _compared(request, store) if request.experiment.subject == KEPT_RUNS else []
    without = sum(not _has(run, claim) for run in compared)
    return {
        CLAIM_TAG: claim.sentence,
        DECLARED_TAG: datetime.now(UTC).isoformat(timespec="seconds"),
        BEFORE_TAG: "false" if store.finished(identity) or without else "true",
        **({COMPARED_TAG: f"{without} of {len(compared)}"} if compared else {}),
    }


def _compared(request: Request, store: Store) -> list[CollectedRun]:
    """Return the finished runs that a comparison would use."""
    experiment = request.experiment
    if not isinstance(experiment, Restricted):
        return []
    known = candidates(collect(store, fields_of(experiment).get("runs") or ()), experiment.types())
    return [run for run in known if run.status == FINISHED and fits(run, experiment.where)]


def _has(run: CollectedRun, claim: Claim) -> bool:
    """Return whether a run began with the same claim among its params."""
    return all(str(run.params.get(f"claim.{name}")) == str(value) for name, value in vars(claim).items())


def answered(result: Result, request: Request, tags: dict[str, str], run: FileRun) -> Result:
    """Return a result with the answer to its claim, which its run keeps as a tag too.

    Args:
        result: The result.
        request: The request.
        tags: The tags from :func:`declared`.
        run: The run.
    """
    claim = claim_of(request)
    if claim is None or not tags:
        return result
    said = answer(claim, result, request.experiment.declares)
    run.tags({ANSWER_TAG: said.verdict})
    before = tags[BEFORE_TAG] == "true"
    when = "declared before" if before else _after(tags)
    line = f"Claim: {claim.sentence}. {said.verdict.capitalize()}: {said.why} ({when}, {tags[DECLARED_TAG]})."
    kept = {
        **vars(claim),
        "declared_at": tags[DECLARED_TAG],
        "declared_before": before,
        "verdict": said.verdict,
        "value": said.value,
        "low": said.low,
        "high": said.high,
    }
    known = result.aggregates.custom.get(SUMMARY, [])
    lines = [line, *([known] if isinstance(known, str) else known)]
    custom = {**result.aggregates.custom, CLAIM: kept, SUMMARY: lines}
    return replace(result, aggregates=replace(result.aggregates, custom=custom))


def _after(tags: dict[str, str]) -> str:
    """Return the words that say after what a claim was declared."""
    late = tags.get(COMPARED_TAG, "0").partition(" ")[0]
    if late == "0":
        return "declared after a finished run of the same identity"
    return f"declared after {tags[COMPARED_TAG]} runs that it compares were finished"


def say_of_reused(request: Request, found: Result) -> None:
    """Warn that a claim on already existing numbers, or their hypothesis, is not recorded."""
    claim = claim_of(request)
    unrecorded = [f"claim {claim.sentence!r}"] if claim is not None else []
    if request.parent_hypothesis:
        unrecorded.append(f"parent_hypothesis {request.parent_hypothesis!r}")
    for what in unrecorded:
        log.warning(
            "%s is not recorded: run %s of the same identity was finished before, and is taken as it is",
            what,
            (found.run_id or "")[:8],
        )
