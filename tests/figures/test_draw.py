"""What a declared figure is checked for, and that drawing leaves no trace."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from paribus.errors import ExperimentError
from paribus.figures.draw import draw
from paribus.figures.save import save
from paribus.results.schema import Figure

FRAME = pd.DataFrame({"alpha": [0, 1, 2], "accuracy": [0.5, 0.6, 0.7]})


def figure(**changes):
    fields = {
        "kind": "curve",
        "tables": ("sweep",),
        "columns": {"x": "alpha", "y": "accuracy"},
        "options": {},
        **changes,
    }
    return Figure(name="fig", title="", **fields)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "curves"}, "no drawing of kind 'curves'; did you mean 'curve'"),
        ({"kind": "style"}, "no drawing of kind 'style'"),
        ({"kind": "../draw"}, "no drawing of kind"),
        ({"kind": "no_such_package.stems"}, "drawing 'no_such_package.stems': cannot be imported"),
        ({"kind": "paribus.errors"}, "lacks REQUIRED, OPTIONAL, OPTIONS, draw; a drawing has"),
        ({"tables": ("sweeps",)}, "no table 'sweeps'; did you mean 'sweep'"),
        ({"tables": ()}, "names no table"),
        ({"columns": {"x": "alpha"}}, "the role 'y' needs a column"),
        ({"columns": {"x": "alpha", "y": []}}, "the role 'y' needs a column"),
        ({"columns": {"x": "alpha", "y": "acuracy"}}, "no column 'acuracy' for 'y'; did you mean 'accuracy'"),
        ({"columns": {"x": "alpha", "y": "accuracy", "lo": "alpha"}}, "no such role 'lo'; did you mean 'low'"),
        ({"options": {"hlines": 1}}, "no such option 'hlines'; did you mean 'hline'"),
    ],
)
def test_a_wrong_declaration_is_one_clear_line(changes, message):
    with pytest.raises(ExperimentError, match=r"figure 'fig'") as caught:
        draw(figure(**changes), {"sweep": FRAME})
    assert message in str(caught.value)


def test_nothing_global_changes():
    before = dict(mpl.rcParams)
    import sys

    draw(figure(), {"sweep": FRAME})
    assert dict(mpl.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()


def test_saving_makes_folders_and_both_files(tmp_path):
    png, pdf = tmp_path / "a" / "f.png", tmp_path / "b" / "f.pdf"
    made = draw(figure(), {"sweep": FRAME})
    save(made, png, pdf)
    with Image.open(png) as image:
        assert image.info["dpi"] == pytest.approx((180, 180), abs=0.1)
        assert np.asarray(image.convert("L")).std() > 5
    content = pdf.read_bytes()
    assert b"CreationDate" not in content
