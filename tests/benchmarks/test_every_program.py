"""Programs that few run are still programs of today's code."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "benchmarks").rglob("[!_]*.py")
)


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_finds_what_it_imports(name):
    importlib.import_module(name)
