"""What stands at the end of a sweep."""

from __future__ import annotations

import pytest

from paribus.errors import ExperimentError
from paribus.sweep import end


def test_a_server_that_is_away_at_the_end_makes_a_sweep_fail_only_where_a_comparison_is_missing(
    job, seq, node, workdir, monkeypatch, caplog
):
    monkeypatch.setattr(end, "answers", lambda uri: False)
    away = {"tracking": {"kind": "server", "uri": "http://127.0.0.1:9"}}
    assert end.finish([job("Measure", **away)], "s") == []
    assert "paribus sync delivers the runs" in caplog.text and "comparison" not in caplog.text
    compared = job(seq(comparison=node("Compare"), measure="Measure"), **away)
    with pytest.raises(ExperimentError, match="then the same command makes the comparison"):
        end.finish([compared], "s")
    assert end.finish([compared], "s", interrupted=True) == []
