"""What a dry run accepts does not fail for the size of the data: types asked for on data far too small for them.

What only measuring tells (that no latent fires, say) may stop a run; what the data alone tell must be refused before.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from paribus.cli.launch import validate
from paribus.config.compose import jobs
from paribus.errors import ParibusError
from paribus.running.run import run_job

_SPEC = importlib.util.spec_from_file_location("golden_of_sizes", Path(__file__).parents[1] / "golden" / "golden.py")
golden = importlib.util.module_from_spec(_SPEC)
sys.modules["golden_of_sizes"] = golden
_SPEC.loader.exec_module(golden)
pytestmark = pytest.mark.usefixtures("undrawn_figures", "workdir")

MEASURED = ("has an activation above 0", "no latent fires", "are legal with any two of")
"""What only measuring tells: activations, and what is legal with candidates that were chosen by their effects."""
TARGETS = {
    "family_1d_sweep": ["experiment.target.family=swim_speed_up"],
    "family_2d_heatmap": ["experiment.target.family_x=swim_speed_up", "experiment.target.family_y=quick_respawn"],
    "conditional_interactions": ["experiment.target.modulator=sub_power_up"],
    "token_influence_sweep": ["experiment.target.unit=family"],
    **dict.fromkeys(("binary_presence_effect", "core_coverage_analysis", "frequent_itemsets", "kit_sweep",
                     "minimal_cores", "pairwise_interactions", "weapon_group_analysis", "weapon_sweep",
                     "within_family_interference"), []),
}  # fmt: skip
"""What is validated, and what it must be told."""
GENERIC_TARGETS = {
    "sweep": ["factor@experiment.target.factor=family", "experiment.target.factor.family=swim_speed_up"],
    "grid": [
        *("factor@experiment.target.factor=family", "experiment.target.factor.family=swim_speed_up"),
        *("factor@experiment.target.other=family", "experiment.target.other.family=quick_respawn"),
    ],
    "swap": ["factor@experiment.target.factor=family", "experiment.target.factor.family=swim_speed_up"],
    "ablate": ["factor@experiment.target.factor=families"],
    "interact": ["factor@experiment.target.factor=families"],
}
"""The same of experiments that know no subject: what is legal is counted for them too."""
FEW = ["data.contexts_per_build=1", "stats.n_bootstrap=100", "stats.n_permutations=99", "stats.n_null=0"]


def of_builds(kind, n):
    return [*golden.declared.builds_words(kind, "planted"), *FEW, f"data.n_builds={n}"]


def of_validation(kind, target, n):
    target_words = [f"experiment@experiment.target={target}", *(TARGETS | GENERIC_TARGETS)[target]]
    few = [*FEW, f"data.n_builds={n}"]
    return [f"experiment={kind}", *target_words, *golden.declared.BUILDS, "model=planted", "feature=dose", *few]


def of_tokens(kind, n):
    model = ["model=modular_transformer", "model.d_model=16", "model.untrained=true"]
    return [f"experiment={kind}", *golden.declared.QUICK, *model, f"data.p={n}"]


def accepted(words):
    """Return the request if a dry run accepts it."""
    seen = {word.partition("=")[0]: word for word in words}
    (job,) = jobs(list(seen.values()))
    try:
        validate([job])
    except ParibusError as error:
        assert "\n" not in str(error)
        return None
    return job


def holds(words):
    """Run what a dry run accepts; return whether it did."""
    job = accepted(words)
    if job is None:
        return False
    try:
        run_job(job)
    except ParibusError as error:
        assert any(known in str(error) for known in MEASURED), f"a dry run accepts {' '.join(words)}: {error}"
    return True


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_validation_of_eight_builds_is_refused_before_it_runs(target):
    assert accepted(of_validation("split_half", target, 8)) is None


@pytest.mark.parametrize("target", ["grid", "swap", "sweep"])
def test_what_is_legal_in_too_few_builds_is_not_validated(target):
    assert accepted([*of_validation("split_half", target, 40), "constraints=strict"]) is None


def test_a_rung_that_is_legal_in_no_build_is_not_swept():
    words = [word.replace("experiment.target", "experiment") for word in GENERIC_TARGETS["sweep"]]
    builds = [
        "data=builds_generated",
        *golden.declared.BUILDS,
        "model=planted",
        "feature=dose",
        *FEW,
        "data.n_builds=20",
    ]
    assert accepted(["experiment=sweep", *words, "experiment.factor.rungs=[57]", *builds]) is None


@pytest.mark.parametrize("kind", ["ablate", "cores", "feature_survey", "frequent_itemsets", "pairwise_interactions"])
def test_one_build_is_refused_before_it_is_run(kind):
    assert accepted(of_builds(kind, 1)) is None


def test_one_build_is_not_trained_on():
    model = ["model=set_completion_small", "model.embedding=8", "model.hidden=8"]
    assert (
        accepted(["experiment=train_set_completion", *golden.declared.BUILDS, *model, *FEW, "data.n_builds=1"]) is None
    )


def test_circles_of_three_numbers_are_none():
    assert accepted(of_tokens("circuit_metrics", 3)) is None


@pytest.mark.soak
@pytest.mark.parametrize("n", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("kind", [*golden.declared.BUILD_TYPES, *golden.declared.ANY_TYPES])
def test_few_builds(kind, n):
    holds(of_builds(kind, n))


@pytest.mark.soak
@pytest.mark.parametrize("n", [13, 40])
@pytest.mark.parametrize("kind", ["split_half", "shuffle_null"])
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_validations_of_few_builds(kind, target, n):
    holds(of_validation(kind, target, n))


@pytest.mark.soak
@pytest.mark.parametrize("n", [25, 40, 60, 80])
@pytest.mark.parametrize("constraints", ["legal", "strict"])
@pytest.mark.parametrize("target", sorted(GENERIC_TARGETS))
def test_generic_validations_of_few_builds(target, constraints, n):
    holds([*of_validation("split_half", target, n), f"constraints={constraints}"])


@pytest.mark.soak
@pytest.mark.parametrize("n", [3, 5, 7])
@pytest.mark.parametrize("kind", ["circuit_metrics", "subspace_isolation", "train_modular_addition"])
def test_few_numbers(kind, n):
    trained = ["experiment.epochs=2", "experiment.n_checkpoints=1", "model.untrained=false"]
    holds([*of_tokens(kind, n), *(trained if kind.startswith("train") else [])])
