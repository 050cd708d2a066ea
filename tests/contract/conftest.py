"""Rules that results of every experiment are held against."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def rules():
    """Return the module :file:`intervals.py`."""
    spec = importlib.util.spec_from_file_location("contract_intervals", Path(__file__).with_name("intervals.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
