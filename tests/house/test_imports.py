"""Imports stand at the top of a file, and the files that a configuration is checked with stay light all the same."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

MOST = {
    "cli": 4,  # what runs need, after a wrong request has been answered; Hydra's own parser, not for help and lists
    "seeds": 1,  # torch, where a generator of it is asked for: every spec may draw
    "sweep": 2,  # a worker, in the process that was forked for it; Ray, where it is installed
    "tracking": 5,  # parts of MLflow that are modules; MLflow's server, which imports us
}
"""Imports in functions by room, and why. A number may only go down; a room that is not here has none."""
HEAVY = ("torch", "mlflow", "sklearn", "statsmodels", "scipy", "pandas", "matplotlib", "hydra", "omegaconf")


def test_no_more_imports_in_functions_than_there_were(source):
    found = {name: source.in_functions(name) for name in source.modules()}
    counts = Counter()
    for name, lines in found.items():
        counts[source.room(name)] += len(lines)
    more = {
        room: [line for name, lines in found.items() if source.room(name) == room for line in lines]
        for room, count in counts.items()
        if count > MOST.get(room, 0)
    }
    assert not more, "imports in functions: put them at the top, or the work into a module of its own"


CHECKS = {
    "the list of all types and options": """
from paribus.config import catalogue
for group in catalogue.groups():
    for option in catalogue.options(group):
        if option.target and not option.target.startswith("hydra") and group != "hydra":
            option.load()
""",
    "the command line": "import paribus.cli.main",
}


@pytest.mark.parametrize("what", CHECKS)
def test_what_every_request_imports_is_light(what):
    code = f"{CHECKS[what]}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.split() == [], f"{what} loads {found.stdout.strip()}"
