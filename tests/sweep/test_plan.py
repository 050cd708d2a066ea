from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from paribus.config.job import Job
from paribus.running.probe import Probe
from paribus.sweep.plan import Planned, listing, plan, summary


def job(*words):
    return Job(words, {}, {}, {"experiment": SimpleNamespace(type="toy")})


def test_what_is_common_is_said_once():
    made = plan([job("study=a", "seed=0"), job("study=a", "seed=1")])
    assert made.common == ("study=a",)
    assert [(p.number, p.experiment, p.varied) for p in made.jobs] == [(0, "toy", ("seed=0",)), (1, "toy", ("seed=1",))]
    assert listing(made) == "2 jobs: study=a\n  varies: seed (2)\n  0  toy  seed=0\n  1  toy  seed=1"


def test_one_job_and_none():
    assert listing(plan([job("a=1", "b=2")])) == "1 job: a=1 b=2"
    assert plan([]).jobs == ()


def test_a_comparison_is_part_of_the_time():
    jobs = tuple(Planned(k, "toy", (), "to do", seconds=seconds) for k, seconds in enumerate((1.0, 1.0, 6.0)))
    made = replace(plan([job("a=1")]), jobs=jobs, workers=2)
    assert made.seconds == 7.0, "in order: the longest begins when the first is free"
    assert replace(made, jobs=(*jobs, Planned(3, "compare", (), "after others", seconds=2.0, last=True))).seconds == 9.0
    declared = replace(made, comparison="compare")
    assert "about 7 s, by earlier runs of the same type, without compare" in "\n".join(summary(declared))
    assert replace(declared, comparison_seconds=3.0).seconds == 10.0
    probed = replace(made, probes=(Probe("toy", 6.0, ("2 of 9 steps",), ("a step",)),))
    assert "at least 7 s, by probes" in "\n".join(summary(probed)) and "not in it: a step" in "\n".join(summary(probed))


def test_a_long_plan_is_cut():
    text = listing(plan([job(f"seed={i}") for i in range(120)]), most=5)
    assert text.startswith("120 jobs:") and text.endswith("  ... and 115 more")
    assert len(text.splitlines()) == 8
