"""A result survives JSON and the folder of its tables, whatever it holds."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paribus.errors import DataError
from paribus.results import io
from paribus.results.evidence import Evidence
from paribus.results.frames import from_records, read_parquet, to_records, write_parquet
from paribus.results.schema import Aggregates, Curve, Diagnostics, EngineReport, Figure, Result, Table
from paribus.results.values import decode, encode, plain

EXAMPLES = 60
FAST = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), FLOATS, TEXT)
KEYS = st.one_of(TEXT, st.integers(-5, 5), st.just("$float"), st.just("$items"))
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def same(a, b):
    """Equal in value and in type; NaN equals NaN, -0.0 differs from 0.0, 1 differs from True and 1.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b


def make(**changes):
    base = Result(
        spec_id="dose_f12",
        experiment_type="family_1d_sweep",
        evidence=Evidence.INTERVENTIONAL,
        feature="latent 12",
        model="planted",
        subject="builds",
        aggregates=Aggregates(),
        tables={},
        diagnostics=Diagnostics(),
    )
    return replace(base, **changes)


def table(frame, name="effects", **kwargs):
    return Table(
        name=name, description="One row per level — größer.", evidence=Evidence.OBSERVATIONAL, frame=frame, **kwargs
    )


def assert_same_frame(a, b):
    """Cells of mixed columns are compared by our own rule: pandas finds a NaN inside a list unequal to itself."""
    mixed = [name for name in a.columns if a[name].dtype == object]
    pd.testing.assert_frame_equal(a.drop(columns=mixed), b.drop(columns=mixed), check_exact=True)
    assert list(a.columns) == list(b.columns) and len(a) == len(b)
    for name in mixed:
        assert b[name].dtype == object and same(a[name].tolist(), b[name].tolist())


def assert_same_result(a, b):
    assert list(a.tables) == list(b.tables)
    for name in a.tables:
        assert_same_frame(a.tables[name].frame, b.tables[name].frame)
        assert replace(a.tables[name], frame=None) == replace(b.tables[name], frame=None)
    assert same(plain(replace(a, tables={})), plain(replace(b, tables={})))
    assert isinstance(b.evidence, Evidence)


@FAST
@given(PLAIN)
def test_plain_values_survive_strict_json(value):
    text = json.dumps(encode(value), allow_nan=False)
    assert same(decode(json.loads(text)), value)


def test_numpy_values_and_tuples_become_plain():
    value = {"a": np.float32(0.5), "b": np.arange(3), "c": (1, np.bool_(True)), "d": {Evidence.WEIGHTS, "x"}}
    assert same(plain(value), {"a": 0.5, "b": [0, 1, 2], "c": [1, True], "d": ["weights", "x"]})
    with pytest.raises(TypeError, match="object"):
        plain({"a": object()})


def column(n):
    def of(values, dtype):
        return st.lists(values, min_size=n, max_size=n).map(lambda cells: pd.Series(cells, dtype=dtype))

    category = st.tuples(
        st.lists(st.one_of(st.none(), st.sampled_from(["b", "a", "é"])), min_size=n, max_size=n), st.booleans()
    ).map(lambda p: pd.Series(pd.Categorical(p[0], categories=["b", "a", "é"], ordered=p[1])))
    stamps = st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2100-01-01"))
    objects = st.lists(PLAIN, min_size=n, max_size=n).map(
        lambda cells: pd.Series(dict(enumerate(cells)), dtype=object, index=range(n))
    )
    return st.one_of(
        of(FLOATS, "float64"),
        of(st.floats(width=32), "float32"),
        of(st.integers(-(2**63), 2**63 - 1), "int64"),
        of(st.integers(0, 2**64 - 1), "uint64"),
        of(st.integers(-100, 100), "int8"),
        of(st.booleans(), "bool"),
        of(st.one_of(st.none(), TEXT), "str"),
        of(st.one_of(st.none(), st.integers(-(2**60), 2**60)), "Int64"),
        of(st.one_of(st.none(), st.booleans()), "boolean"),
        of(st.one_of(st.none(), st.floats(allow_nan=False)), "Float64"),
        of(st.one_of(st.none(), stamps), "datetime64[ns]"),
        of(st.one_of(st.none(), stamps), "datetime64[us, UTC]"),
        of(
            st.one_of(st.none(), st.timedeltas(pd.Timedelta(-(10**9), "s"), pd.Timedelta(10**9, "s"))),
            "timedelta64[us]",
        ),
        category,
        objects,
    )


FRAMES = st.integers(0, 4).flatmap(
    lambda n: st.lists(st.tuples(TEXT, column(n)), max_size=4, unique_by=lambda pair: pair[0]).map(
        lambda columns: pd.DataFrame(dict(columns), index=pd.RangeIndex(n))
    )
)


@FAST
@given(FRAMES)
def test_any_table_survives_json(frame):
    original = make(tables={"effects": table(frame)})
    text = io.to_json(original)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"not strict JSON: {name}"))
    assert_same_result(original, io.from_json(text))


@FAST
@given(FRAMES)
def test_any_table_survives_parquet(tmp_path, frame):
    write_parquet(frame, tmp_path / "t.parquet")
    assert_same_frame(frame, read_parquet(tmp_path / "t.parquet"))


@FAST
@given(
    custom=st.dictionaries(KEYS, PLAIN, max_size=4),
    numbers=st.lists(st.one_of(st.none(), FLOATS), min_size=8, max_size=8),
    counts=st.lists(st.one_of(st.none(), st.integers(0, 10**12)), min_size=2, max_size=2),
    text=TEXT,
)
def test_any_result_survives_json_and_folder(tmp_path, custom, numbers, counts, text):
    original = make(
        spec_id=text,
        feature=None,
        model=text,
        aggregates=Aggregates(*numbers[:2], *counts, *numbers[2:4], custom=custom),
        metrics={text: math.inf, "a": numbers[4] or 0.0},
        diagnostics=Diagnostics(
            relu_floor_rate=numbers[5],
            relu_floor_detected=None,
            constraint_violations={text: 3},
            engine=EngineReport("suffix+hooks", 10, 8, numbers[6]),
            warnings=(text, "careful"),
        ),
        figures=(Figure("f", "curve", ("effects",), {"x": text, "y": ["a", "b"]}, text, options={"hline": math.inf}),),
        curves=(Curve("acc", (-3.0, 0.5), (math.nan, 1.0), "alpha"),),
        tables={"effects": table(pd.DataFrame({"x": [1.0, math.nan]}), columns={"x": text})},
        config=custom,
        provenance={"diff": text},
        success=False,
        error_message=text,
        started_at="2026-01-01T00:00:00+00:00",
        duration_seconds=numbers[7],
        run_id="abc",
    )
    assert_same_result(original, io.from_json(io.to_json(original)))
    io.write(original, tmp_path / "run")
    assert_same_result(original, io.read(tmp_path / "run"))


def test_scripts_find_the_field_names_and_floats_they_expect():
    frame = pd.DataFrame({"rung": [3, 12], "mean": [math.nan, math.inf], "who": ["a", None]})
    tree = json.loads(io.to_json(make(tables={"effects": table(frame)}, aggregates=Aggregates(mean_delta=math.nan))))
    for name in ("spec_id", "experiment_type", "evidence", "feature", "model", "subject", "aggregates", "tables",
                 "diagnostics", "figures", "config", "provenance", "success", "error_message", "started_at",
                 "duration_seconds"):  # fmt: skip
        assert name in tree
    assert tree["tables"]["effects"]["columns"] == ["rung", "mean", "who"]
    assert tree["tables"]["effects"]["rows"] == [
        {"rung": 3, "mean": None, "who": "a"},
        {"rung": 12, "mean": "Infinity", "who": None},
    ]
    means = np.asarray([row["mean"] for row in tree["tables"]["effects"]["rows"]], dtype=float)
    assert math.isnan(means[0]) and means[1] == math.inf
    assert math.isnan(float(tree["aggregates"]["mean_delta"]))


def test_long_tables_stand_in_their_file_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(io, "ROWS_IN_JSON", 5)
    original = make(
        tables={"long": table(pd.DataFrame({"x": range(6)}), "long"), "short": table(pd.DataFrame({"x": [1]}), "short")}
    )
    io.write(original, tmp_path)
    tree = json.loads((tmp_path / "result.json").read_text())
    assert tree["tables"]["long"]["rows"] == [] and tree["tables"]["long"]["n_rows"] == 6
    assert len(tree["tables"]["short"]["rows"]) == 1
    assert_same_result(original, io.read(tmp_path))
    (tmp_path / "tables" / "long.parquet").unlink()
    with pytest.raises(DataError, match="long.parquet, which is not here"):
        io.read(tmp_path)


def test_parquet_of_plain_columns_is_readable_by_anyone(tmp_path):
    frame = pd.DataFrame({"x": [1.5, math.nan], "n": [1, 2], "s": ["a", "ü"], "b": [True, False]})
    write_parquet(frame, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), frame)
    loose = pd.DataFrame({"s": pd.Series(["a", "ü"], dtype=object)})
    write_parquet(loose, tmp_path / "loose.parquet")
    assert pd.read_parquet(tmp_path / "loose.parquet")["s"].tolist() == ["a", "ü"]
    assert_same_frame(loose, read_parquet(tmp_path / "loose.parquet"))


def test_an_index_left_from_filtering_is_dropped_and_odd_columns_are_refused():
    filtered = pd.DataFrame({"x": [1, 2, 3]})[lambda f: f["x"] > 1]
    restored = io.from_json(io.to_json(make(tables={"effects": table(filtered)})))
    assert restored.tables["effects"].frame.equals(pd.DataFrame({"x": [2, 3]}))
    with pytest.raises(ValueError, match="must be strings"):
        io.to_json(make(tables={"effects": table(pd.DataFrame({0: [1]}))}))
    with pytest.raises(ValueError, match="must be unique"):
        io.to_json(make(tables={"effects": table(pd.DataFrame([[1, 2]], columns=["a", "a"]))}))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": 99}', '{"format": 1, "spec_id": 3}', "{" * 5])
def test_what_is_not_a_result_is_refused_in_one_line(text):
    with pytest.raises(DataError, match=r"not a readable result\.json") as caught:
        io.from_json(text)
    assert "\n" not in str(caught.value)


def test_a_table_name_never_leaves_its_folder(tmp_path):
    for name in ("../evil", "a/b", "", "A", "a.b"):
        with pytest.raises(ValueError, match=r"\[a-z0-9_\]"):
            io.write_table(table(pd.DataFrame({"x": [1]}), name), tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="holds no result"):
        io.read(tmp_path)


def test_records_of_an_empty_table_keep_columns_and_types():
    frame = pd.DataFrame({"x": pd.Series([], dtype="float32"), "s": pd.Series([], dtype="str")})
    restored = io.from_json(io.to_json(make(tables={"effects": table(frame)}))).tables["effects"].frame
    pd.testing.assert_frame_equal(restored, frame)
    assert to_records(frame) == [] and from_records([], [], {}).empty


def test_a_result_of_nothing_says_that_nothing_was_measured():
    found = Diagnostics()
    assert (found.n_contexts_tested, found.n_contexts_skipped) == (0, 0)
    assert not found.constraint_violations and not found.warnings
