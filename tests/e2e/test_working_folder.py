"""``hydra.job.chdir=true``: jobs work in folders of their own, and everything that was named stays where it was."""

from __future__ import annotations

import sys

from paribus.tracking.opening import open_store
from paribus.tracking.query import load_runs
from paribus.tracking.spec import TrackingSpec

OWN = """
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from paribus.experiments.base import Experiment
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates
from paribus.subjects.builds.generated import BuildsGenerated


def corpus(path: str, seed: int = 0):
    return BuildsGenerated(n_builds=int(Path(path).read_text()), seed=seed).load()


@dataclass(frozen=True)
class Writes(Experiment):
    \"\"\"Writes a file where it works.\"\"\"

    type: ClassVar[str] = "writes"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "builds"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Writes a file where it works."
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "feature", "stats")

    def run(self, setup, recorder):
        Path("mine.txt").write_text("here")
        recorder.workspace.save("state", {"n": len(setup.contexts)})
        return Aggregates(n_samples=len(setup.contexts), custom={"reader": type(setup.reader).__name__})
"""


def test_store_files_and_options_keep_their_place_and_reuse_works(tracked_workdir, prepared):
    def paribus(folder, *words):
        return prepared.run([sys.executable, "-m", "paribus", *words], cwd=folder)

    (tracked_workdir / "my_conf" / "data").mkdir(parents=True)
    (tracked_workdir / "my_conf" / "experiment").mkdir()
    (tracked_workdir / "my_conf" / "data" / "mine.yaml").write_text(
        "_target_: own_writes.corpus\npath: count.txt\nseed: ${seed}\n"
    )
    (tracked_workdir / "my_conf" / "experiment" / "writes.yaml").write_text("_target_: own_writes.Writes\n")
    (tracked_workdir / "own_writes.py").write_text(OWN)
    (tracked_workdir / "count.txt").write_text("30")
    words = ["-m", "experiment=writes", "data=mine", "model=planted", "feature=threshold", "device=cpu", "stats=quick",
             "--config-dir", "my_conf", "hydra.job.chdir=true", "seed=0,1"]  # fmt: skip
    first = paribus(tracked_workdir, *words, "hydra.sweep.dir=first")
    assert first.returncode == 0, first.stderr
    assert "2 jobs: 2 FINISHED" in first.stdout
    assert [str(path.relative_to(tracked_workdir)) for path in tracked_workdir.rglob("mlflow.db")] == ["mlflow.db"]
    assert [str(path.relative_to(tracked_workdir)) for path in sorted(tracked_workdir.rglob("mine.txt"))] == [
        "first/0/mine.txt", "first/1/mine.txt",
    ]  # fmt: skip
    runs = load_runs()
    assert runs["status"].tolist() == ["FINISHED"] * 2
    assert not list((tracked_workdir / "multirun" / ".work").iterdir())
    result = open_store(TrackingSpec(), writing=False).result(runs["run_id"][0])
    assert result.provenance["working_folder"] == str(tracked_workdir), "its command is repeated from here"
    second = paribus(tracked_workdir, *words, "hydra.sweep.dir=second")
    assert second.returncode == 0 and "2 jobs: 2 reused" in second.stdout
    assert len(load_runs()) == 2
