"""Tables for papers: Markdown and LaTeX that a reader of each understands."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from paribus.results.typeset import escaped, fits, latex, markdown

FRAME = pd.DataFrame(
    {
        "group": ["a_b & c", "50 % | x", "line\nbreak"],
        "mean [95 %]": ["0.812 [0.790, 0.834]", "−0.2", ""],
        "n": [8, 7, 6],
        "value": [0.123456, np.nan, -1234567.0],
        "known": pd.array([1, None, 3], dtype="Int64"),
        "yes": [True, False, True],
    }
)


def test_markdown_has_a_cell_for_every_value():
    lines = markdown(FRAME).splitlines()
    assert len(lines) == 5 and all(line.replace("\\|", "").count("|") == 7 for line in lines)
    assert lines[1] == "| --- | --- | ---: | ---: | ---: | --- |"
    assert lines[2] == "| a_b & c | 0.812 [0.790, 0.834] | 8 | 0.1235 | 1 | True |"
    assert lines[3] == "| 50 % \\| x | −0.2 | 7 |  |  | False |"
    assert lines[4].startswith("| line break |  | 6 | -1.235e+06 | 3 |")


def test_latex_escapes_what_it_would_read():
    text = latex(FRAME, caption="100 % of $x_1$", label="tab:x")
    assert r"a\_b \& c & 0.812 [0.790, 0.834] & 8 & 0.1235 & 1 & True \\" in text
    assert r"\caption{100 \% of \$x\_1\$}" in text and r"\begin{tabular}{llrrrl}" in text
    assert escaped("\\{~^<>}") == (r"\textbackslash{}\{\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path):
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(head + latex(FRAME, caption="x", label="tab:x") + "\\end{document}\n")
    made = subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, timeout=60)
    assert made.returncode == 0, made.stdout[-500:]


def test_large_tables_are_left_alone():
    assert fits(FRAME) and not fits(FRAME.iloc[:0]) and not fits(pd.DataFrame(np.zeros((3, 15))))
