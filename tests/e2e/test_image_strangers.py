"""Two strangers: image folders from two sources without an OOD domain, and a network whose module runs twice."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import paribus
from paribus.cli.main import main

PACKAGE = '''
"""A small residual network as torchvision's and timm's: one activation module that every block runs twice."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, num_classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)) + x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def net(n_classes: int):
    return Net(num_classes=n_classes)
'''
SMALL = [
    *("training.epochs=4", "training.n_evaluations=2", "training.n_checkpoints=1", "training.lr=0.01"),
    *("stats=quick", "stats.n_null=4", "stats.n_bootstrap=100", "stats.n_permutations=99"),
    *("data.image_size=8", "device=cpu"),
]
QUICK_STEPS = [
    *("experiment.steps.ablation.methods=[mean_difference]", "experiment.steps.steering.alphas=[-1,1]"),
    *("experiment.steps.steering.directions=[mean_difference]", "experiment.steps.neurons.ks=[2]"),
    "experiment.steps.neurons.rankings=[shortcut]",
    "experiment.steps.neurons.ablations=[zero]",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, migrated_database, undrawn_figures):
    """A working folder with pictures of two sources, eight patients each, and a user's network."""
    from paribus.tracking import local
    from paribus.tracking.relocate import relocate

    place, before = tmp_path_factory.mktemp("strangers"), os.getcwd()
    shutil.copy2(migrated_database, place / local.DATABASE)
    rng = np.random.default_rng(0)
    for number in range(160):
        source, label, patient = number % 2, number // 2 % 2, number // 4 % 8
        pixels = rng.normal(110 + 30 * label + 25 * source, 30, (8, 8, 3)).clip(0, 255).astype(np.uint8)
        file = place / "pictures" / ("clinic", "lab")[source] / ("no", "yes")[label]
        file.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file / f"{'cl'[source]}{patient}_{number}.png")
    (place / "stranger_network.py").write_text(PACKAGE)
    (place / "conf" / "model").mkdir(parents=True)
    (place / "conf" / "model" / "mine.yaml").write_text("_target_: stranger_network.net\nweights: null\n")
    os.chdir(place)
    relocate(place)
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(place))
    yield place
    patch.undo()
    os.chdir(before)


DATA = ["data=image_folder", "data.path=pictures", "data.ood_domain=null", r"data.cluster_pattern='/([cl]\d+)_'"]
STUDY = ["--config-dir", "conf", "study=shortcut", *DATA, "model=mine", *SMALL, *QUICK_STEPS]


def test_the_dry_run_says_which_steps_the_data_cannot_do(folder, capsys, caplog):
    before = sorted(path for path in Path().rglob("*") if "__pycache__" not in path.parts)
    assert main([*STUDY, "dry_run=true"]) == 0
    said = capsys.readouterr()
    text = said.out + said.err + caplog.text
    assert "step swap is left out: domain_swap needs contents that can be shown in another domain's style" in text
    assert sorted(path for path in Path().rglob("*") if "__pycache__" not in path.parts) == before


@pytest.fixture(scope="module")
def study(folder):
    return paribus.run(STUDY[2:], config_dir="conf")


def test_the_study_runs_on_two_sources_without_an_ood_domain(study):
    steps = study.tables["steps"].frame.set_index("step")
    assert steps["status"].to_dict() == {
        "swap": "LEFT_OUT",
        **dict.fromkeys(("train", "probe", "ablation", "steering", "neurons"), "FINISHED"),
    }
    assert "needs contents that can be shown" in steps.loc["swap", "message"]
    assert any("step swap is left out" in each for each in study.diagnostics.warnings)
    assert "train.final_id_val" in study.metrics and "train.final_ood" not in study.metrics
    assert "ablation.id_val_delta" in study.metrics and "steering.head_id_acc_raw" in study.metrics


def test_the_numbers_of_its_steps_are_those_of_a_plain_network(folder, study):
    """Ablation, steering and pruning at the classifier's input, from the checkpoint's weights and the files' pixels."""
    import torch
    from sklearn.metrics import roc_auc_score
    from stranger_network import Net

    from paribus.subjects.images.image_folder import ImageFolder
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    store = open_store(TrackingSpec(experiment="shortcut"), writing=False)
    runs = study.tables["steps"].frame.set_index("step")["run_id"]
    net = Net(2).eval()
    kept = torch.load(next(Path("mlruns").glob(f"**/{runs['train']}/**/*.pt")), weights_only=True)
    net.load_state_dict(kept["model"])
    data = ImageFolder(path="pictures", cluster_pattern=r"/([cl]\d+)_", image_size=8).load()
    pixels, train, rows = data.inputs.pixels.double() / 255, data.rows("train"), data.rows("id_val")
    centre = pixels[train].mean((0, 2, 3), keepdim=True)
    size = ((pixels[train] - centre) ** 2).mean((0, 2, 3), keepdim=True).sqrt()
    seen = []
    net.fc.register_forward_pre_hook(lambda module, args: seen.append(args[0].double().numpy()))
    with torch.no_grad():
        net(((pixels - centre) / size).float())
    h, weight, bias = seen[0], net.fc.weight.double().detach().numpy(), net.fc.bias.double().detach().numpy()
    y, domain = data.labels, data.domains

    def scores(changed):
        logits = changed[rows] @ weight.T + bias
        margin = logits[:, 1] - logits[:, 0]
        return (logits.argmax(1) == y[rows]).mean(), roc_auc_score(y[rows], margin), margin.mean()

    def of(step, table, **where):
        frame = store.result(runs[step]).tables[table].frame
        for name, value in where.items():
            frame = frame[frame[name] == value]
        return frame.iloc[0]

    cells = 2 * domain[train] + y[train]
    balance = 1 / np.bincount(cells)[cells]
    means = [np.average(h[train], axis=0, weights=balance * (domain[train] == one)) for one in (0, 1)]
    v = (means[1] - means[0]) / np.linalg.norm(means[1] - means[0])
    erased = scores(h - np.outer((h - np.average(h[train], axis=0, weights=balance)) @ v, v))
    row = of("ablation", "ablation", method="mean_difference", split="id_val")
    found = [row["head_acc_raw"], row["head_acc_ablated"], row["auroc_ablated"], row["margin_shift"]]
    np.testing.assert_allclose(found, [scores(h)[0], *erased[:2], erased[2] - scores(h)[2]], atol=1e-5)

    v = v if (weight[1] - weight[0]) @ v >= 0 else -v
    for alpha in (-1, 1):
        moved = scores(h + alpha * (h[train] @ v).std() * v)
        row = of("steering", "sweep", direction="mean_difference", alpha=alpha)
        np.testing.assert_allclose([row["head_id_acc"], row["mean_margin"]], [moved[0], moved[2]], atol=1e-5)

    first = store.result(runs["neurons"]).tables["units"].frame.sort_values("shortcut_rank")["unit"].to_numpy()[:2]
    pruned = h.copy()
    pruned[:, first.astype(int)] = 0
    row = of("neurons", "k_sweep", k=2, split="id_val")
    found = [row["head_acc"], row["auroc"], row["margin_shift"]]
    np.testing.assert_allclose(found, [*scores(pruned)[:2], scores(pruned)[2] - scores(h)[2]], atol=1e-5)


def test_a_module_that_runs_twice_is_edited_at_the_call_that_is_named(folder, study):
    words = ["model=tracked", "tracking.experiment=shortcut", "checkpoint=final", "stats=quick", "stats.n_null=4"]
    found = {}
    for site in ("relu:1", "relu:2"):
        asked = ["experiment=subspace_ablation", f"experiment.site='{site}'", "experiment.methods=[mean_difference]"]
        result = paribus.run([*asked, *words], config_dir="conf")
        assert result.aggregates.custom["site"] == site.replace(":", ".output:")
        assert set(result.tables["ablation"].frame["split"]) == {"id_val", "val"}
        assert result.diagnostics.engine.parity_max_abs_diff < 1e-4
        found[site] = result.tables["ablation"].frame["margin_shift"].to_numpy()
    assert not np.allclose(found["relu:1"], found["relu:2"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["experiment.steps.swap.positive=0"], "domain_swap needs contents that can be shown"),
        (["experiment.steps.ablation.splits=[ood]"], "experiment.splits: data=image_folder has no split ood"),
        (["experiment.steps.neurons.positive=2"], "experiment.positive: must be between 0 and 1, got 2"),
        (["data.held_out=[]", "experiment.steps.swap=null", "checkpoint=peak_val"], "needs a split id_val"),
        (["experiment.optional=[swop]"], "experiment.optional: no such step 'swop'; did you mean 'swap'"),
        (["model.weights=gone.pt"], "gone.pt"),
    ],
)
def test_a_dry_run_never_approves_what_must_fail(folder, capsys, words, message):
    named = ["experiment.optional=[]"] if "data.held_out=[]" in words else []
    assert main([*STUDY, *named, *words, "dry_run=true"]) == 2
    assert message in capsys.readouterr().err


def test_a_comparison_without_anything_to_compare_is_left_out(folder, capsys):
    one = ["--config-dir", "conf", "-m", "study=shortcut", "data=class_folder", "data.path=pictures/lab", "model=mine"]
    small = [*SMALL, "training.epochs=1", "training.n_evaluations=1", "tracking.experiment=one_domain"]
    assert main([*one, *small]) == 0
    text = "".join(capsys.readouterr())
    assert "the comparison is left out: compare_interventions reads runs of" in text
    assert "1 job: 1 FINISHED" in text


def test_a_step_can_be_switched_off(folder, capsys):
    assert main([*STUDY, "experiment.steps.swap=null", "experiment.steps.neurons=null", "dry_run=true"]) == 0
    assert "left out" not in capsys.readouterr().err


def test_weights_of_a_file_start_the_network_and_must_fit(folder, capsys):
    import torch
    from stranger_network import Net

    own = Net(2)
    torch.save({"state_dict": {f"module.backbone.{k}": v for k, v in own.state_dict().items()}}, "own.pth")
    torch.save({f"module.{k}": v for k, v in Net(7).state_dict().items()}, "other.pth")
    asked = ["--config-dir", "conf", "experiment=subspace_ablation", *DATA, "model=mine", "stats=quick", "dry_run=true"]
    asked += ["data.image_size=8"]
    assert main([*asked, "model.weights=own.pth"]) == 0
    assert main([*asked, "model.weights=other.pth"]) == 2
    assert "2 of another shape (fc.weight is 7x6, the model has 2x6, fc.bias is 7" in capsys.readouterr().err
    assert main([*asked, "model.weights=other.pth", "+model.leave_out=[fc]"]) == 2
    assert "random weights" in capsys.readouterr().err
