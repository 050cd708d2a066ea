"""Comparisons refuse what their runs do not support, name it, and write on the figures what was admitted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paribus.compare.compare import ALLOW, Compare
from paribus.compare.honesty import CHECKS, Grouping, expected_units, in_order
from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup_runs import CollectedRun, RunsSetup
from paribus.stats.spec import StatsSpec


def runs(seeds=range(4), groups=("a", "b")):
    return [
        CollectedRun(
            run_id=f"{group}{seed}", identity=f"{group}{seed}", experiment_type="t", seed=seed, condition=group,
            metrics={"score": seed / 10 + len(group)}, code_version="c", params={"data.seed": seed},
            tags={"data_digest": f"d{seed}", "model_digest": "none", "evidence": "interventional"},
        )
        for group in groups for seed in seeds
    ]  # fmt: skip


def compared(collected, **settings):
    settings = {"metrics": ["score"], "experiment_type": "t", **settings}
    return perform(Compare(**settings), RunsSetup(seed=0, stats=StatsSpec(), runs=collected), MemoryRecorder())


def changed(index, **changes):
    found = runs()
    found[index] = replace(found[index], **changes)
    return found


def tagged(index, **tags):
    return changed(index, tags={**runs()[index].tags, **tags})


again = replace(runs()[0], run_id="again", started_at="2026-11-01")
other = replace(runs()[0], run_id="other", identity="other", params={"data.seed": 0, "experiment.k": 3})
DISHONEST = {
    "missing_replicates": (runs()[:-1], {}, "b lacks 3"),
    "duplicates": ([*runs(), again], {}, "2 finished runs share 1 identity (a0 and again)"),
    "pooled_runs": ([*runs(), other], {}, "2 runs of t share group and replicate with another and differ in"),
    "mixed_code": (changed(0, code_version="x"), {}, "made by 2 versions of the code: x (1), c (7)"),
    "mixed_data": (tagged(0, data_digest="changed"), {}, "replicates 0 saw other data in other groups"),
    "mixed_models": (
        [replace(r, model_run=f"m{r.condition}{r.seed}", params={**r.params, "experiment.k": r.condition})
         for r in runs()],
        {"group_by": ["experiment.k"]}, "replicates 0, 1, 2, 3 are other models in other groups",
    ),
    "mixed_evidence": (tagged(0, evidence="observational"), {}, "t is interventional, t is observational"),
    "selected_on_reported": (
        changed(0, params={"data.seed": 0, "checkpoint": "peak_ood"}), {}, "1 runs read the checkpoint peak_ood"
    ),
    "shared_data": (
        [replace(r, tags={**r.tags, "data_digest": "same"}, params={"data": "tissue"}) for r in runs()], {},
        "4 replicates of a share their data with another",
    ),
}  # fmt: skip


def test_every_check_has_a_case_and_a_name_that_admits_it():
    assert set(DISHONEST) == set(CHECKS) == set(ALLOW)


def test_honest_runs_are_compared_and_nothing_is_written_on_the_figures():
    result = compared(runs())
    assert result.diagnostics.warnings == ()
    assert not result.tables["completeness"].frame["n_found"].any()
    assert not any("note" in figure.options for figure in result.figures)


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_each_is_refused_with_the_list_and_the_override_and_then_written_on_every_figure(check):
    found, settings, words = DISHONEST[check]
    with pytest.raises(ExperimentError) as refused:
        compared(found, **settings)
    assert words in str(refused.value) and "\n" not in str(refused.value)
    assert f"experiment.allow=[{check}]" in str(refused.value)
    result = compared(found, **settings, allow=[check])
    assert result.figures and all(words in figure.options["note"] for figure in result.figures)
    row = result.tables["completeness"].frame.set_index("check").loc[check]
    assert row["admitted"] and words in row["found"]
    assert words in result.aggregates.custom["summary"][0]
    with pytest.raises(ConfigError, match=check):
        Compare(metrics=["score"], experiment_type="t", **settings).validate(
            RunsSetup(seed=0, stats=StatsSpec(), runs=found)
        )


def test_several_are_named_together_and_those_admitted_already_stay_in_the_override():
    found = [replace(run, code_version=run.run_id) for run in runs()[:-1]]
    with pytest.raises(ExperimentError, match=r"missing_replicates: .* \| mixed_code: .*\[missing_replicates,"):
        compared(found)
    with pytest.raises(ExperimentError, match=r"\[missing_replicates,mixed_code\]"):
        compared(found, allow=["mixed_code"])


def test_what_counts_as_missing():
    assert compared(runs(range(4), ("a",)) + runs(range(10, 14), ("b",))).success, "other seeds by design"
    with pytest.raises(ExperimentError, match="a lacks 4; b lacks 4"):
        compared(runs(), where=["seed=0..4"])
    failed = replace(runs([7], ("a",))[0], status="FAILED")
    with pytest.raises(ExperimentError, match="a lacks 7"):
        compared([*runs(groups=("a",)), failed])
    gone = [replace(run, status="KILLED") for run in runs(range(2), ("c",))]
    with pytest.raises(ExperimentError, match=r"c has no finished run \(0, 1\)"):
        compared([*runs(), *gone])
    with pytest.raises(ExperimentError, match="no score in a/1"):
        compared(changed(1, metrics={"score": float("nan")}))


def test_replicates_are_in_the_order_of_their_numbers():
    assert sorted(["10", "9", "x", "2, 3", "2, 12"], key=in_order) == ["2, 3", "2, 12", "9", "10", "x"]
    assert expected_units(Grouping(("a",), ("seed",), ("seed=0..2|7",))) == {"0", "1", "2", "7"}
    assert expected_units(Grouping(("a",), ("seed",), ("seed>=2",))) == frozenset()


def test_digests_of_runs_without_the_tags_come_from_their_provenance():
    older = [replace(run, tags={}, origin={"data_digest": "same"}) for run in runs()]
    with pytest.raises(ExperimentError, match="shared_data"):
        compared(older)
