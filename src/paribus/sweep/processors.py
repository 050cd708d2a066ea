"""How many workers a sweep has, and which GPU each of them sees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.config.settings import AUTO

if TYPE_CHECKING:
    from paribus.config.job import Job

VISIBLE = "CUDA_VISIBLE_DEVICES"
_NVIDIA = Path("/proc/driver/nvidia/gpus")


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; CUDA itself is not touched."""
    restricted = os.environ.get(VISIBLE)
    if restricted is not None:
        return tuple(name.strip() for name in restricted.split(",") if name.strip() and name.strip() != "-1")
    try:
        return tuple(str(number) for number, _ in enumerate(sorted(_NVIDIA.iterdir())))
    except OSError:
        return ()


def workers(asked: int | str, *, device: str) -> int:
    """Return how many workers there are: ``auto`` is one for each GPU where GPUs are used, else for each processor."""
    if asked != AUTO:
        return int(asked)
    found = gpus() if device != "cpu" else ()
    return len(found) or processors()


def asked_workers(job: Job) -> int:
    """Return how many workers the sweep that a job belongs to has."""
    return workers(job.workers, device=device_of(job))


def device_of(job: Job) -> str:
    """Return where a job computes: ``auto``, ``cpu`` or ``cuda``."""
    return str(getattr(job.nodes.get("device"), "name", AUTO))


def environment(number: int, *, device: str) -> dict[str, str]:
    """Return the environment of worker ``number``: one thread, and one of the GPUs, taken in turn."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    found = gpus() if device != "cpu" else ()
    return one | ({VISIBLE: found[number % len(found)]} if found else {})
