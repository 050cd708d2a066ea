"""A server that goes away costs no run, and everything arrives once, wherever its delivery is cut short."""

from __future__ import annotations

import shutil

import pytest

from benchmarks import away
from paribus.tracking import local
from paribus.tracking.relocate import _rewrite
from paribus.tracking.spec import TrackingSpec


@pytest.fixture
def spec(tmp_path, workdir, migrated_database, monkeypatch):
    """A store that is used as a server's is, through its client alone; a fresh spool needs no migration."""
    folder = tmp_path / "server"
    folder.mkdir()

    def migrated(folder):
        shutil.copy2(migrated_database, folder / local.DATABASE)
        _rewrite(folder / local.DATABASE, migrated_database.parent.resolve(), folder.resolve())

    migrated(folder)
    monkeypatch.setattr(local, "_create", migrated)
    return TrackingSpec(kind="server", uri=local.database_uri(folder), experiment="team", heartbeat_seconds=3600.0)


def test_wherever_the_line_is_cut_everything_arrives_once(spec, workdir):
    """At some calls of the work and of the delivery; at all of them: ``python -m benchmarks.away``."""
    with away.line_to(spec) as line:
        bad, tried = away.everywhere(spec, line, workdir, every=17)
    assert bad == 0 and tried >= 6
