"""The runs of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.errors import DataError

if TYPE_CHECKING:
    from paribus.tracking.interface import Store
    from paribus.tracking.kept import KeptRun


def steps_of(store: Store, run: KeptRun) -> list[KeptRun]:
    """Return the runs of a sequence's steps, including those reused from an earlier one."""
    if run.experiment_type != "sequence":
        return []
    try:
        steps = store.result(run.run_id).tables["steps"].frame
    except (DataError, KeyError):
        return store.children(run.run_id)
    return [store.get(run_id) for run_id in steps["run_id"].dropna()]
