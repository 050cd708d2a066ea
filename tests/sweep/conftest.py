"""The toys of ``tests/running``, for sweeps of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("toys_of_running", Path(__file__).parents[1] / "running" / "conftest.py")
_toys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_toys)
fresh_process, quick_pictures, job, seq, node, store = (
    getattr(_toys, name) for name in ("fresh_process", "quick_pictures", "job", "seq", "node", "store")
)
