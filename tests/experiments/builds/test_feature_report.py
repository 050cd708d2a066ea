"""Twenty reports, of planted features and of latents of a small trained autoencoder: every sentence holds."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from paribus.experiments.base import perform
from paribus.experiments.builds import _report_sentences as sentences
from paribus.experiments.builds.decoder_output_analysis import DecoderOutputAnalysis
from paribus.experiments.builds.family_1d_sweep import Family1dSweep
from paribus.experiments.builds.feature_report import FeatureReport
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.builds.minimal_cores import MinimalCores
from paribus.experiments.builds.pairwise_interactions import PairwiseInteractions
from paribus.experiments.builds.token_influence_sweep import TokenInfluenceSweep
from paribus.experiments.builds.weapon_group_analysis import WeaponGroupAnalysis
from paribus.experiments.builds.weapon_sweep import WeaponSweep
from paribus.experiments.feature_survey import FeatureSurvey
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup_results import ResultsSetup
from paribus.experiments.validation.shuffle_null import ShuffleNull
from paribus.experiments.validation.split_half import SplitHalf
from paribus.features.latent import Latent
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.planted_feature import PlantedFeature

STATS = StatsSpec(n_bootstrap=100, n_permutations=99, n_null=20)
EVERY, SOME, FEW = "every", "some", "few"
PLANTED = {
    "threshold": ("SCU", "QR", EVERY),
    "dose": ("SSU", "ninja_squid", FEW),
    "and": ("QR", "SS", SOME),
    "or": ("ISM", "ISS", FEW),
    "xor": ("IA", "QSJ", SOME),
    "relu_sum": ("RSU", "IRU", FEW),
    "clamped_sum": ("INKR", "SRU", FEW),
    "suppression": ("SPU", "ninja_squid", FEW),
    "weapon_gate": ("SSU", "QR", EVERY),
    "saturating": ("IRU", "RSU", FEW),
    "noisy": ("SSU", "QR", EVERY),
    "joint_gate": ("SCU", "SSU", FEW),
    "class_gate": ("SCU", "SSU", SOME),
    "long_dose": ("ISM", "SSU", FEW),
    "hump": ("SSU", "QR", FEW),
    "faint": ("SSU", "ninja_squid", FEW),
}
"""Features with the families that are swept, and how many steps their report has."""
LATENTS = 4


@pytest.fixture(scope="module")
def corpus():
    return BuildsGenerated(n_builds=200, seed=1).load()


@pytest.fixture(scope="module")
def trained(corpus):
    """A small set model trained for a moment, with its autoencoder."""
    from paribus.experiments.train_sae import TrainSAE
    from paribus.subjects.builds.models.set_completion import SetCompletion

    spec = SetCompletion(embedding=8, hidden=16, n_layers=1, n_heads=2, n_inducing=2)
    recorder = MemoryRecorder()
    training = TrainSAE(n_features=24, steps=120, batch_size=64, n_evaluations=3, dead_after=40, n_vectors=400)
    perform(training, build_setup(data=corpus, model=spec, seed=0, stats=STATS), recorder)
    specials = [weapon.special for weapon in corpus.weapons.weapons]
    kept = recorder.workspace.load(recorder.workspace.published[0])
    return spec.restore(kept, tokens=corpus.vocabulary.tokens, specials=specials)


@pytest.fixture(scope="module")
def grammar():
    spec = importlib.util.spec_from_file_location("report_grammar", Path(__file__).with_name("report_grammar.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def steps(first, second, which):
    """Return the small experiments that a report reads; the costly ones only where asked for."""
    target = Family1dSweep(family=first)
    weapons = [WeaponSweep(swap_contexts=30), WeaponGroupAnalysis(min_examples=3)]
    pairs = [PairwiseInteractions(candidates=[first, second, "SubPU"], triples=False)]
    validation = [SplitHalf(target=target, n_splits=10, n_shuffles=39), ShuffleNull(target=target, n_shuffles=39)]
    return [
        TokenInfluenceSweep(high_quantile=0.9, influence_contexts=50, unit="family" if first == "SSU" else "token"),
        Family1dSweep(family=first, placebo_contexts=0),
        *([] if which == FEW else [Family1dSweep(family=second, placebo_contexts=0), MinimalCores(max_contexts=8)]),
        *([] if which == FEW else pairs),
        *([] if which == FEW else weapons),
        *([DecoderOutputAnalysis(max_contexts=20), *validation] if which == EVERY else []),
    ]


def reported(corpus, model, feature, experiments, *, first=(), **fields):
    """Return a report and the results it was made from."""

    def setup():
        return build_setup(data=corpus, model=model, feature=feature, seed=0, stats=STATS, batch_limit=8192)

    results = [*first, *(perform(each, setup(), MemoryRecorder()) for each in experiments)]
    where = ResultsSetup(seed=0, stats=STATS, results=tuple(results), **fields)
    return perform(FeatureReport(), where, MemoryRecorder()), results


def held(grammar, report, results):
    """Hold every sentence of a report, and return the tables they speak of."""
    reader = grammar.Reader(report, results)
    for sentence in report.aggregates.custom["summary"]:
        reader.hold(sentence)
    return reader.kinds


@pytest.mark.parametrize("feature", PLANTED)
def test_every_sentence_about_a_planted_feature_holds(corpus, hard, grammar, rules, feature):
    *families, which = PLANTED[feature]
    report, results = reported(corpus, hard.MODEL, PlantedFeature(feature), steps(*families, which))
    assert [line for table in report.tables.values() for line in rules.problems(table)] == []
    spoken = {FEW: set(), SOME: {"weapons"}, EVERY: {"weapons", "output", "checks"}}
    assert {"drivers", "doses"} | spoken[which] <= set(held(grammar, report, results))


def test_every_sentence_about_trained_latents_holds(corpus, trained, grammar):
    survey = perform(
        FeatureSurvey(n_features=LATENTS, min_firing=0.0, max_firing=1.0, screen_contexts=40),
        build_setup(data=corpus, model=trained, seed=0, stats=STATS),
        MemoryRecorder(),
    )
    reader = grammar.Reader(_with_sd(survey), [])
    for sentence in survey.aggregates.custom["summary"]:
        reader.hold(sentence)
    for row in survey.tables["chosen"].frame.to_dict("records"):
        tokens = TokenInfluenceSweep(high_quantile=0.9, influence_contexts=50)
        experiments = [tokens, *steps(row["family_1"], row["family_2"], FEW)[1:]]
        number = int(row["feature_id"])
        report, results = reported(
            corpus,
            trained,
            Latent(number),
            experiments,
            first=[survey],
            feature_name=f"latent {number}",
            feature_id=number,
        )
        assert {"survey", "drivers", "doses"} <= set(held(grammar, report, results))


def _with_sd(survey):
    survey.aggregates.custom["sd"] = 1.0
    return survey


def rows(*given, **columns):
    """Return a table of a report: name, verdict, effect, interval and n of each row."""
    frame = pd.DataFrame(given, columns=["token", "verdict", "mean_delta", "ci_low", "ci_high", "n"])
    frame = frame.assign(ci_adj_low=frame["ci_low"], ci_adj_high=frame["ci_high"], p=0.01, p_adj=0.01)
    same = {"null_percentile": 99.0, "observed_p_adj": 1.0, "step_from": 0, "ci_method": "percentile"}
    return frame.assign(**(same | columns))


def said(lines):
    """Return sentences as one text."""
    return lines if isinstance(lines, str) else "\n".join(lines)


def test_a_step_down_on_a_rising_curve_says_from_where_it_leads():
    frame = rows(("swim_speed_up_51", "drives it", -0.3, -0.4, -0.2, 60), step_from=38)
    text = said(sentences.drivers(frame, 1.0))
    assert "Lowered by 1 token" in text and "swim_speed_up_51 (from 38 AP) -0.30 sd [-0.40, -0.20]" in text


def test_the_largest_effect_stands_beside_no_weapon_moves_it():
    frame = rows(("Luna Blaster", "moves it, like other features", 1.17, 0.9, 1.4, 200), null_percentile=80.0)
    text = said(sentences.weapons(frame.rename(columns={"token": "weapon"}), 1.0))
    assert "No weapon" in text and "Luna Blaster +1.17 sd [+0.90, +1.40]" in text
    assert "1 weapon moves it" in text


def test_an_undecided_cause_is_listed_with_its_n_and_not_as_mere_correlation():
    columns = {"observed_p_adj": 0.01}
    frame = rows(("a", "undecided, n too small", 0.3, -0.1, 0.7, 11), ("b", "only correlated", 0, 0, 0, 300), **columns)
    text = said(sentences.correlated(frame, None))
    assert "Only correlation: 1 token goes along with it, an effect that counts is excluded: b (" in text
    assert "too few contexts to tell whether it is a cause: a (n 11) (drivers, row 1)" in text


def test_the_largest_effect_is_told_whether_or_not_builds_show_its_rung(corpus, hard):
    """Builds that happen to show the highest rungs are rare; the rung is set all the same."""
    sweep = Family1dSweep(family="ISM", placebo_contexts=0)
    report, (result,) = reported(corpus, hard.MODEL, PlantedFeature("long_dose"), [sweep])
    frame = result.tables["rung_deltas"].frame
    tested = frame[frame["p"].notna()]
    largest = tested.loc[tested["mean_delta"].abs().idxmax()]
    assert largest["rung"] == tested["rung"].max()
    (line,) = (line for line in report.aggregates.custom["summary"] if line.startswith("ISM "))
    assert f"largest at {largest['rung']:.0f} AP" in line and "slope +" in line


def test_a_page_that_gathers_runs_speaks_of_contexts_and_one_that_compares_them_of_seeds(corpus, hard):
    from paribus.report.page import render

    report, _ = reported(corpus, hard.MODEL, PlantedFeature("dose"), [Family1dSweep(family="SSU", placebo_contexts=0)])
    page = render(report, {})
    assert "speak about contexts, by source build" in page and "speak about seeds" not in page
    compared = dataclasses.replace(report, subject="runs")
    assert "speak about seeds" in render(compared, {})
    assert "<button>row</button>" in page
