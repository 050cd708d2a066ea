"""What figures are kept as: by the request, else by whether the run is one of a sweep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paribus.cli.main import main
from paribus.config.settings import FigureSettings
from paribus.running.run import run_job


@pytest.fixture(autouse=True)
def quick_pictures():
    """Write them, unlike the other tests of runs."""


@pytest.mark.parametrize(
    ("formats", "sweep", "kept"),
    [
        (None, None, ["sweep.pdf", "sweep.png"]),
        (None, "s", ["sweep.png"]),
        (["pdf"], "s", ["sweep.pdf"]),
        ([], None, []),
    ],
)
def test_formats(store, job, formats, sweep, kept, tmp_path):
    result = run_job(replace(job("Measure"), figures=FigureSettings(formats)), sweep=sweep)
    assert [path.removeprefix("figures/") for path in store.artifacts(result.run_id, "figures")] == kept
    page = store.download(result.run_id, "report.html").read_text()
    assert ("data:image/png" in page) == (formats != []), "the page shows them, whatever is kept beside it"


def test_the_figures_of_a_finished_run_are_drawn_again_elsewhere(store, job, tmp_path, capsys):
    result = run_job(job("Measure"), sweep="s")
    before = store.artifacts(result.run_id, "figures")
    out = tmp_path / "here" / "figures"
    assert main(["figures", result.run_id[:8], str(out)]) == 0
    assert capsys.readouterr().out.split() == [str(out / "sweep.png"), str(out / "sweep.pdf")]
    first = (out / "sweep.png").read_bytes()
    assert len(first) > 5000 and (out / "sweep.pdf").read_bytes().endswith(b"%%EOF\n"), "they are drawn"
    assert first == store.download(result.run_id, "figures/sweep.png").read_bytes()
    assert main(["figures", "latest", str(out), "--formats", "png"]) == 0 and (out / "sweep.png").read_bytes() == first
    assert store.artifacts(result.run_id, "figures") == before, "the run is not touched"
    assert main(["figures", result.run_id, str(out), "--formats", "svg"]) == 2
    assert main(["figures", result.run_id]) == 2 and main(["figures", "ffff", str(out)]) == 2
    (tmp_path / "file").write_text("")
    assert main(["figures", "latest", str(tmp_path / "file" / "x")]) == 2
    assert "Traceback" not in capsys.readouterr().err
