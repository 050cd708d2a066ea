"""A table with four hospitals, of which a column tells the two training ones apart: from the CSV to the answer.

Everything goes through the command line; what is found is compared with what was planted.
"""

from __future__ import annotations

import shutil
from contextlib import redirect_stdout
from io import StringIO

import pytest

from paribus.cli.main import main
from paribus.tracking.opening import open_store
from paribus.tracking.relocate import relocate
from paribus.tracking.spec import TrackingSpec

DATA = [
    "data=table", "data.path=hospitals.csv", "data.label=sick", "data.domain=hospital", "data.cluster=patient",
    "data.val_domain=east", "data.ood_domain=west",
]  # fmt: skip
TRAIN = [
    "experiment=train_classifier", *DATA, "model=mlp", "model.widths=[16]", "training.epochs=12", "training.lr=0.01",
    "training.n_checkpoints=2", "training.n_evaluations=6",
]  # fmt: skip
ON_IT = ["model=tracked", "checkpoint=final", "stats=quick", "tracking.experiment=hospitals", "experiment.split=ood"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, planted_hospitals, migrated_database, undrawn_figures):
    """A working folder with the table, and a model trained on it."""
    folder = tmp_path_factory.mktemp("hospitals")
    planted_hospitals.write_hospitals(folder / "hospitals.csv")
    shutil.copy2(migrated_database, folder / "mlflow.db")
    relocate(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*TRAIN, "tracking.experiment=hospitals"]) == 0
        yield folder


def latest(kind):
    store = open_store(TrackingSpec(experiment="hospitals"), writing=False)
    return store.result(store.runs(where=f"tags.experiment_type = '{kind}'", limit=1)[0].run_id)


def effects(*words):
    assert main([*words, *ON_IT]) == 0
    return latest(words[0].removeprefix("experiment=")).tables["effects"].frame.set_index("level")


def test_the_model_learned_the_hospital_and_fails_in_the_one_it_never_saw(place):
    result = latest("train_classifier")
    assert (result.subject, result.provenance["data_name"]) == ("tables", "table")
    found = result.aggregates.custom
    assert found["final_id_val"] > 0.85 and found["final_ood"] < found["final_id_val"] - 0.1


def test_the_column_that_leaks_the_hospital_moves_the_answer_and_noise_does_not(place):
    donors = ["experiment=sweep", "factor@experiment.factor=donor", "experiment.readout=margin"]
    leak = effects(*donors, "experiment.factor.columns=[batch]", "experiment.factor.domains=[north,south]")
    assert leak.loc["from north", "established"] and leak.loc["from north", "mean_delta"] > 1.0
    none = effects(*donors, "experiment.factor.columns=[noise]", "experiment.factor.domains=[north,south]")
    assert none["mean_delta"].abs().max() < 0.1 * leak.loc["from north", "mean_delta"]


def test_columns_are_units(place):
    found = effects("experiment=ablate", "factor@experiment.factor=columns", "experiment.readout=margin")
    strengths = found.loc[["batch", "marker", "noise", "ward"], "mean_delta"].abs()
    assert strengths.idxmax() == "batch" and strengths["noise"] < 0.2 * strengths["batch"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.label=sik"], "label: no such column 'sik'; did you mean 'sick'"),
        (["data.missing=zero"], "data.missing: no such choice 'zero'"),
        (["model=small_cnn"], "SmallCNN is no network for tables: they give no image_size, in_channels; try model=mlp"),
    ],
)
def test_a_wrong_word_is_refused_in_one_line(place, words, said, capfd):
    before = sorted(place.rglob("*"))
    kept = [word for word in TRAIN if not any(word.startswith(w.split("=")[0] + "=") for w in words)]
    kept = [word for word in kept if not (words[0].startswith("model=") and word.startswith("model."))]
    assert main([*kept, *words]) == 2
    error = capfd.readouterr().err.strip()
    assert said in error and "\n" not in error
    assert sorted(place.rglob("*")) == before


def test_a_factor_that_names_a_wrong_column_is_refused_before_anything_runs(place, capfd):
    words = ["experiment=sweep", "factor@experiment.factor=column", "experiment.factor.column=bacth", "dry_run=true"]
    assert main([*words, *ON_IT]) == 2
    assert "no such column 'bacth'; did you mean 'batch'" in capfd.readouterr().err


def test_a_run_whose_data_file_has_changed_is_not_reproduced_and_the_file_is_named(place, capfd, tmp_path):
    run = latest("train_classifier").run_id[:8]
    table = place / "hospitals.csv"
    content = table.read_bytes()
    try:
        table.write_bytes(content.replace(b",yes,1", b",yes,2", 1))
        assert main(["reproduce", run]) == 2
        error = capfd.readouterr().err.strip()
        assert f"run {run}: {table}, which it read, has changed since" in error and "\n" not in error
        assert main(["reproduce", run, "--changed-files", "--into", str(tmp_path)]) == 1
        told = capfd.readouterr().out
        assert f"  {table}, which it read, has changed since" in told and ", 0 different" not in told
        table.unlink()
        assert main(["reproduce", run]) == 2 and f"{table}, which it read, is gone" in capfd.readouterr().err
    finally:
        table.write_bytes(content)


SHORTCUT = ["model=tracked", "checkpoint=final", "stats=quick", "stats.n_null=10", "tracking.experiment=hospitals"]


def reproduced_on_changed_training_data(place, run, training):
    table = place / "hospitals.csv"
    content = table.read_bytes()
    try:
        table.write_bytes(content.replace(b",yes,1", b",yes,2", 1))
        with redirect_stdout(StringIO()) as said:
            assert main(["reproduce", run, "--changed-files", "--into", str(place / "again")]) == 1
    finally:
        table.write_bytes(content)
    changed = f"{table}, which it read, has changed since"
    assert f"  the training of its model (run {training[:8]}): {changed}" in said.getvalue()
    assert f"  {changed}" in said.getvalue() and "data_digest" in said.getvalue()


def test_the_hospital_is_a_subspace_that_can_be_removed(place):
    erasers = "experiment.methods=[leace,random]"
    assert main(["experiment=subspace_ablation", erasers, "experiment.refit_probes=false", *SHORTCUT]) == 0
    result = latest("subspace_ablation")
    assert result.subject == "tables" and result.provenance["data_name"] == "table"
    reproduced_on_changed_training_data(place, result.run_id, result.provenance["model_run"])
    frame = result.tables["ablation"].frame.set_index(["method", "split"])
    leakage = frame["domain_probe_frozen_ablated"]
    assert leakage["random", "id_val"] > 0.9 and leakage["leace", "id_val"] < 0.6
    assert frame.loc[("leace", "ood"), "delta"] > 0.05 > abs(frame.loc[("random", "ood"), "delta"])
    assert frame.loc[("leace", "ood"), "null_percentile"] == 100
    assert frame["swap_remaining"].isna().all()


def test_steering_along_the_hospital_moves_the_margin_as_no_random_direction_does(place):
    asked = ["experiment.directions=[mean_difference]", "experiment.alphas=[-2,2]"]
    assert main(["experiment=activation_steering", *asked, *SHORTCUT]) == 0
    row = latest("activation_steering").tables["responses"].frame.iloc[0]
    assert row["slope_in_sd"] > row["slope_null_median"] and row["slope_ci_low"] > 0


def test_a_table_cannot_be_shown_in_the_style_of_another_hospital(place, capsys):
    assert main(["experiment=domain_swap", *SHORTCUT, "dry_run=true"]) == 2
    assert "domain_swap needs contents that can be shown in another domain's style" in capsys.readouterr().err
