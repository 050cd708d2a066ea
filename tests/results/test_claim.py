"""A claim is answered by an interval alone, and a hypothesis is as good as what its runs have shown."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from paribus.cli.hypotheses import bearing
from paribus.errors import ConfigError
from paribus.experiments.setup_runs import CollectedRun
from paribus.results.claim import ABOVE, BELOW, DIFFERS, NONE, REFUTED, SUPPORTED, UNDECIDED, Claim, answer, decide
from paribus.results.endpoint import Endpoint
from paribus.results.evidence import Evidence
from paribus.results.hypothesis import Bearing, missing, standing
from paribus.results.schema import Aggregates, Diagnostics, Result, Table
from paribus.tracking.kept import KeptRun


def result(metrics=None, custom=None, **tables):
    made = {name: Table(name, "", Evidence.COMPARISON, frame) for name, frame in tables.items()}
    head = ("s", "t", Evidence.INTERVENTIONAL, None, None, "images", Aggregates(custom=custom or {}))
    return Result(*head, made, Diagnostics(), metrics=metrics or {})


@pytest.mark.parametrize(
    ("direction", "smallest", "low", "high", "verdict"),
    [
        (ABOVE, 0, 0.1, 0.3, SUPPORTED), (ABOVE, 0, -0.1, 0.3, UNDECIDED), (ABOVE, 0, -0.3, -0.1, REFUTED),
        (ABOVE, 0.2, 0.1, 0.3, UNDECIDED), (ABOVE, 0.2, 0.05, 0.15, REFUTED), (ABOVE, 0.2, 0.25, 0.4, SUPPORTED),
        (BELOW, 0.2, -0.4, -0.25, SUPPORTED), (BELOW, 0.2, -0.15, 0.1, REFUTED), (BELOW, 0, 0.0, 0.0, REFUTED),
        (DIFFERS, 0, 0.1, 0.2, SUPPORTED), (DIFFERS, 0.3, 0.1, 0.2, REFUTED), (DIFFERS, 0.1, -0.05, 0.2, UNDECIDED),
        (NONE, 0.3, -0.1, 0.2, SUPPORTED), (NONE, 0.3, 0.4, 0.5, REFUTED), (NONE, 0.3, 0.2, 0.4, UNDECIDED),
    ],
)  # fmt: skip
def test_the_interval_decides(direction, smallest, low, high, verdict):
    assert decide(Claim("x", direction, smallest), low, high) == verdict


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 0.5), st.sampled_from([ABOVE, BELOW, DIFFERS, NONE]))
def test_below_mirrors_above_and_none_denies_differs(middle, half, smallest, direction):
    low, high = middle - half, middle + half
    opposite = {SUPPORTED: REFUTED, REFUTED: SUPPORTED, UNDECIDED: UNDECIDED}
    assert decide(Claim("x", BELOW, smallest), -high, -low) == decide(Claim("x", ABOVE, smallest), low, high)
    if smallest > 0:
        of_none, of_differs = (decide(Claim("x", way, smallest), low, high) for way in (NONE, DIFFERS))
        assert of_none == opposite[of_differs]


def test_a_false_claim_is_supported_no_more_often_than_alpha_says():
    """At the edge of the smallest effect of interest, over 4,000 samples of 15: alpha, or half of it on one side."""
    draws = np.random.default_rng(0).normal(0.2, 1.0, (4000, 15))
    mean, half = draws.mean(1), stats.t.ppf(0.975, 14) * draws.std(1, ddof=1) / np.sqrt(15)
    ends = list(zip(mean - half, mean + half, strict=True))
    above = [decide(Claim("x", ABOVE, 0.2), *each) for each in ends]
    assert np.mean([verdict == SUPPORTED for verdict in above]) < 0.035
    assert np.mean([verdict == REFUTED for verdict in above]) < 0.035
    none = [decide(Claim("x", NONE, 0.2), *each) for each in ends]
    assert np.mean([verdict == SUPPORTED for verdict in none]) < 0.035


def test_a_number_is_found_as_metric_endpoint_or_test():
    metric = result(metrics={"drop": 0.4, "drop_ci_low": 0.3, "drop_ci_high": 0.5})
    assert answer(Claim("drop", smallest=0.1), metric).verdict == SUPPORTED
    table = pd.DataFrame(
        {"epoch": [1, 2, 2], "method": ["a", "a", "b"], "left": [0.1, 0.3, 0.9], "low": 0.2, "high": 0.4}
    )
    declared = Endpoint("removed", "", "t", "left", "low", "high", "", True, choices=("method",), one_minus=True)
    said = answer(Claim("removed", smallest=0.5), result(custom={"headline_method": "a"}, t=table), [declared])
    assert (said.verdict, said.value, said.low, said.high) == (SUPPORTED, 0.7, 0.6, 0.8)
    tests = pd.DataFrame(
        {"endpoint": ["e", "e"], "group": ["g", "h"], "difference": [1.0, 2.0], "ci_low": 0.5, "ci_high": 2.5,
         "ci_adj_low": [-0.1, 0.2], "ci_adj_high": 3.0}
    )  # fmt: skip
    assert answer(Claim("e@h"), result(tests=tests)).verdict == SUPPORTED
    assert answer(Claim("e@g"), result(tests=tests)).verdict == UNDECIDED  # the adjusted interval holds 0
    assert "2 rows" in answer(Claim("e"), result(tests=tests)).why
    few = tests.assign(ci_adj_low=np.nan, ci_adj_high=np.nan)  # five pairs: only Student's interval, for the eye
    assert answer(Claim("e@h"), result(tests=few)).verdict == UNDECIDED


def test_what_cannot_be_read_is_undecided_and_says_why():
    said = answer(Claim("drpo"), result(metrics={"drop": 0.4}))
    assert said.verdict == UNDECIDED and "did you mean 'drop'" in said.why
    assert "no interval" in answer(Claim("drop"), result(metrics={"drop": 0.4})).why
    assert math.isnan(answer(Claim("drop"), result(metrics={"drop": 0.4})).low)


def test_a_ledger_says_what_is_shown_and_what_is_missing():
    ablated = Bearing("1", "ablate", "interventional", ("necessity",), True, True, "x is above 0", SUPPORTED, True, "0")
    seen = Bearing("2", "probe", "observational")
    assert standing([ablated, seen]) == {
        "necessity": "yes", "sufficiency": "no run", "specificity": "yes", "stability": "no run",
    }  # fmt: skip
    assert [line.split(":")[0] for line in missing([ablated, seen])] == ["sufficiency", "stability"]
    seeds = [Bearing(str(k), "ablate", "interventional", ("necessity",), True, replicate=str(k)) for k in range(3)]
    assert standing(seeds)["stability"] == "yes" and standing(seeds[:2])["stability"] == "no run"
    assert "claim: none was declared before the numbers were there" in missing(
        [Bearing("1", "ablate", "interventional", claim="x", before=False)]
    )
    assert "evidence: no run is interventional" in missing([seen])
    whole = Bearing("1", "ablate", "interventional", ("necessity",), complete=True)
    assert standing([whole])["necessity"] == "complete" and "compare several trainings" in missing([whole])[0]


def test_seeds_of_runs_on_one_network_are_no_replicates():
    def run(seed, **tags):
        return KeptRun(str(seed), "ablate", "FINISHED", "e", datetime(2026, 1, 1, tzinfo=UTC), None, {}, {},
                       {"seed": str(seed), **tags}, "")  # fmt: skip

    def stability(runs):
        found = [replace(bearing(None, one, None), bears_on=("necessity",), established=True) for one in runs]
        return standing(found)["stability"]

    assert stability([run(seed) for seed in range(3)]) == "no run"
    assert stability([run(seed, model_seed="4", model_run=f"m{seed}") for seed in range(3)]) == "no run"
    assert stability([run(seed, model_seed=str(seed)) for seed in range(3)]) == "yes"


@pytest.mark.parametrize(
    ("with_claim", "said"),
    [(0, "declared after 3 of 3 runs that it compares were finished"), (2, "after 1 of 3 runs"), (3, "")],
)
def test_a_claim_on_a_comparison_is_as_old_as_the_runs_that_it_compares(monkeypatch, with_claim, said):
    from paribus.compare.compare import Compare
    from paribus.running import claims

    made = Claim("score", "above", 0.1)
    params = {f"claim.{name}": str(value) for name, value in vars(made).items()}
    runs = [CollectedRun(str(k), str(k), "t", seed=k, params=params if k < with_claim else {}) for k in range(3)]
    runs += [CollectedRun("other", "other", "u"), CollectedRun("late", "late", "t", seed=9)]
    runs += [CollectedRun("failed", "failed", "t", status="FAILED", seed=1)]
    monkeypatch.setattr(claims, "collect", lambda store, among: runs)
    asked = Compare(metrics=["score"], experiment_type="t", where=["seed=0..2"])
    request = SimpleNamespace(experiment=asked, claim=made, step=None, nodes={})
    tags = claims.declared(request, SimpleNamespace(finished=lambda identity: []), "i")
    assert tags["claim_declared_before"] == ("false" if said else "true")
    assert said in (claims._after(tags) if said else "")


RUN = [
    *("experiment=family_1d_sweep", "model=planted", "feature=threshold", "experiment.family=special_charge_up"),
    *("data.n_builds=60", "stats=quick", "stats.n_null=0", "experiment.placebo_contexts=0", "figures.formats=[]"),
    *("device=cpu", "claim.endpoint=slope_per_ap", "claim.smallest=0.001", "parent_hypothesis=h001"),
]


def test_a_claim_is_kept_with_its_time_and_is_no_part_of_the_identity(tmp_path, monkeypatch, capsys):
    import paribus
    from paribus.cli.main import main
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    monkeypatch.chdir(tmp_path)
    first = paribus.run(RUN)
    again = paribus.run(RUN[:-3])
    after = paribus.run([*RUN, "claim.direction=below"])
    store = open_store(TrackingSpec(kind="local", folder="."), writing=False)
    runs = {each.run_id: each for each in store.runs(everywhere=True)}
    one, plain, late = (runs[each.run_id] for each in (first, again, after))
    assert one.identity == plain.identity == late.identity
    assert one.tags["claim_declared_before"] == "true" and late.tags["claim_declared_before"] == "false"
    assert "claim" not in plain.tags and "claim.endpoint" not in plain.params
    assert one.params["claim.endpoint"] == "slope_per_ap"
    kept = first.aggregates.custom["claim"]
    assert kept["verdict"] == one.tags["claim_answer"] and kept["declared_at"] == one.tags["claim_declared_at"]
    assert first.aggregates.custom["summary"][0].startswith("Claim: slope_per_ap is above 0.001 (alpha 0.05).")
    assert main(["runs", "--hypothesis", "h001"]) == 0
    said = capsys.readouterr().out
    assert "hypothesis h001, 2 runs" in said and "sufficiency: yes" in said and "necessity: no run" in said
    assert main(["runs", "--hypothesis", "h'; drop"]) == 2
    assert main(["gallery", "site", "--title", "What was claimed"]) == 0
    overview = (tmp_path / "site" / "index.html").read_text()
    assert "What was claimed" in overview and overview.count('<li class="run"') == 3
    assert "slope_per_ap is above 0.001" in overview and '<option value="h001">' in overview
    page = (tmp_path / "site" / "runs" / f"{first.run_id}.html").read_text()
    assert "Other runs" in page and f"../runs/{again.run_id}.html" in page
    assert main(["gallery", "few", plain.run_id[:8]]) == 0
    assert (tmp_path / "few" / "index.html").read_text().count('<li class="run"') == 1
    capsys.readouterr()
    for words, said in (
        (["gallery"], "wants a folder"),
        (["gallery", ""], "wants a folder"),
        (["gallery", "site", "--where", "nonsense"], "--where 'nonsense'"),
        (["gallery", "site", "--sweep", "x' or '1"], "no id of a sweep"),
        (["gallery", "site", "--study", "unheard_of"], "no runs found"),
        (["gallery", "."], "is not empty and holds no gallery"),
    ):
        assert main(words) == 2, words
        assert said in capsys.readouterr().err
    assert main([*RUN, "claim.alpha=0.01"]) == 2
    assert "set stats.confidence=0.99" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="smallest"):
        paribus.run([*RUN, "claim.direction=none", "claim.smallest=0"])


@pytest.mark.soak
def test_a_claim_about_a_comparison_is_declared_before_answered_and_shown(tmp_path, monkeypatch, capsys):
    """From the runs to the ledger: claimed before it is compared, answered by the interval of the declared family."""
    import paribus
    from paribus.cli.main import main
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    monkeypatch.chdir(tmp_path)
    seeds, strengths = range(6), ("0.5", "0.9")
    for seed in seeds:
        for confounding in strengths:
            paribus.run([*RUN[:-3], f"data.confounding={confounding}", f"seed={seed}", "parent_hypothesis=h002"])
    compare = [
        "experiment=compare", "experiment.experiment_type=family_1d_sweep", "experiment.metrics=[slope_per_ap]",
        "experiment.group_by=[data.confounding]", "experiment.reference='0.5'", "figures.formats=[png]",
        "parent_hypothesis=h002",
    ]  # fmt: skip
    claim = ["claim.endpoint=slope_per_ap", "claim.direction=none", "claim.smallest=0.05"]
    found, late = paribus.run([*compare, *claim]), paribus.run([*compare, *claim[:1], "claim.direction=above"])
    tests = found.tables["tests"].frame
    row = tests[tests["endpoint"] == "slope_per_ap"].iloc[0]
    kept = found.aggregates.custom["claim"]
    assert (kept["low"], kept["high"]) == (row["ci_adj_low"], row["ci_adj_high"]) and kept["value"] == row["difference"]
    inside = row["ci_adj_low"] > -0.05 and row["ci_adj_high"] < 0.05
    assert kept["verdict"] == (SUPPORTED if inside else UNDECIDED)
    store = open_store(TrackingSpec(kind="local", folder="."), writing=False)
    one, other = (store.get(each.run_id) for each in (found, late))
    assert one.identity == other.identity and one.tags["claim_answer"] == kept["verdict"]
    assert one.tags["claim_declared_before"] == other.tags["claim_declared_before"] == "false"
    assert "declared after 12 of 12 runs that it compares were finished" in found.aggregates.custom["summary"][0]
    for seed in range(50, 53):
        for confounding in strengths:
            paribus.run([*RUN[:-3], *claim, f"data.confounding={confounding}", f"seed={seed}"])
    planned = paribus.run([*compare, *claim, "experiment.where=[seed=50..52]"])
    assert store.get(planned.run_id).tags["claim_declared_before"] == "true", "its runs began with the same claim"
    capsys.readouterr()
    assert main(["runs", "--hypothesis", "h002"]) == 0
    said = capsys.readouterr().out
    assert "hypothesis h002, 15 runs" in said
    (line,) = [line for line in said.splitlines() if line.startswith(found.run_id[:8])]
    assert "slope_per_ap lies within ±0.05 (alpha 0.05)" in line and f"after     {kept['verdict']}" in line
    assert main(["gallery", "site"]) == 0
    overview = (tmp_path / "site" / "index.html").read_text()
    cards = overview[overview.index('class="runs"') :]
    card = cards[cards.index(f'runs/{found.run_id}.html">') :].partition("</li>")[0]
    assert f'<span class="verdict">{kept["verdict"]}</span>' in card and "slope per ap: 0.9 − 0.5" in card
    assert "0.9 against 0.5, slope_per_ap: " in card and "95 % CI" in card, "its sentence tells the interval"
    page = (tmp_path / "site" / "runs" / f"{found.run_id}.html").read_text()
    assert "Claim: slope_per_ap lies within ±0.05 (alpha 0.05)." in page
