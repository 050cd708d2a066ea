"""Runs for the groups of a comparison, so that a tracking UI shows means with their interval ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from paribus.compare.derived import groups_of, made_from
from paribus.errors import with_kind
from paribus.results.evidence import Evidence
from paribus.tracking.kept import ASKED_TAG

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.tracking.interface import Store

log = logging.getLogger("paribus")
MOST_LOOKED_AT = 12


def keep_groups(result: Result, store: Store) -> None:
    """Keep a run for each group of a finished comparison, once; a failure gives a warning and affects no number.

    Args:
        result: The result of an experiment.
        store: Where its run is kept.
    """
    if result.evidence is not Evidence.COMPARISON or result.run_id is None or not result.success:
        return
    try:
        kept = store.get(result.run_id)
        replicates = [store.get(run_id) for run_id in made_from(result)[:MOST_LOOKED_AT]]
        same = kept.tags.get(ASKED_TAG) or kept.identity or kept.run_id
        groups = groups_of(result, kept, same, replicates)
        if groups is not None:
            store.keep_groups(groups)
    except Exception as error:  # the comparison is finished and whole
        log.warning("%s: no runs of its groups: %s", result.experiment_type, with_kind(error))
