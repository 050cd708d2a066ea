"""The number of workers of a sweep, and the GPU that each of them sees."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.config.settings import AUTO, SweepSettings
from paribus.errors import ConfigError

if TYPE_CHECKING:
    from paribus.config.job import Job

VISIBLE, ORDER, BY_BUS = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "PCI_BUS_ID"
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_ASK = ("nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits")
MIB_IN_GIB = 1024
_MEMORY = Path("/proc/meminfo")
GIB_FOR_A_WORKER = 2.0
"""GiB of memory required per worker when the number of workers is automatic."""


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def gpus(device: str = AUTO) -> tuple[str, ...]:
    """Return the GPUs that jobs may use, as ``CUDA_VISIBLE_DEVICES`` names them, without initialising CUDA.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, or ``cuda:N``: that one alone.
    """
    if device == "cpu":
        return ()
    restricted = os.environ.get(VISIBLE)
    if restricted is not None:
        found = tuple(name.strip() for name in restricted.split(",") if name.strip() and name.strip() != "-1")
    else:
        try:
            found = tuple(str(number) for number, _ in enumerate(sorted(_NVIDIA.iterdir())))
        except OSError:
            return ()
    _, _, number = device.partition(":")
    return found[int(number) : int(number) + 1] if number else found


def places(device: str, settings: SweepSettings) -> tuple[str, ...]:
    """Return the GPU of each slot for a worker, first one slot of every GPU; empty if no GPU is used.

    Args:
        device: As for :func:`gpus`.
        settings: How many workers share a GPU, or how much of its memory a job needs.

    Raises:
        ConfigError: If no GPU has room for a job, or it is not known how much memory there is.
    """
    found = gpus(device)
    room = [settings.per_gpu or 1] * len(found)
    if found and settings.gpu_memory is not None:
        free = free_memory(found)
        fit = [int(each / settings.gpu_memory) for each in free]
        room = [min(each, settings.per_gpu or each) for each in fit]
        if not any(room):
            said = ", ".join(f"GPU {name}: {each:.1f}" for name, each in zip(found, free, strict=True))
            raise ConfigError(f"sweep.gpu_memory={settings.gpu_memory:g}: no GPU has so many GiB free ({said})")
    return tuple(
        name for turn in range(max(room, default=0)) for name, each in zip(found, room, strict=True) if turn < each
    )


def free_memory(names: Sequence[str]) -> list[float]:
    """Return how many GiB are free on each of some GPUs, from ``nvidia-smi``.

    Numbers refer to bus order only if ``CUDA_DEVICE_ORDER`` says so; else, if free memory differs, each GPU counts as
    the one with the least.

    Raises:
        ConfigError: If ``nvidia-smi`` does not report it.
    """
    try:
        said = subprocess.run(_ASK, capture_output=True, text=True, timeout=60, check=True).stdout
        rows = [[part.strip() for part in line.split(",")] for line in said.splitlines() if line.strip()]
        by_uuid = {uuid: float(free) / MIB_IN_GIB for _, uuid, free in rows}
        by_number = {number: float(free) / MIB_IN_GIB for number, _, free in rows}
    except (OSError, subprocess.SubprocessError, ValueError):
        raise ConfigError(
            "sweep.gpu_memory: nvidia-smi does not say how much memory is free; say sweep.per_gpu=N instead"
        ) from None
    if VISIBLE in os.environ and os.environ.get(ORDER) != BY_BUS:
        by_number = dict.fromkeys(by_number, min(by_number.values(), default=0.0))
    found = []
    for name in names:
        known = [free for uuid, free in by_uuid.items() if uuid.startswith(name)]
        if name not in by_number and len(known) != 1:
            raise ConfigError(f"sweep.gpu_memory: nvidia-smi does not know GPU {name}; say sweep.per_gpu=N instead")
        found.append(by_number[name] if name in by_number else known[0])
    return found


def workers(asked: int | str, *, there: Sequence[str], settings: SweepSettings) -> int:
    """Return how many workers there are.

    ``auto`` is one for each GPU slot if GPUs are used, else for each processor; if several share a GPU, at most the
    number of processors.

    Args:
        asked: A number, or ``auto``.
        there: The slots (:func:`places`).
        settings: The settings about GPUs.

    Raises:
        ConfigError: If more are requested than the settings leave room for on the GPUs.
    """
    said = settings.per_gpu is not None or settings.gpu_memory is not None
    if asked == AUTO:
        return min(len(there), max(len(set(there)), processors())) or processors()
    if there and said and int(asked) > len(there):
        raise ConfigError(
            f"workers={asked}: the GPUs here have room for {len(there)}, by sweep.per_gpu and sweep.gpu_memory"
        )
    return int(asked)


def asked_workers(job: Job) -> int:
    """Return how many workers the sweep of a job has; without a number, the most that it may have.

    Raises:
        ConfigError: As :func:`workers` and :func:`places`.
    """
    there = places_for(job)
    if job.workers is not None:
        return workers(job.workers, there=there, settings=job.sweep)
    return min(workers(AUTO, there=there, settings=job.sweep), fitting(available_memory()))


def available_memory() -> float | None:
    """Return how many GiB of memory are available to new processes, None where it is not reported (not Linux)."""
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
        found = dict(line.split(":", 1) for line in lines)
        return int(found["MemAvailable"].split()[0]) / 2**20
    except (OSError, ValueError, KeyError, IndexError):
        return None


def fitting(gib: float | None) -> int:
    """Return for how many automatic workers there is memory, at least one.

    Example:
        >>> [fitting(gib) for gib in (0.5, 9.0, None)]
        [1, 4, 1]
    """
    return 1 if gib is None else max(1, int(gib / GIB_FOR_A_WORKER))


def places_for(job: Job) -> tuple[str, ...]:
    """Return the GPU slots for the workers of the sweep of a job."""
    return places(device_of(job), job.sweep)


def device_of(job: Job) -> str:
    """Return where a job computes: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
    return str(getattr(job.nodes.get("device"), "name", AUTO))


def environment(number: int, *, there: Sequence[str], device: str) -> dict[str, str]:
    """Return the environment of worker ``number``: one thread, and one GPU slot, taken in turn.

    Args:
        number: The worker, from 0.
        there: The slots (:func:`places`).
        device: Where the jobs compute; with ``cuda:N`` they see all GPUs, because the number refers to these.
    """
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    return one | one_gpu(number, there=there, device=device)


def one_gpu(number: int, *, there: Sequence[str], device: str) -> dict[str, str]:
    """Return the environment in which a process sees only the GPU of slot ``number``; empty if no GPU is used."""
    if not there or ":" in device:
        return {}
    order = {} if VISIBLE in os.environ or ORDER in os.environ else {ORDER: BY_BUS}
    return {VISIBLE: there[number % len(there)], **order}
