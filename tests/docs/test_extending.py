"""The worked example of ``docs/extending.md``: its files are written as they stand, its commands run as they stand."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from paribus import seeds

QUICK = ["stats=quick"]
UNDRAWN = ["figures.formats=[]"]
"""For the types that the package ships; the page's own one draws its figure."""


@pytest.fixture(scope="module")
def page(documents):
    return documents.blocks(documents.root / "docs" / "extending.md")


@pytest.fixture(scope="module")
def folder(page, tmp_path_factory):
    made = tmp_path_factory.mktemp("extending")
    for block in page:
        if block.file:
            (made / block.file).parent.mkdir(parents=True, exist_ok=True)
            (made / block.file).write_text(block.text)
    return made


@pytest.fixture(scope="module")
def commands(page):
    return [words for block in page if block.language == "bash" for words in block.commands()]


@pytest.fixture(scope="module")
def printed(documents, commands, folder):
    asked = [words[1:] for words in commands if words[0] == "paribus"]
    small = [words if words[0] in ("list", "runs") else [*words, *QUICK, *_size(words)] for words in asked]
    return dict(zip((" ".join(words) for words in asked), documents.run(small, folder), strict=True))


def _size(words):
    drawn = "experiment=pixel_noise" in words and "-m" not in words
    return [*(["data.n_builds=150"] if "feature=prefers" in words else []), *([] if drawn else UNDRAWN)]


def test_every_file_of_the_tree_is_given_in_full(documents, page, folder):
    text = (documents.root / "docs" / "extending.md").read_text()
    tree = re.search(r"```\n(my_package/.*?)```", text, re.DOTALL)[1]
    named = {
        (parts[0] + name) if "/" in parts[0] else name
        for line in tree.splitlines()
        for parts in [line.split()]
        for name in (parts[1:] or parts)
    }
    assert named == {block.file for block in page if block.file}


def test_the_commands_run_as_they_stand(printed, commands):
    assert len(printed) >= 9
    assert all(words[0] in ("paribus", "python") for words in commands)
    assert "pixel_noise" in printed["list experiment --config-dir my_conf"]
    runs = printed["runs"]
    for name in ("train_classifier", "subspace_ablation", "activation_steering", "pixel_noise"):
        assert name in runs
    assert runs.count("FINISHED") == len(runs.splitlines()) - 1


@pytest.fixture
def own(printed, folder, monkeypatch, recomputation):
    """Return ``cut(run, place)``: the network that the page's model is, cut in two, with the page's data."""
    monkeypatch.syspath_prepend(str(folder))
    import my_package.images

    trained, training = recomputation.result(folder, "paribus", "tags.experiment_type = 'train_classifier'")

    def cut(run, found, place):
        assert run.tags["model_run"] == trained.run_id and run.tags["model_seed"] == "0"
        assert found.config["data"] == training.config["data"] and "seed" in training.config["data"]
        (epoch,) = set(found.tables[place[0]].frame["epoch"]) if place[0] else {None}
        history = training.tables["history"].frame
        marked = training.tables["checkpoints"].frame
        best = int(marked.loc[marked["peak_val"].astype(bool), "epoch"].iloc[0])
        kept = history[history["epoch"].isin(marked["epoch"])]
        assert epoch in (best, None) and kept.loc[kept["epoch"] == best, "val_acc"].item() == kept["val_acc"].max()
        network = my_package.build(3, 2)
        network.load_state_dict(recomputation.weights(folder, trained.run_id, best))
        parts = [*network.features, network.head]
        return recomputation.Model(
            nn.Sequential(*parts[: place[1]]), nn.Sequential(*parts[place[1] :]), my_package.images.stripes()
        )

    return cut


def test_the_experiments_on_the_tracked_model_equal_a_recomputation_by_hand(own, folder, recomputation):
    """From checkpoint and data with plain torch and scikit-learn: they were measured on the page's own stripes."""

    def latest(kind, more=""):
        return recomputation.result(folder, "paribus", f"tags.experiment_type = '{kind}'{more}")

    run, found = latest("subspace_ablation")
    model = own(run, found, ("ablation", 6))
    assert recomputation.check_ablation(found.tables["ablation"].frame, model) == 4 * 3
    run, found = latest("activation_steering")
    model = own(run, found, ("sweep", 3))
    assert recomputation.check_steering(found.tables["sweep"].frame, model) >= 4 * 5
    for split in recomputation.HELD_OUT:
        run, found = latest("pixel_noise", f" and params.experiment.split = '{split}'")
        model = own(run, found, (None, 6))
        images = model.data.take(model.data.splits[split])
        noise = torch.randn(images.shape, generator=seeds.torch_rng(0, "noise"))
        clean = np.diff(model.logits(model.before(images).detach()), axis=1).mean()
        for row in found.tables["noise"].frame.to_dict("records"):
            noisy = np.diff(model.logits(model.before(images + row["level"] * noise).detach()), axis=1).mean()
            assert row["mean_delta"] == pytest.approx(noisy - clean, abs=1e-6)


def test_the_notebook_sees_the_same_runs(printed, documents, folder):
    done = documents.python("notebook.py", folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("interventional ")
    assert "mean_delta" in done.stdout
    assert sum(split in done.stdout for split in ("id_val", "val", "ood")) == 3


def test_options_list_every_argument(folder, page):
    shown = {block.file: yaml.safe_load(block.text) for block in page if block.language == "yaml"}
    assert set(shown["my_conf/experiment/pixel_noise.yaml"]) == {"_target_", "levels", "split"}
    assert all("_target_" in content for content in shown.values())


def test_wrong_requests_about_it_answer_in_one_line(documents, folder):
    cases = {
        "model.widht=3": "model.widht",
        "experiment.split=odd": "experiment.split",
        "experiment=pixel_noize": "pixel_noise",
    }
    for word, named in cases.items():
        words = ["--config-dir", "my_conf", "experiment=pixel_noise", "model=mine", "data=stripes", word]
        done = documents.python("-m", "paribus", *words, folder=folder)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1 and named in done.stderr
