"""What the sentences of every type say of the kept tables, counted anew from their rows."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np

from paribus.config import catalogue
from paribus.experiments.told import SHOWN, Effects, sentences
from paribus.results.io import from_tree
from paribus.stats.intervals import EQUAL_UNITS

_SPEC = importlib.util.spec_from_file_location("golden_of_sentences", Path(__file__).with_name("golden.py"))
golden = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(golden)
TYPES = {cls.type: cls for cls in (option.load() for option in catalogue.options("experiment"))}
NAMES = sorted(path.name.removesuffix(".json.xz") for path in golden.STORED.glob("*.json.xz"))
LEVEL = 0.05


def kept(name):
    head = {"format": 1, "spec_id": "s", "experiment_type": "t", "evidence": "observational", "model": None}
    rest = {"subject": "", "figures": [], "config": {}, "provenance": {}, "success": True, "error_message": None}
    times = {"started_at": None, "duration_seconds": 0.0, "run_id": None}
    return from_tree({**head, **rest, **times, **golden.load(name)})


def wanted(told, frame, custom):
    if "epoch" in frame:
        frame = frame[frame["epoch"] == frame["epoch"].max()]
    for column, value in told.rows.items():
        frame = frame[frame[column].astype(str) == value.format(**custom)]
    return frame


def counted(told, frame):
    """Return the tested rows, and which are established, and which exactly at the reference."""
    low, high = told.ends.format("low"), told.ends.format("high")
    frame = frame[np.isfinite(frame[told.p].astype(float)) & np.isfinite(frame[told.value].astype(float))]
    value, reference = frame[told.value].astype(float), told.reference
    beyond = (frame[low] > reference) | (frame[high] < reference)
    equal = (frame[told.ends.replace("adj_{}", "method")] == EQUAL_UNITS) & (value != reference)
    exact = (frame[low] == reference) & (frame[high] == reference) & (value == reference)
    return frame, (frame[told.p] <= LEVEL) & (beyond | equal), exact


def test_sentences_count_and_name_the_rows_of_their_tables():
    checked = set()
    for name in NAMES:
        kind = TYPES.get(name.partition(".")[0])
        effects = [told for told in (kind.tells if kind else ()) if isinstance(told, Effects)]
        result = kept(name) if effects else None
        for told in effects:
            if told.table not in result.tables:
                continue
            table = wanted(told, result.tables[told.table].frame, result.aggregates.custom)
            lines = " ".join(told.told(table, result.aggregates, LEVEL))
            frame, found, exact = counted(told, table)
            checked.add((name, check(told, lines, frame, found, exact)))
    assert {what for _, what in checked} == {"untested", "one", "many"}
    assert len(checked) > 40


def check(told, lines, frame, found, exact):
    if not len(frame):
        assert "no row could be tested" in lines
        return "untested"
    if len(frame) == 1:
        assert (": established" in lines) == bool(found.any())
        return "one"
    n = int(found.sum())
    assert f"established in {n or 'none'} of {len(frame)} rows tested" in lines, lines
    open_ = int((~found & ~exact).sum())
    if said := re.search(r"(?:The other|All|Of the other \d+,|Of all \d+,) (\w+) (?:is|are) undecided", lines):
        assert {"one": 1}.get(said[1]) or int(said[1]) == open_, lines
    assert (open_ > 0) == ("undecided" in lines)
    assert (f" and {n - SHOWN} more" in lines) == (n > SHOWN), lines
    if n:
        value = frame[told.value][found].astype(float)
        far = np.abs(np.log(value)) if told.reference == 1 else np.abs(value - told.reference)
        first = float(value.loc[far.idxmax()])
        sign = "+" if told.reference == 0 and first > 0 else ""
        assert f" {sign}{first:.3g}".replace("-", "−") in lines.partition(";")[0]
        at = frame[told.percentile][found].dropna() if told.null else ()
        if len(at):
            assert f"; {int(((at < 2.5) | (at > 97.5)).sum())} of {len(at)} of these outside the middle 95 %" in lines
    return "many"


OF_TOKENS = sorted({*golden.declared.TOKEN_TYPES, *golden.declared.HEAD_TYPES, *golden.declared.LATENT_TYPES})
NUMBER = re.compile(r"(?<![\w.])([+−]?)(\d+(?:\.\d+)?(?:e[+-]\d+)?)( %)?")


def known_numbers(result):
    """Return what a sentence may say: numbers of the tables, how many rows they have, and how many of each kind."""
    numbers = []
    for table in result.tables.values():
        frame = table.frame
        for column in frame.select_dtypes(["number", "bool"]):
            numbers += frame[column].dropna().astype(float).tolist()
        counts = [frame] if "epoch" not in frame else [frame, frame[frame["epoch"] == frame["epoch"].max()]]
        for rows in counts:
            groups = [rows[column].value_counts().tolist() for column in rows if rows[column].nunique() <= 30]
            numbers += [len(rows), *(float(count) for found in groups for count in found)]
    return np.array(numbers)


def said(name, result):
    """Return the numbers of a result's sentences, without those in names of rows and in words like 95 %."""
    tables = {name: table.frame for name, table in result.tables.items()}
    texts = [column for frame in tables.values() for _, column in frame.items() if column.dtype.kind not in "biuf"]
    cells = {cell for column in texts for text in column.dropna().astype(str) for cell in (text, *text.split())}
    names = sorted((cell for cell in cells if re.search(r"[a-zA-Z_].*\d", cell)), key=len, reverse=True)
    for line in sentences(TYPES[name.partition(".")[0]].tells, tables, result.aggregates, LEVEL):
        for one in (*names, "95 %"):
            line = line.replace(one, "")
        for sign, digits, percent in NUMBER.findall(line):
            yield line, sign, digits, bool(percent)


def agrees(numbers, sign, digits, percent):
    """Return whether a number of the tables, written to as many digits, is what a sentence says."""
    mantissa, _, power = digits.partition("e")
    step = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    value = float(digits) * (-1 if sign == "−" else 1)
    found = numbers * (100 if percent else 1)
    return bool((np.abs(found - value) <= step / 2 * 1.001 + 1e-12).any())


def test_every_number_of_a_sentence_about_tokens_is_in_a_table():
    n = 0
    for name in NAMES:
        if name.partition(".")[0] not in OF_TOKENS:
            continue
        result = kept(name)
        numbers = known_numbers(result)
        if name.startswith("scan_features"):  # its table of effects holds the largest of a family that it counts
            custom, n_rows = result.aggregates.custom, len(result.tables["effects"].frame)
            if custom.get("population") != "complete":  # else nothing is tested
                assert custom["n_effects_tested"] >= n_rows
                numbers = np.append(numbers, custom["n_effects_tested"])
        if name.startswith("match_features"):  # as many vectors as its frequencies are of
            numbers = np.append(numbers, result.aggregates.custom["n_vectors"])
        for line, *number in said(name, result):
            n += 1
            assert agrees(numbers, *number), (name, number, line)
    assert n > 60
