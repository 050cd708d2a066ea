"""Puts the stand-ins in place of ``paribus.running`` and a sweep's end in every process of a test, workers included."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from pathlib import Path

STAND_INS = {
    "paribus.running.run": "fake_run_job.py",
    "paribus.running.validate": "fake_validate.py",
    "paribus.sweep.end": "fake_sweep_end.py",
}


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name not in STAND_INS:
            return None
        return importlib.util.spec_from_file_location(name, Path(__file__).parent / STAND_INS[name])


sys.meta_path.insert(0, Finder())
