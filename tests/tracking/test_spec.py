"""Where runs are kept: none of it belongs to a run's identity, and what cannot be is refused."""

from __future__ import annotations

import pytest

from paribus.config.science import science
from paribus.errors import ConfigError
from paribus.tracking.spec import TrackingSpec


def test_where_a_run_is_kept_never_changes_what_it_is():
    elsewhere = TrackingSpec(
        kind="server", experiment="b", folder="/there", uri="http://host:5000", tags={"a": "b"}, heartbeat_seconds=1.0
    )
    assert science(elsewhere) == science(TrackingSpec()) == {"_kind_": "tracking"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"experiment": " "}, "experiment: must not be empty"),
        ({"kind": "server"}, "uri: a server needs its address"),
        ({"kind": "server", "uri": "mlruns"}, "uri: 'mlruns' is no server address"),
    ],
)
def test_a_store_that_cannot_be_is_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        TrackingSpec(**values).check()


def test_servers_and_folders_are_taken():
    TrackingSpec(kind="server", uri="https://host").check()
    TrackingSpec(folder="/x", uri="anything").check()
