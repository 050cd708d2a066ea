"""A small configuration of its own, so that these tests depend on no option of Paribus."""

from __future__ import annotations

from pathlib import Path

import pytest

from paribus.config import locate

TOY = Path(__file__).parent / "toy"


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """Let everything see the toy configuration, and work in an empty folder."""
    monkeypatch.syspath_prepend(str(TOY))
    monkeypatch.setattr(locate, "places", lambda: (TOY / "conf",))
    monkeypatch.chdir(tmp_path)
    return TOY / "conf"
