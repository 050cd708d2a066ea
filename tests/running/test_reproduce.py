"""Where a run's folder of own options is now: as given, in a work tree, where it was, or below the working folder."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from paribus.errors import ConfigError
from paribus.running.reproduce import _place_of


def test_a_moved_folder_of_options_is_found_or_it_is_said_what_to_do(tmp_path, monkeypatch):
    there = tmp_path / "new" / "conf"
    kept = SimpleNamespace(provenance={"working_folder": "/gone/old"}, run_id="0" * 32)
    there.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "new")
    assert _place_of("/gone/old/conf", kept, None, {}) == str(there)
    assert _place_of("/gone/old/conf", kept, "conf", {}) == str(there)
    assert _place_of(str(there), kept, None, {}) == str(there)
    assert _place_of("/code/conf", kept, None, {"/code": "/tree"}) == "/tree/conf"
    for lost in ("/gone/old/other", "/gone/older/conf", "/codes/conf"):
        with pytest.raises(ConfigError, match="reproduce 00000000 --config-dir WHERE_IT_IS"):
            _place_of(lost, kept, None, {"/code": "/tree"})
