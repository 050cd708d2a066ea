"""Published numbers: reproduced, not reproduced, or not looked at; files of a user's own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from paribus.cli.main import main
from paribus.cli.verification import Number, read, shipped
from paribus.errors import ConfigError

WEIGHTS = Path(__file__).parents[1] / "golden" / "weights"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "clock_pizza"
OWN = """
name: two circles
source: planted
files: {weights: modular.safetensors}
request: [experiment=circuit_metrics, data.p=11, model=modular_transformer, model.d_model=16, "model.weights={weights}"]
numbers:
- {quantity: circles, table: circuit_metrics, column: n_circles, value: VALUE, tolerance: 0}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(value):
        Path("own.yaml").write_text(OWN.replace("VALUE", str(value)))
        return ["verify", "own.yaml", "--files", str(WEIGHTS)]

    return write


def test_a_file_of_ones_own(own, capfd):
    assert main(own(2)) == 0
    assert "circles: 2, published 2 +- 0: reproduced" in capfd.readouterr().out
    assert main(own(3)) == 1
    assert "NOT reproduced" in capfd.readouterr().out
    Path("own.yaml").write_text(OWN.replace("VALUE", "2").replace("column:", "rows: {epoch: 7, n_circles: 9}, column:"))
    assert main(["verify", "own.yaml", "--files", str(WEIGHTS)]) == 1
    out = capfd.readouterr().out
    assert "circles: circuit_metrics has no row with epoch 7 and n_circles 9; epoch is 0; n_circles is 2: NOT" in out
    assert "nan" not in out


def test_a_number_that_is_not_one_cell_is_refused_and_not_called_wrong():
    """What was declared of several rows, or of a text, says nothing of the installation."""
    frame = pd.DataFrame({"frequency": [1, 2], "pizza": [0.5, 0.25], "what": ["a", "b"]})
    result = SimpleNamespace(tables={"circles": SimpleNamespace(frame=frame)})

    def found(column, **rows):
        return Number("q", "circles", column, rows, 0.5, 0.0).found(result)

    assert found("pizza", frequency=2) == 0.25 and found("pizza", frequency=3) is None
    with pytest.raises(ConfigError, match="q: 2 rows of circles are meant; say which one in rows"):
        found("pizza")
    with pytest.raises(ConfigError, match="what of circles holds no number: 'a'"):
        found("what", frequency=1)


def test_without_the_weights_it_is_left_out_and_said(own, capfd):
    assert main([*own(2)[:2]]) == 1
    out = capfd.readouterr().out
    assert "left out: modular.safetensors is not below" in out and "nothing could be looked at" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "is no YAML"),
        ("name: x", "lacks 'source'"),
        ("7", "see one that ships"),
        (OWN.replace("VALUE", "much"), "could not convert"),
        (OWN.replace("VALUE", ".nan"), "value of circles must be a number"),
        (OWN.replace("VALUE", "true"), "value of circles must be a number"),
        (OWN.replace("VALUE", "2").replace("tolerance: 0", "tolerance: .inf"), "tolerance of circles must be a number"),
        (OWN.replace("VALUE", "2").replace("tolerance: 0", "tolerance: -1"), "a tolerance not negative, got -1"),
        (OWN.replace("VALUE", "2").replace("column", "colum"), "no 'colum'; did you mean 'column'?"),
        (OWN[: OWN.index("numbers:")] + "numbers: []", "one number at least"),
    ],
)
def test_a_file_that_says_something_else_is_refused(own, text, message, capfd):
    Path("own.yaml").write_text(text)
    assert main(["verify", "own.yaml"]) == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize("word", ["=", "device=nope", "seed=x"])
def test_a_word_that_no_request_takes_is_refused_also_where_nothing_is_looked_at(own, word, capfd):
    assert main([*own(2)[:2], word]) == 2
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1


def test_a_name_that_is_none_is_refused(own, capfd):
    assert main(["verify", "clock_piza_a"]) == 2
    assert "clock_pizza_a" in capfd.readouterr().err


def test_every_set_that_ships_can_be_read():
    assert {"clock_pizza_a", "smollm2_repeats", "smollm2_prefix", "smollm2_heads"} <= set(shipped())
    for path in shipped().values():
        found = read(path)
        assert found.numbers and all(f"{{{name}}}" in " ".join(found.request) for name in found.files)


def test_the_published_network_is_reproduced(tmp_path, monkeypatch, capfd):
    if not SHARED.is_dir():
        pytest.skip("the published weights are not here")
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "clock_pizza_a", "--files", str(SHARED)]) == 0
    assert "14 of 14 numbers reproduced" in capfd.readouterr().out
