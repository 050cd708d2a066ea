"""Records of sweeps in a store: one run each, in an MLflow experiment of their own, with one file.

It is written once, at the start, and never changed: the states of its jobs are derived from their own runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paribus.errors import DataError
from paribus.tracking.opening import open_store
from paribus.tracking.states import RunState, run_states
from paribus.tracking.store import SWEEPS, MlflowStore

if TYPE_CHECKING:
    from paribus.tracking.spec import TrackingSpec

FILE = "sweep.json"
SWEEP_TAG = "sweep"


@dataclass(frozen=True)
class KeptSweep:
    """A sweep recorded in a store.

    Attributes:
        id: Its id.
        run: The run that holds its record.
    """

    id: str
    run: RunState


def keep_sweep(spec: TrackingSpec, sweep: str, text: str, tags: Mapping[str, str]) -> str | None:
    """Keep the record of a sweep, and return the id of the run that holds it.

    Args:
        spec: Which store; None is kept with ``tracking=off``.
        sweep: Its id.
        text: The content of its file.
        tags: Further tags.
    """
    store = open_store(replace(spec, experiment=SWEEPS))
    if not isinstance(store, MlflowStore):
        return None
    return store.keep_text(f"sweep {sweep}", {**tags, SWEEP_TAG: sweep}, FILE, text)


def kept_sweeps(spec: TrackingSpec) -> list[KeptSweep]:
    """Return the sweeps recorded in a store, the latest first."""
    found = run_states(replace(spec, experiment=SWEEPS))
    return [KeptSweep(run.tags[SWEEP_TAG], run) for run in found if SWEEP_TAG in run.tags]


def read_sweep(spec: TrackingSpec, kept: KeptSweep) -> str:
    """Return the content of a sweep's file.

    Raises:
        DataError: If it is missing.
    """
    folder = kept.run.artifacts
    try:
        if folder is not None:
            return (folder / FILE).read_text(encoding="utf-8")
        store = open_store(replace(spec, experiment=SWEEPS), writing=False)
        return store.download(kept.run.run_id, FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"sweep {kept.id}: its {FILE} cannot be read ({error.strerror or error})") from None
