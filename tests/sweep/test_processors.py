from __future__ import annotations

import pytest

from paribus.config.settings import SweepSettings
from paribus.errors import ConfigError
from paribus.sweep import processors


def environment(number, *, device="auto", **settings):
    there = processors.places(device, SweepSettings(**settings))
    return processors.environment(number, there=there, device=device)


def workers(asked, *, device="auto", **settings):
    said = SweepSettings(**settings)
    return processors.workers(asked, there=processors.places(device, said), settings=said)


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """An ``nvidia-smi`` that tells of GPUs with so many GiB free."""

    def told(*free):
        lines = [f"{number}, GPU-{'abcdef'[number]}{number}00, {1024 * each}" for number, each in enumerate(free)]
        (tmp_path / "told").write_text("\n".join(lines) + "\n")
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\ncat {tmp_path}/told\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        for number in range(len(free)):
            (tmp_path / "gpus" / f"0000:0{number}").mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(processors, "_NVIDIA", tmp_path / "gpus")
        monkeypatch.delenv(processors.VISIBLE, raising=False)
        monkeypatch.delenv(processors.ORDER, raising=False)
        monkeypatch.setattr(processors, "processors", lambda: 16)

    return told


@pytest.mark.parametrize(
    ("visible", "device", "number", "seen"),
    [
        ("4,7", "auto", 0, "4"),
        ("4,7", "cuda", 3, "7"),
        ("GPU-ab, MIG-cd", "auto", 1, "MIG-cd"),
        ("4,7", "cpu", 0, None),
        ("", "auto", 0, None),
        ("-1", "auto", 0, None),
        ("4,7", "cuda:1", 0, None),
    ],
)
def test_gpus_are_taken_in_turn_out_of_those_that_are_visible(monkeypatch, visible, device, number, seen):
    """Jobs that name a GPU by its number see all of them: theirs is counted among all."""
    monkeypatch.setenv(processors.VISIBLE, visible)
    made = environment(number, device=device)
    assert made.get(processors.VISIBLE) == seen and made["OMP_NUM_THREADS"] == "1"
    assert processors.ORDER not in made


def test_auto_is_one_for_each_gpu_or_processor(monkeypatch, tmp_path):
    monkeypatch.setattr(processors, "processors", lambda: 6)
    monkeypatch.delenv(processors.VISIBLE, raising=False)
    monkeypatch.setattr(processors, "_NVIDIA", tmp_path / "none")
    assert workers("auto") == 6 and workers(3) == 3
    assert workers("auto", per_gpu=3) == 6 and workers(9, gpu_memory=10.0) == 9, "there is no GPU to share"
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    monkeypatch.setattr(processors, "_NVIDIA", tmp_path / "gpus")
    assert processors.gpus() == ("0", "1") and processors.gpus("cuda:1") == ("1",)
    assert workers("auto", device="cuda") == 2 and workers("auto", device="cpu") == 6
    assert workers("auto", device="cuda:1") == 1 and workers(5) == 5
    assert environment(1)[processors.ORDER] == "PCI_BUS_ID", "so that numbers mean what we counted"


def test_several_workers_share_a_gpu_by_their_number(memory):
    memory(80, 80)
    assert workers("auto", per_gpu=3) == 6 and workers(4, per_gpu=3) == 4
    seen = [environment(number, per_gpu=3)[processors.VISIBLE] for number in range(6)]
    assert seen == ["0", "1", "0", "1", "0", "1"]
    with pytest.raises(ConfigError, match="workers=7: the GPUs here have room for 6"):
        workers(7, per_gpu=3)
    assert workers(7) == 7, "nobody has said how many fit"


def test_several_workers_share_a_gpu_by_the_memory_that_is_free(memory, monkeypatch):
    memory(79, 24, 9)
    assert processors.places("auto", SweepSettings(gpu_memory=20.0)) == ("0", "1", "0", "0")
    assert processors.places("auto", SweepSettings(gpu_memory=20.0, per_gpu=2)) == ("0", "1", "0")
    assert workers("auto", gpu_memory=20.0) == 4 and workers("auto", gpu_memory=1.0) == 16, "no more than processors"
    with pytest.raises(ConfigError, match="no GPU has so many GiB free .GPU 0: 79.0, GPU 1: 24.0, GPU 2: 9.0"):
        workers("auto", gpu_memory=81.0)
    monkeypatch.setenv(processors.VISIBLE, "GPU-b1,GPU-a0")
    assert processors.places("auto", SweepSettings(gpu_memory=20.0)) == ("GPU-b1", "GPU-a0", "GPU-a0", "GPU-a0")
    monkeypatch.setenv(processors.VISIBLE, "1")
    assert processors.free_memory(["1"]) == [9.0], "which one that is depends on what CUDA calls the fastest"
    monkeypatch.setenv(processors.ORDER, "PCI_BUS_ID")
    assert processors.free_memory(["1"]) == [24.0]
    monkeypatch.setenv(processors.VISIBLE, "MIG-cd")
    with pytest.raises(ConfigError, match="does not know GPU MIG-cd; say sweep.per_gpu=N"):
        workers("auto", gpu_memory=1.0)


def test_memory_that_is_not_told_is_not_guessed(memory, tmp_path):
    memory(79)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho no driver; exit 9\n")
    with pytest.raises(ConfigError, match="nvidia-smi does not say"):
        workers("auto", gpu_memory=1.0)
    (tmp_path / "told").write_text("0, GPU-a, [N/A]\n")
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\ncat {tmp_path}/told\n")
    with pytest.raises(ConfigError, match="nvidia-smi does not say"):
        workers("auto", gpu_memory=1.0)


def test_workers_that_nobody_asked_for_have_memory(monkeypatch, tmp_path):
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:       24000000 kB\nMemFree:  100 kB\nMemAvailable:   10485760 kB\nHugePages_Total: 0\n")
    monkeypatch.setattr(processors, "_MEMORY", told)
    assert processors.available_memory() == 10.0 and processors.fitting(10.0) == 5
    monkeypatch.setattr(processors, "_MEMORY", tmp_path / "none")
    assert processors.available_memory() is None
