from __future__ import annotations

import pytest

from paribus.sweep import processors


@pytest.mark.parametrize(
    ("visible", "device", "number", "seen"),
    [
        ("4,7", "auto", 0, "4"),
        ("4,7", "cuda", 3, "7"),
        ("GPU-ab, MIG-cd", "auto", 1, "MIG-cd"),
        ("4,7", "cpu", 0, None),
        ("", "auto", 0, None),
        ("-1", "auto", 0, None),
    ],
)
def test_gpus_are_taken_in_turn_out_of_those_that_are_visible(monkeypatch, visible, device, number, seen):
    monkeypatch.setenv(processors.VISIBLE, visible)
    made = processors.environment(number, device=device)
    assert made.get(processors.VISIBLE) == seen and made["OMP_NUM_THREADS"] == "1"


def test_auto_is_one_for_each_gpu_or_processor(monkeypatch, tmp_path):
    monkeypatch.setattr(processors, "processors", lambda: 6)
    monkeypatch.delenv(processors.VISIBLE, raising=False)
    monkeypatch.setattr(processors, "_NVIDIA", tmp_path / "none")
    assert processors.workers("auto", device="auto") == 6 and processors.workers(3, device="auto") == 3
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    monkeypatch.setattr(processors, "_NVIDIA", tmp_path / "gpus")
    assert processors.gpus() == ("0", "1")
    assert processors.workers("auto", device="cuda") == 2 and processors.workers("auto", device="cpu") == 6
