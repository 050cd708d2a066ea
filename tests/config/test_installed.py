"""What an installed package brings is found without a word: its options, and its subject."""

from __future__ import annotations

import importlib
import textwrap

import pytest

from paribus.config import catalogue, installed
from paribus.config.compose import jobs
from paribus.experiments import plugins

FILES = {
    "probed_coins/__init__.py": """
        from dataclasses import dataclass
        from typing import ClassVar

        from paribus.experiments.base import Experiment, Setup
        from paribus.experiments.subject import SubjectPlugin
        from paribus.results.evidence import Evidence
        from paribus.results.schema import Aggregates
        from paribus.spec import field


        @dataclass(frozen=True)
        class Toss(Experiment):
            type: ClassVar[str] = "toss"
            evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
            subject: ClassVar[str] = "coins"
            summary: ClassVar[str] = "Tosses coins."
            needs: ClassVar[tuple[str, ...]] = ()

            n: int = field(3, low=1, help="How many.")

            def run(self, setup, recorder):
                return Aggregates(n_samples=self.n)


        class Coins(SubjectPlugin):
            name = "coins"

            def setup(self, asked):
                return Setup(**asked.basics)
    """,
    "probed_coins/conf/experiment/toss.yaml": "_target_: probed_coins.Toss\nn: 3\n",
    "probed_coins-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: probed-coins\nVersion: 1.0\n",
    "probed_coins-1.0.dist-info/entry_points.txt": """
        [paribus]
        conf = probed_coins.conf
        coins = probed_coins:Coins
    """,
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package as an installer leaves it."""
    site = tmp_path / "site"
    for name, text in FILES.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(plugins, "_registered", {})
    importlib.invalidate_caches()
    installed.folders.cache_clear()
    yield site
    installed.folders.cache_clear()


def test_its_options_compose_and_say_where_they_come_from(package):
    (job,) = jobs(["experiment=toss", "experiment.n=5", "tracking=off"])
    assert job.nodes["experiment"].n == 5
    option = next(option for option in catalogue.options("experiment") if option.name == "toss")
    assert option.source == "probed-coins"
    assert next(o for o in catalogue.options("experiment") if o.name == "sweep").source == "paribus"


def test_its_subject_is_found_by_name_and_runs(package, workdir):
    import paribus

    class_of_it = type(plugins.named("coins")).__name__
    result = paribus.run(["experiment=toss", "tracking=off"])
    assert (class_of_it, result.subject, result.aggregates.n_samples) == ("Coins", "coins", 3)
    assert "coins" in plugins.names() and "conf" not in plugins.names()


def test_the_command_line_lists_it(package, capsys):
    from paribus.cli.main import main

    assert main(["list"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("toss"))
    assert line.split()[:4] == ["toss", "observational", "coins", "probed-coins"]


def test_a_folder_that_is_not_there_hides_nothing_else(package, caplog):
    (package / "probed_coins-1.0.dist-info" / "entry_points.txt").write_text("[paribus]\nconf = probed_coins.gone\n")
    installed.folders.cache_clear()
    assert installed.folders() == {}
    assert "probed-coins: its folder of options, probed_coins.gone, is not there" in caplog.text
