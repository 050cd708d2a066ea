"""What figures are kept as: by the request, else by whether the run is one of a sweep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paribus.cli.main import main
from paribus.config.settings import FigureSettings
from paribus.running.run import run_job
from paribus.sweep.start import start, told


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


def test_a_reused_run_says_which_figures_it_lacks(store, job, seq, caplog):
    """``figures.formats`` of a run that was there already was passed over in silence."""

    def said(node, formats, sweep="t"):
        caplog.clear()
        result = run_job(replace(job(node), figures=FigureSettings(formats)), sweep=sweep)
        assert result.reused
        return [record.getMessage() for record in caplog.records if "figures" in record.getMessage()]

    run = run_job(job("Measure"), sweep="s").run_id[:8]
    expected = (
        f"run {run}, which is reused, keeps no figures as pdf; paribus figures {run} OUT --formats pdf draws them"
    )
    assert said("Measure", ["png", "pdf"]) == [f"{expected} into OUT"]
    assert said("Measure", ["png"]) == said("Measure", []) == said("Measure", None) == []
    run_job(job(seq(measure="Measure")), sweep="s")
    assert said(seq(measure="Measure"), ["png", "pdf"]) == [f"{expected} into OUT"], "of a step, under its own name"


def test_a_sweep_says_once_that_reused_runs_lack_figures(store, job):
    asked = [replace(job("Measure", seed=seed), figures=FigureSettings(["pdf"])) for seed in range(2)]
    made = [run_job(each, sweep="s").run_id for each in [job("Measure", seed=0), asked[1]]]
    lines = told(start(asked, "t"))
    assert lines[-1] == (
        f"  without figures as pdf: 1 of these runs, the first is {made[0][:8]}; paribus figures RUN OUT --formats pdf "
        "draws those of a run into OUT"
    )
    assert not any("figures" in line for line in told(start([job("Measure", seed=seed) for seed in range(2)], "t")))


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
    assert main(["figures", "latest", ""]) == 2 and main(["figures", "", str(out)]) == 2
    (tmp_path / "file").write_text("")
    assert main(["figures", "latest", str(tmp_path / "file" / "x")]) == 2
    assert "Traceback" not in capsys.readouterr().err
