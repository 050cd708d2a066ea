"""A tracked model comes with what it was trained on, however the request is put."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import paribus
from paribus.cli.main import main
from paribus.errors import CheckpointError, DataError

PACKAGE = '''
"""A data set, a network and an experiment from outside."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from paribus.experiments.base import Experiment
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Table
from paribus.subjects.images.data import ImageData, content_digest
from paribus.spec import field


def dots(n: int = 120, n_train: int = 40, seed: int = 0, rotate: int = 0, size: int = 6, colours: int = 1):
    """Bright spots on the left or on the right; ``rotate`` moves the rows of the splits."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    images = rng.normal(0, 1, (n, colours, size, size))
    images[np.arange(n), 0, 2, 4 * label] += 2
    domain = np.arange(n) % 2
    rows = np.roll(np.arange(n), -rotate)
    parts = np.split(rows, [n_train, n_train + 25, n_train + 50])
    return ImageData(
        inputs=torch.as_tensor(images, dtype=torch.float32), labels=label, domains=domain, clusters=np.arange(n),
        domain_names=("a", "b"), class_names=("left", "right"),
        splits=dict(zip(("train", "id_val", "val", "ood"), parts)),
        digest=content_digest(f"dots {n_train} {rotate}", label, images), train_domains=(0, 1),
    )


class Net(nn.Module):
    """A linear map of pixels that a fixed draw mixes: it is no parameter, so no state dict holds it."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.mixing = torch.randn(n_in, n_in) / n_in**0.5
        self.fc = nn.Linear(n_in, n_out)

    def forward(self, x):
        return self.fc(x.flatten(1) @ self.mixing)


def net(in_channels: int, n_classes: int, image_size: int):
    return Net(in_channels * image_size**2, n_classes)


@dataclass(frozen=True)
class Accuracy(Experiment):
    """Accuracy on every held-out split."""

    type: ClassVar[str] = "accuracy"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "images"
    summary: ClassVar[str] = "Accuracy on every held-out split."
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "training", "stats")

    scale: float = field(1.0, help="Scale of the pixels.")

    def run(self, setup, recorder):
        import pandas as pd

        (checkpoint,) = setup.selected()
        model, rows = setup.at(checkpoint), []
        for split in ("id_val", "val", "ood"):
            chosen = setup.data.rows(split)
            with torch.no_grad():
                logits = model(setup.data.take(chosen) * self.scale)
            right = logits.argmax(1).numpy() == setup.data.labels[chosen]
            logit = float(logits.double().mean())
            rows.append({"split": split, "accuracy": right.mean(), "logit": logit, "n": len(chosen)})
        recorder.table(Table("accuracy", "One row per held-out split.", self.evidence, pd.DataFrame(rows)))
        return Aggregates(n_samples=len(setup.data.labels), custom={"digest": setup.data.digest})
'''
OPTIONS = {
    "data/dots": "_target_: tracked_package.dots\nn: 120\nn_train: 40\nseed: ${seed}\nrotate: 0\nsize: 6\ncolours: 1\n",
    "model/net": "_target_: tracked_package.net\n",
    "experiment/accuracy": "_target_: tracked_package.Accuracy\nscale: 1.0\n",
    "experiment/accuracy_on_digits": "defaults:\n  - override /data@_global_.data: digits_scanners\n  - _self_\n"
    "_target_: tracked_package.Accuracy\nscale: 1.0\n",
    "study/tiny": """# @package _global_
defaults:
  - /experiment@experiment.steps.train: train_classifier
  - /experiment@experiment.steps.right: accuracy
  - /experiment@experiment.steps.dim: accuracy_on_digits
  - /experiment@experiment.comparison: compare
  - _self_
  - override /experiment: sequence
  - override /data: dots
  - override /model: net
training: {epochs: 2, n_evaluations: 1, n_checkpoints: 1}
checkpoint: final
tracking: {experiment: "tiny, it's"}
experiment:
  steps: {dim: {scale: 0.5}}
  comparison: {metrics: [n_samples], experiment_type: accuracy, where: [experiment.scale=1]}
""",
    "study/digits": "# @package _global_\ndefaults:\n  - override /experiment: accuracy\n"
    "  - override /data: digits_scanners\n  - _self_\n",
}
TRAINING = ["training.epochs=3", "training.n_evaluations=1", "training.n_checkpoints=1", "stats=quick"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, migrated_database, undrawn_figures):
    """A working folder with a package of the user's and a model trained on its data, with its own seeds."""
    from paribus.tracking import local
    from paribus.tracking.relocate import relocate

    place, before = tmp_path_factory.mktemp("tracked"), os.getcwd()
    shutil.copy2(migrated_database, place / local.DATABASE)
    (place / "tracked_package.py").write_text(PACKAGE)
    for name, text in OPTIONS.items():
        (place / "conf" / f"{name}.yaml").parent.mkdir(parents=True, exist_ok=True)
        (place / "conf" / f"{name}.yaml").write_text(text)
    os.chdir(place)
    relocate(place)
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(place))
    yield place
    patch.undo()
    os.chdir(before)


def run(*words):
    return paribus.run([*words, "stats=quick"], config_dir="conf")


@pytest.fixture(scope="module")
def trained(folder):
    """The run that trained on the user's dots: seed 3, its data drawn from seed 5."""
    return run("experiment=train_classifier", "model=net", "data=dots", "data.seed=5", "data.n_train=44", "seed=3",
               "training=grokking", *TRAINING)  # fmt: skip


@pytest.fixture(scope="module")
def tracked(trained):
    """The words that ask for that model."""
    return ["model=tracked", f"model.run={trained.run_id}", "checkpoint=final"]


@pytest.fixture(scope="module")
def truth(folder, trained):
    """What the model says about its own held-out images, computed without Paribus."""
    import torch
    import tracked_package

    from paribus import seeds

    torch.manual_seed(seeds.derive(3, "model"))
    net = tracked_package.net(1, 2, 6)
    (file,) = Path("mlruns").glob(f"*/{trained.run_id}/artifacts/checkpoints/*.pt")
    net.load_state_dict(torch.load(file, weights_only=True)["model"])
    data = tracked_package.dots(n_train=44, seed=5)
    with torch.no_grad():
        logits = {split: net(data.inputs[data.splits[split]]) for split in ("id_val", "val", "ood")}
    right = {split: logits[split].argmax(1).numpy() == data.labels[data.splits[split]] for split in logits}
    return [right[split].mean() for split in logits], [logits[split].double().mean().item() for split in logits]


def same(result, truth):
    frame = result.tables["accuracy"].frame
    assert frame["accuracy"].tolist() == pytest.approx(truth[0], abs=1e-12)
    assert frame["logit"].tolist() == pytest.approx(truth[1], abs=1e-6)


def kept(result):
    (row,) = paribus.load_runs(where=f"attributes.run_id = '{result.run_id}'").to_dict("records")
    return row


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=accuracy"],
        ["experiment=accuracy", "seed=9"],
        ["experiment=accuracy_on_digits"],
        ["study=digits"],
        ["experiment=accuracy", "data=as_trained"],
        ["experiment=accuracy", "data=dots", "data.seed=5", "data.n_train=44"],
    ],
    ids=" ".join,
)
def test_a_tracked_model_is_measured_on_its_own_data(tracked, truth, words):
    """A default, an experiment that chooses data and a study name none; naming its own data changes nothing."""
    result = run(*words, *tracked)
    same(result, truth)
    assert result.diagnostics.warnings == () and " on " not in kept(result)["name"]


def test_a_run_says_which_model_it_used(trained, tracked):
    row = kept(run("experiment=accuracy", "seed=9", *tracked))
    assert row["name"] == f"accuracy grokking n44 s3 of {trained.run_id[:8]} seed 9"
    tags = {name: row[f"tags.{name}"] for name in ("training", "n_train", "model_seed", "seed", "model_run")}
    assert tags == {
        "training": "grokking", "n_train": "44", "model_seed": "3", "seed": "9", "model_run": trained.run_id,
    }  # fmt: skip
    own = kept(trained)
    assert (own["tags.model_seed"], own["tags.n_train"]) == ("3", "44")
    params = {name: row[f"params.{name}"] for name in ("training", "data", "data.seed", "model.run", "seed")}
    assert params == {"training": "grokking", "data": "dots", "data.seed": 5, "model.run": trained.run_id, "seed": 9}
    assert row["params.training.weight_decay"] == own["params.training.weight_decay"]
    assert row["params.training.epochs"] == 3


def test_values_are_set_over_the_models_own_data(tracked, truth):
    result = run("experiment=accuracy", *tracked, "data.n=150")
    frame = result.tables["accuracy"].frame
    assert frame["n"].tolist() == [25, 25, 150 - 44 - 50]
    assert result.config["data"]["seed"] == 5 and result.config["data"]["n_train"] == 44
    assert "Measured on own data with n=150" in result.diagnostics.warnings[0]
    assert kept(result)["name"].endswith("on own data with n=150")


def refused(capsys, *words):
    before = len(paribus.load_runs())
    code = main(["--config-dir", "conf", *words])
    said = capsys.readouterr().err.strip()
    assert code == 2 and len(said.splitlines()) == 1 and len(paribus.load_runs()) == before, said
    return said


def test_a_value_that_the_models_own_data_do_not_take_is_refused(tracked, capsys):
    """``strength`` is a field of the default data set, not of the one that the model was trained on."""
    said = refused(capsys, "experiment=accuracy", *tracked, "data.strength=0.5")
    assert "data.strength: tracked_package.dots takes no such argument" in said and "trained on dots" in said
    said = refused(capsys, "experiment=accuracy", *tracked, "data._target_=tracked_package.net")
    assert "cannot be changed" in said


def test_other_data_that_are_named_are_said_everywhere(tracked, capsys):
    result = run("experiment=accuracy", *tracked, "data=dots", "data.seed=77")
    row = kept(result)
    assert row["tags.measured_on"] == "own data with n_train=40 seed=77" and row["tags.n_train"] == "44"
    assert row["name"].endswith("on own data with n_train=40 seed=77")
    model = f"the model of run {row['tags.model_run'][:8]} was trained on dots"
    assert result.diagnostics.warnings == (f"Measured on {row['tags.measured_on']}; {model}.",)
    report = next(Path("mlruns").glob(f"*/{result.run_id}/artifacts/report.html")).read_text()
    assert "was trained on dots" in report


def test_training_images_among_the_held_out_ones_are_refused_by_content(tracked, capsys):
    """Cluster ids of an own data set mean nothing to another draw, so what the images hold decides."""
    said = refused(capsys, "experiment=accuracy", *tracked, "data.rotate=30")
    assert "trained on images" in said and "(4 of 25 of val, 26 of 26 of ood)" in said
    with pytest.raises(DataError, match="would look better than it is"):
        run("experiment=accuracy", *tracked, "data=dots", "data.seed=5", "data.rotate=80")
    run("experiment=accuracy", *tracked, "data.seed=6")


def test_shapes_that_do_not_fit_name_what_the_model_was_trained_on(tracked, capsys):
    said = refused(capsys, "experiment=accuracy", *tracked, "data=digits_scanners", "data.image_size=8")
    assert "trained on dots" in said and "measures it on digits_scanners (3 channels, 2 classes, 8 pixels)" in said


def test_data_that_are_no_longer_what_the_model_was_trained_on_are_refused(tracked, folder, monkeypatch, capsys):
    import tracked_package

    from paribus.running import caches

    whole = tracked_package.dots

    def dots(n: int = 120, n_train: int = 40, seed: int = 0, rotate: int = 0, size: int = 6, colours: int = 1):
        return whole(n, n_train, seed + 1, rotate, size, colours)

    monkeypatch.setattr(tracked_package, "dots", dots)
    caches.clear()
    said = refused(capsys, "experiment=accuracy", *tracked, "experiment.scale=0.5")
    assert "is not what is loaded now" in said


def test_digits_of_another_draw_are_refused_by_their_clusters(folder, capsys):
    """Another seed splits the same handwriting anew: the jitter differs, the digits do not."""
    small = ["data.n_train=60", "data.n_eval=30", "data.eval_renderings=1", "data.image_size=8"]
    made = run("experiment=train_classifier", "model=small_cnn", "model.width=2", *small, "seed=1", *TRAINING)
    own = ["experiment=accuracy", "model=tracked", f"model.run={made.run_id}", "checkpoint=final"]
    assert run(*own).config["data"]["seed"] == 1
    said = refused(capsys, *own, "data.seed=0")
    assert "of ood" in said or "of val" in said or "of id_val" in said
    said = refused(capsys, *own, "data=digits_scanners", *small)
    assert "trained on images or clusters" in said
    same_digits = run(*own, "data.style_gap=0")
    assert "style_gap" in same_digits.diagnostics.warnings[0], "the same split in other styles shares nothing"
    assert np.isfinite(same_digits.tables["accuracy"].frame["accuracy"]).all()


def test_weights_that_do_not_fit_are_a_matter_of_the_checkpoint(tracked):
    with pytest.raises(CheckpointError, match="was trained on dots"):
        run("experiment=accuracy", *tracked, "data.size=8")


def test_values_over_own_data_go_through_the_command_line_and_its_sweeps(tracked, capsys):
    words = ["--config-dir", "conf", "-m", "experiment=accuracy", "experiment.scale=2.0"]
    assert main([*words, *tracked, "data.n=150,160", "stats=quick"]) == 0
    rows = paribus.load_runs(limit=2)
    assert sorted(rows["params.data.n"]) == [150, 160] and set(rows["params.data.seed"]) == {5}
    outcomes = [json.loads(path.read_text()) for path in Path("multirun").glob("*/*/?/outcome.json")]
    written = {word for outcome in outcomes for word in outcome["overrides"] if "data" in word}
    assert written == {"data.n=150", "data.n=160"}, "as they were written"


DIGITS = ["data.n_train=60", "data.n_eval=30", "data.eval_renderings=1", "data.image_size=8"]


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["experiment=accuracy", *DIGITS], "model.untrained=true"),
        (["experiment=accuracy", "model=mlp", *DIGITS], "model.weights=FILE"),
        (["experiment=family_1d_sweep", "model=set_completion", "feature=margin", "experiment.family=SCU"], "model"),
        (["experiment=train_sae", "model=set_completion"], "model.untrained=true"),
    ],
)
def test_random_weights_are_refused_where_nobody_asked_for_them(folder, capsys, words, place):
    said = refused(capsys, *words)
    assert "random weights" in said and "model=tracked" in said and place in said


def test_random_weights_that_are_asked_for_are_said_everywhere(folder):
    result = run("experiment=accuracy", "model.untrained=true", "model.width=2", *DIGITS)
    row = kept(result)
    assert row["tags.weights"] == "untrained" and row["name"] == "accuracy untrained s0"
    assert "untrained" in result.diagnostics.warnings[0] and result.model == "small_cnn (untrained)"
    assert row.get("tags.training") is None and "params.training.condition" not in row
    assert result.provenance["weights"] == "untrained"


def test_weights_of_a_users_factory_are_recorded_as_such(folder):
    row = kept(run("experiment=accuracy", "model=net", "data=dots"))
    assert row["tags.weights"] == "as the factory gave them" and row.get("tags.model_seed") is None


def test_random_parts_of_a_model_are_found_by_place():
    from paribus.models.sae import SAE
    from paribus.models.untrained import unasked
    from paribus.subjects.builds.models.planted import Planted
    from paribus.subjects.builds.models.set_completion import SetCompletion, SetCompletionSmall

    assert unasked(SetCompletion(sae=SAE())) == ("model", "model.sae")
    assert unasked(SetCompletion(weights="w.pt", sae=SAE())) == ("model.sae",)
    assert unasked(SetCompletion(weights="w.pt", sae=SAE()), sae=False) == ()
    assert unasked(SetCompletion(weights="w.pt", sae=SAE(untrained=True))) == ()
    assert unasked(SetCompletionSmall(untrained=True, sae=SAE())) == () == unasked(Planted())


def repeated(run_id, experiment):
    """Run the line that a report shows under "To repeat it"; return what was kept and what it gave."""
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    store = open_store(TrackingSpec(experiment=experiment))
    page = store.download(run_id, "report.html").read_text()
    (line,) = re.findall(r'To repeat it:</p><pre class="command">(.*?)</pre>', page, re.DOTALL)
    program, *words = shlex.split(html.unescape(line))
    assert program == "paribus"
    folders = [words[i + 1] for i, word in enumerate(words) if word == "--config-dir"]
    asked = [word for word in words if "=" in word]
    result = paribus.run(asked, config_dir=folders[0] if folders else None)
    assert result.run_id != run_id, "measured again, not taken"
    return store.get(run_id), store.result(run_id), store.get(result.run_id), result


def again(run_id, experiment):
    """Assert that the line of a report gives the same run again: its identity and every table."""
    before, kept, after, result = repeated(run_id, experiment)
    assert (after.identity, after.experiment) == (before.identity, before.experiment), before.name
    assert result.spec_id == kept.spec_id and set(result.tables) == set(kept.tables)
    for name, table in kept.tables.items():
        left_out = [column for column in ("run_id", "duration_seconds") if name == "steps"]
        made = result.tables[name].frame.drop(columns=left_out)
        pd.testing.assert_frame_equal(made, table.frame.drop(columns=left_out))
    return result


def test_the_line_in_a_report_gives_that_very_run_again(folder, capsys):
    """Of a sweep's jobs, of their steps, of the comparison at its end and of one asked for alone."""
    from paribus.tracking.derived import is_derived
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    name = "tiny, it's"
    words = ["study=tiny", "training=grokking", "seed=4", "data.n=130", "stats=quick"]
    assert main(["--config-dir", "conf", "-m", *words]) == 0
    store = open_store(TrackingSpec(experiment=name))
    runs = [each for each in store.runs() if not is_derived(each)]
    assert {each.tags.get("step"): each.status for each in runs} == dict.fromkeys(
        (None, "train", "right", "dim", "comparison"), "FINISHED"
    )
    for each in runs:
        again(each.run_id, name)
    ask = [f'tracking.experiment="{name}"', "experiment.metrics=[n_samples]", "experiment.experiment_type=accuracy"]
    ask.append("experiment.allow=[duplicates,pooled_runs]")  # each run was made again above
    alone = run("experiment=compare", *ask, "experiment.where=[experiment.scale=1]")
    run("experiment=accuracy", "data=dots", "model=net", f'tracking.experiment="{name}"', "seed=8")
    assert again(alone.run_id, name).config["experiment"]["runs"], "what came later is none of it"
    assert alone.config["experiment"]["runs"] == []


def test_a_line_names_the_run_that_the_latest_was(folder):
    made = run("experiment=train_classifier", "model=net", "data=dots", "seed=11", *TRAINING)
    first = run("experiment=accuracy", "model=tracked", "checkpoint=final", "seed=2")
    run("experiment=train_classifier", "model=net", "data=dots", "seed=12", *TRAINING)
    assert f"model.run={made.run_id}" in first.provenance["repeat"]
    again(first.run_id, "paribus")


def test_an_option_that_was_edited_between_two_commands_of_one_process_is_read_again(folder, tracked):
    """A job on a tracked model is composed once more where it runs, by what this process has read of the options."""
    option = folder / "conf" / "experiment" / "edited.yaml"
    for scale in (2.0, 4.0):
        option.write_text(f"_target_: tracked_package.Accuracy\nscale: {scale}\n")
        assert main(["--config-dir", "conf", "experiment=edited", *tracked, "stats=quick", "hydra.run.dir=edited"]) == 0
        assert paribus.load_runs(limit=1)["params.experiment.scale"].tolist() == [scale]
