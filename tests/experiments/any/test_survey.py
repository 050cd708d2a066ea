"""The survey of any network: planted units are found, noise is not, and every number is what a loop gives."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError, ExperimentError
from paribus.experiments.any._features import surveyed as features_of
from paribus.experiments.any.match_features.sides import sides_of
from paribus.experiments.any.match_features.spec import MatchFeatures
from paribus.experiments.any.scan_features.spec import ScanFeatures
from paribus.experiments.base import perform
from paribus.experiments.feature_survey import FeatureSurvey
from paribus.experiments.recording import MemoryRecorder
from paribus.measure import Contexts
from paribus.models.nets.sae import identity_autoencoder

from .conftest import setup_of

LABEL, DOMAIN, DEAD, ALWAYS, USELESS = 0, 1, 2, 3, 4
NOISE = range(5, 12)
SURVEY = FeatureSurvey(place="gate", n_features=2, n_permutations=199, min_firing=0.05, max_firing=0.8)
_SPEC = importlib.util.spec_from_file_location(
    "rules_of_intervals", Path(__file__).parents[2] / "contract/intervals.py"
)
rules = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(rules)


class Net(nn.Module):
    """All units but one are read by the output; the input is what they are before the ReLU."""

    def __init__(self):
        super().__init__()
        self.gate = nn.ReLU()
        self.out = nn.Linear(12, 2, bias=False)
        with torch.no_grad():
            self.out.weight.copy_(torch.stack([-torch.arange(1.0, 13), torch.arange(1.0, 13)]) * 0.1)
            self.out.weight[:, USELESS] = 0

    def forward(self, x):
        return self.out(self.gate(x))


def contexts(seed=0, *, signal=1.0, n_clusters=60, size=4, splits=None):
    rng = np.random.default_rng(seed)
    n = n_clusters * size
    cluster = np.arange(n) // size
    label, domain = rng.integers(0, 2, n_clusters)[cluster], rng.integers(0, 3, n)
    x = 0.5 * rng.normal(size=(n_clusters, 12))[cluster] + 0.5 * rng.normal(size=(n, 12))
    x[:, LABEL] += signal * (3.0 * label - 1.5)
    x[:, USELESS] += signal * (3.0 * label - 1.5)
    x[:, DOMAIN] += signal * (2.0 * domain - 3.0)
    x[:, DEAD], x[:, ALWAYS] = -1, 9 + x[:, ALWAYS]
    return Contexts(
        inputs=x.astype(np.float32), cluster=cluster, label=label, domain=[f"site {one}" for one in domain],
        output_names=("no", "yes"), splits=splits or {"all": np.arange(n)},
    )  # fmt: skip


def surveyed(setup, experiment=SURVEY):
    experiment.validate(setup)
    return perform(experiment, setup, MemoryRecorder(), subject="arrays")


@pytest.fixture(scope="module")
def found():
    setup = setup_of(Net(), contexts())
    return surveyed(setup), setup


def test_planted_units_are_chosen_and_each_stage_holds_what_belongs_there(found):
    result, _ = found
    chosen = result.tables["chosen"].frame.set_index("feature_id")
    assert set(chosen.index) == {LABEL, DOMAIN}
    assert chosen.loc[LABEL, ["leading", "leading_group"]].tolist() == ["label", "yes"]
    assert chosen.loc[DOMAIN, ["leading", "leading_group"]].tolist() == ["domain", "site 2"]
    assert (chosen["p_adj"] <= 0.05).all()
    frame = result.tables["features"].frame.set_index("feature")
    assert frame.loc[DEAD, "stage"] == "silent" and frame.loc[ALWAYS, "stage"] == "outside the window"
    assert frame.loc[[DEAD, ALWAYS], "p"].isna().all() and frame.loc[USELESS, "output_effect"] == 0
    assert not frame.loc[USELESS, "chosen"] and frame.loc[[LABEL, DOMAIN], "beyond_chance"].all()
    assert (frame.loc[list(NOISE), "p_adj"] > 0.05).all() and frame.loc[USELESS, "p_adj"] <= 0.05
    assert result.aggregates.custom["n_held_in_other_half"] == 3 and result.aggregates.custom["n_dead"] == 1
    assert str(result.tables["screened"].evidence) == "interventional"


def test_sentences_say_what_was_found(found):
    result, _ = found
    rule, *sentences = result.aggregates.custom["summary"]
    assert "one half of the clusters of all" in rule and "fire in 5% to 80%" in rule
    text = " ".join(sentences)
    assert "Unit 0 fires in" in text and "label explains" in text and "most active at yes" in text
    assert "yes most (-" in text or "no most (+" in text


def test_numbers_are_those_of_a_loop(found):
    result, setup = found
    subject, rows = setup.contexts, np.arange(240)
    ids = np.unique(subject.cluster)
    half = np.isin(subject.cluster, setup.rng("feature_survey").permutation(ids)[: len(ids) // 2])
    f = torch.relu(subject.contexts.given.tensors[0]).numpy().astype(float)
    frame = result.tables["features"].frame.set_index("feature")

    def share(values, group):
        total, n, k = ((values - values.mean()) ** 2).sum(), len(values), len(np.unique(group))
        within = sum(((values[group == g] - values[group == g].mean()) ** 2).sum() for g in np.unique(group))
        return max(0.0, 1 - (within / (n - k)) / (total / (n - 1)))

    for unit, factor in ((LABEL, subject.label), (DOMAIN, subject.domain)):
        assert frame.loc[unit, "firing_rate"] == (f[half, unit] > 0).mean()
        assert frame.loc[unit, "selectivity"] == pytest.approx(share(f[half, unit], factor[half]), abs=1e-6)
        assert frame.loc[unit, "selectivity_other_half"] == pytest.approx(
            share(f[~half, unit], factor[~half]), abs=1e-6
        )
    on = rows[half]
    weight = setup.network.out.weight.detach().numpy()
    screened = frame.index[frame["output_effect"].notna()]
    assert {LABEL, DOMAIN, USELESS} <= set(screened) and len(screened) < 7
    for unit in screened:
        moved = -np.outer(f[on, unit], weight[:, unit] - weight[:, unit].mean())
        assert frame.loc[unit, "output_effect"] == pytest.approx(np.sqrt((moved**2).mean()), rel=1e-4)


def test_every_p_says_how_it_was_made(found):
    assert [line for table in found[0].tables.values() for line in rules.problems(table)] == []


def test_figures_are_drawn(found):
    from paribus.figures.draw import draw

    frames = {key: table.frame for key, table in found[0].tables.items()}
    assert [bool(draw(figure, frames).axes) for figure in found[0].figures] == [True, True]


def test_latents_of_an_autoencoder_that_copies_units_give_the_numbers_of_the_units(found, tmp_path):
    sae = identity_autoencoder(12, torch.full((12,), 50.0))
    own = setup_of(Net(), contexts())
    own.parts["gate"] = sae
    torch.save(sae.state_dict(), tmp_path / "sae.pt")
    from_file = dataclasses.replace(SURVEY, path=str(tmp_path / "sae.pt"), clamp=None)
    auto = dataclasses.replace(SURVEY, place="auto")  # where the only autoencoder reads
    for setup, experiment in ((own, auto), (setup_of(Net(), contexts()), from_file)):
        result = surveyed(setup, experiment)
        assert result.aggregates.custom["kind"] == "latent" and result.aggregates.custom["place"] == "gate"
        for name in ("selectivity", "p", "p_adj", "output_effect"):
            mine, units = (one.tables["features"].frame[name].to_numpy() for one in (result, found[0]))
            assert mine == pytest.approx(units, rel=1e-4, abs=1e-6, nan_ok=True), name


def test_it_chooses_on_the_split_that_others_fit_on_and_never_looks_at_the_reported_one():
    rows = np.arange(240)
    data = contexts(splits={"train": rows[:120], "test": rows[120:]})
    first = surveyed(setup_of(Net(), data))
    assert first.aggregates.custom["split"] == "train" and first.aggregates.n_samples == 120
    changed = data.given.tensors[0].clone()
    changed[120:] = 0
    again = surveyed(setup_of(Net(), dataclasses.replace(data, inputs=changed)))
    assert again.tables["features"].frame.equals(first.tables["features"].frame)


def test_where_nothing_goes_along_with_anything_nothing_holds_more_often_than_the_level_says():
    """24 networks without a signal; the level is 5 % over all units of a network (99.9 % binomial bound)."""
    held, told = 0, {True: "none of them more than by chance", False: "of them more than by chance"}
    for seed in range(24):
        setup = setup_of(Net(), contexts(seed, signal=0.0, n_clusters=40, size=2), seed=seed)
        one = dataclasses.replace(SURVEY, n_permutations=99, screen_contexts=10)
        result = perform(one, setup, MemoryRecorder())
        held += result.aggregates.custom["n_held_in_other_half"] > 0
        beyond = result.tables["features"].frame["beyond_chance"].sum()
        assert told[beyond == 0] in result.aggregates.custom["summary"][0]
    assert held <= 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rung": 12}, "experiment.rung=12: belongs to builds"),
        ({"n_features": 13}, "experiment.n_features=13: gate has 12 units"),
        ({"split": "trian"}, "there is no such split"),
        ({"place": "gat"}, "gat"),
    ],
)
def test_what_does_not_exist_is_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(SURVEY, **changes).validate(setup_of(Net(), contexts()))


def test_several_networks_few_clusters_and_nothing_to_go_along_with_are_refused():
    setup = setup_of(Net(), contexts())
    with pytest.raises(ConfigError, match="checkpoint=all: a survey is of one network"):
        SURVEY.validate(dataclasses.replace(setup, checkpoint="all"))
    with pytest.raises(ConfigError, match="8 clusters are too few"):
        SURVEY.validate(setup_of(Net(), contexts(n_clusters=8)))
    bare = dataclasses.replace(contexts(), label=None, domain=None)
    with pytest.raises(ConfigError, match="neither classes nor domains"):
        SURVEY.validate(setup_of(Net(), bare))
    with pytest.raises(ExperimentError, match="no unit of gate fires in 97% to 98%"):
        surveyed(setup, dataclasses.replace(SURVEY, min_firing=0.97, max_firing=0.98))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["experiment.path=nofile.pt"], "a survey of builds reads the model's own autoencoder; leave it out"),
        (
            ["data=digits_scanners", "model=small_cnn", "model.untrained=true", "experiment.rung=12"],
            "belongs to builds",
        ),
    ],
)
def test_fields_of_other_data_are_refused_before_a_model_is_trained(words, message):
    import paribus

    with pytest.raises(ConfigError, match=message):
        paribus.run(["experiment=feature_survey", *words, "dry_run=true", "tracking=off"])


@pytest.mark.parametrize(("kept", "said"), [("gate.output", "gate"), ("gate", "gate.output"), ("gate", "gate")])
def test_a_place_in_other_words_still_means_its_autoencoder(kept, said):
    """Not units without a word: train_sae keeps an autoencoder of ``gate`` as one of ``gate.output``."""
    setup = setup_of(Net(), contexts())
    setup.parts[kept] = identity_autoencoder(12, torch.full((12,), 9.0))
    for experiment in (FeatureSurvey(place=said), ScanFeatures(place=said)):
        named = {"place": experiment.place, "path": experiment.path, "clamp": experiment.clamp}
        found = features_of(setup, setup.executor(), **named)
        assert (found.kind, found.site) == ("latent", kept)
    first, second = sides_of(MatchFeatures(place=said, other_place=kept), setup, read=False)
    assert first.site == second.site == kept
    with pytest.raises(ConfigError, match="no module 'wall'"):
        features_of(setup, setup.executor(), place="wall", path=None, clamp=None)
