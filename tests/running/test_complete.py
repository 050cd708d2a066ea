"""A finished run is whole or it is said what is missing, on this machine and on a server that only lists its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from paribus.errors import DataError
from paribus.running.run import run_job
from paribus.tracking.artifacts import local_path
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec


@pytest.mark.parametrize("far", [False, True], ids=["here", "server"])
def test_what_is_missing_or_changed_is_named(store, job, far, monkeypatch):
    result = run_job(job("Measure"))
    place = local_path(store.client.get_run(result.run_id).info.artifact_uri)
    if far:
        monkeypatch.setattr("paribus.tracking.store.local_path", lambda uri: None)
    assert store.complete(result.run_id).artifacts == result.artifacts
    name = next(name for name in result.artifacts if Path(name).parent.name == "tables" and name.endswith(".json"))
    whole = (place / name).read_bytes()
    (place / name).write_bytes(whole + b" ")
    with pytest.raises(DataError, match=f"{name} has {len(whole) + 1} bytes, not {len(whole)}"):
        store.complete(result.run_id)
    (place / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        store.complete(result.run_id)
    (place / name).write_bytes(whole)
    assert store.complete(result.run_id).success
    name = next(name for name in result.artifacts if "/" not in name)
    (place / name).write_bytes((place / name).read_bytes()[:-1] + b"#")
    again = open_store(TrackingSpec(experiment="toys"))
    again.download(result.run_id, name)  # of a server's files only those that were fetched can be compared
    with pytest.raises(DataError, match=f"{name} was changed"):
        again.complete(result.run_id)
