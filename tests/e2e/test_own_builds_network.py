"""A stranger's network over builds: one function and one YAML, drawn from the seed, from a file, trained, refused."""

from __future__ import annotations

import shutil

import pytest
import torch

import paribus
from paribus.errors import ConfigError
from paribus.tracking import local
from paribus.tracking.relocate import relocate

PACKAGE = '''
import torch
from torch import nn


class Net(nn.Module):
    """Scores every token from the mean over the tokens that are there, and the weapon."""

    def __init__(self, n_tokens, n_weapons):
        super().__init__()
        self.embed, self.weapon = nn.Embedding(n_tokens, 6), nn.Embedding(n_weapons, 6)
        self.out = nn.Linear(6, n_tokens)

    def forward(self, ids, weapon, padding):
        there = (~padding).float().unsqueeze(-1)
        mean = (torch.tanh(self.embed(ids)) * there).sum(1) / there.sum(1).clamp(min=1)
        return self.out(mean + self.weapon(weapon[:, 0]))


class Blind(Net):
    def forward(self, ids, weapon, padding):
        return super().forward(ids, weapon, torch.zeros_like(padding))


class Narrow(Net):
    def forward(self, ids, weapon, padding):
        return super().forward(ids, weapon, padding)[:, :5]


def net(tokens, specials, kind: str = "Net"):
    return globals()[kind](len(tokens), len(specials))
'''
DATA = ["data=builds_generated", "data.n_builds=30"]
QUICK = ["stats=quick", "stats.n_null=2", "stats.n_bootstrap=100", "stats.n_permutations=99", "figures.formats=[]"]
SWEEP = [
    *("experiment=sweep", "factor@experiment.factor=family", "experiment.factor.rungs=[12]", *QUICK),
    *("feature=logit", "feature.token=run_speed_up_3"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, migrated_database):
    where = tmp_path_factory.mktemp("own_builds")
    shutil.copy2(migrated_database, where / local.DATABASE)
    (where / "conf" / "model").mkdir(parents=True)
    (where / "own_set_net.py").write_text(PACKAGE)
    (where / "conf" / "model" / "own.yaml").write_text("_target_: own_set_net.net\nweights: null\n")
    return where


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    relocate(folder)
    monkeypatch.syspath_prepend(str(folder))

    def run(*words, **further):
        return paribus.run([*words], config_dir="conf", **further)

    return run


def effect(result):
    frame = result.tables["effects"].frame
    return float(frame["mean_readout"].iloc[0]), float(frame["mean_delta"].iloc[0])


def test_weights_are_drawn_from_the_seed_or_come_from_the_file(run, folder):
    import own_set_net

    from paribus.subjects.builds.vocabulary import Vocabulary
    from paribus.subjects.builds.weapons import Weapons

    off = [*SWEEP, *DATA, "model=own", "tracking=off"]
    torch.manual_seed(1)
    drawn = effect(run(*off))
    torch.manual_seed(2)
    assert effect(run(*off)) == drawn
    net = own_set_net.net(Vocabulary.default().tokens, [one.special for one in Weapons.default().weapons])
    torch.save(net.state_dict(), folder / "weights.pt")
    loaded = effect(run(*off, "model.weights=weights.pt"))
    assert loaded != drawn
    assert effect(run(*SWEEP, *DATA, "tracking=off", model=net)) == loaded


def test_what_was_trained_is_what_is_measured(run):
    run("experiment=train_set_completion", "experiment.epochs=1", *DATA, "model=own", "figures.formats=[]")
    trained = effect(run(*SWEEP, "model=tracked"))
    assert trained != effect(run(*SWEEP, *DATA, "model=own", "tracking=off"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["+model.kind=Blind"], "another output for a padded build than for the same one alone"),
        (["+model.kind=Narrow"], r"the shape \(1, 5\) for one build; it must score each of the \d+ tokens"),
        (["+model.kind=Vocabulary"], "own_set_net.net: raised KeyError"),
    ],
)
def test_what_reads_no_builds_is_refused_before_anything_runs(run, words, said):
    with pytest.raises(ConfigError, match=said):
        run(*SWEEP, *DATA, "model=own", *words, "dry_run=true")


@pytest.mark.parametrize("model", ["own", "planted"])
def test_an_autoencoder_without_the_vector_that_it_reads_is_refused_before_anything_runs(run, model):
    with pytest.raises(ConfigError, match="an autoencoder of builds reads output_layer.input"):
        run("experiment=train_sae", *DATA, f"model={model}", "dry_run=true")
