"""Tables of every experiment type, bit for bit what they were: a change of a number is never an accident."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import json
import math
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("undrawn_figures")  # tables are compared
_SPEC = importlib.util.spec_from_file_location("golden_tables", Path(__file__).with_name("golden.py"))
golden = importlib.util.module_from_spec(_SPEC)
sys.modules["golden_tables"] = golden
_SPEC.loader.exec_module(golden)
SHARED = {name for name in golden.declared.cases() if name.endswith(".planted")} | {*golden.declared.ELSEWHERE}
"""Cases that are compared where they are run anyway: in ``tests/contract/test_experiments.py``."""
CASES = sorted({*golden.declared.cases()} - SHARED)


def test_every_type_that_measures_is_covered():
    from paribus.config import catalogue

    found = [option.load() for option in catalogue.options("experiment")]
    types = {cls.type for cls in found if cls.subject != "runs" and not cls.produces_model}
    others = {"sequence", "feature_report"}
    declared = golden.declared
    by_subject = (declared.BUILD_TYPES, declared.IMAGE_TYPES, declared.TOKEN_TYPES, declared.ANY_TYPES)
    assert types - others == {*itertools.chain(*by_subject), *declared.HEAD_TYPES, *declared.LATENT_TYPES, "probe"}


def test_says_which_mode_it_runs_in(record_property, capsys):
    mode = "bit for bit" if golden.same_environment() else f"within {golden.TOLERANCE:g}"
    record_property("golden", mode)
    with capsys.disabled():
        print(f"\ngolden tables: {mode} (kept on {json.loads(golden.ENVIRONMENT.read_text())['processor']})")


@pytest.mark.parametrize("name", CASES)
def test_tables_are_what_they_were(name):
    found = json.loads(json.dumps(golden.measure(name)))
    lines = list(golden.differences(golden.load(name), found, exact=golden.same_environment()))
    assert not lines, f"{len(lines)} differences:\n" + "\n".join(lines[:20])


def test_a_changed_number_is_found():
    kept = golden.load("family_1d_sweep.planted")
    changed = copy.deepcopy(kept)
    row = changed["tables"]["rung_deltas"]["rows"][3]
    number = next(key for key, value in row.items() if isinstance(value, float) and value)
    row[number] = math.nextafter(row[number], math.inf)
    assert len(list(golden.differences(kept, changed, exact=True))) == 1
    assert not list(golden.differences(kept, changed, exact=False))
    row[number] += 1e-5
    assert len(list(golden.differences(kept, changed, exact=False))) == 1
