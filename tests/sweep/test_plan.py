from __future__ import annotations

from types import SimpleNamespace

from paribus.config.job import Job
from paribus.sweep.plan import listing, plan


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


def test_a_long_plan_is_cut():
    text = listing(plan([job(f"seed={i}") for i in range(120)]), most=5)
    assert text.startswith("120 jobs:") and text.endswith("  ... and 115 more")
    assert len(text.splitlines()) == 8
