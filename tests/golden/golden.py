"""Golden tables: measure every case, keep what came out, and tell what differs from what is kept.

``python tests/golden/golden.py NAME ...`` (or ``all``) measures cases anew and says what changed in them; such a change
is a commit of its own, with its reason.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))
import cases as declared
import comparisons

STORED = Path(__file__).parent / "stored"
ENVIRONMENT = STORED / "environment.json"
KEPT = ("aggregates", "metrics", "tables", "curves", "diagnostics", "feature")
TOLERANCE = 1e-6
"""Relative and absolute, where processor, libraries or kernels are not those of the stored values."""


def measure(name: str, device: str = "cpu", dtype: str = "float32") -> dict[str, Any]:
    """Run one case in an empty folder and return what came of it as JSON data."""

    kind = name.partition(".")[0]
    if kind.startswith("compare"):
        return kept_of(comparisons.compared(name))
    words = [f"device={device}" if word == "device=cpu" else word for word in declared.cases()[name]]
    words += [] if dtype == "float32" else [f"device.dtype={dtype}"]
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            result = over_checkpoints(words) if kind in declared.IMAGE_TYPES else alone(words)
        finally:
            os.chdir(before)
    return kept_of(result)


def kept_of(result: Any) -> dict[str, Any]:
    """Return what is kept of a result as JSON data."""
    from paribus.results.io import to_tree

    tree = to_tree(result)
    return without_texts({part: tree[part] for part in KEPT})


def without_texts(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a tree without the sentences in which a result says what was found: these may be put better."""
    custom = {name: value for name, value in tree["aggregates"]["custom"].items() if name != "summary"}
    return {**tree, "aggregates": {**tree["aggregates"], "custom": custom}}


def alone(words: list[str]) -> Any:
    """Return the result of a request."""
    import paribus

    return paribus.run(words)


def over_checkpoints(words: list[str]) -> Any:
    """Return the result of a request on images, over two checkpoints with fixed weights."""
    from paribus.config.compose import jobs
    from paribus.experiments import plugins
    from paribus.experiments.base import perform
    from paribus.experiments.checkpoints import Checkpoints
    from paribus.experiments.recording import MemoryRecorder
    from paribus.models.loading import load_state
    from paribus.running.request import from_job
    from paribus.running.resolved import Resolved
    from paribus.running.setup import asked
    from paribus.tracking.interface import FileStore

    (job,) = jobs(words)
    request = from_job(job)
    setup = plugins.named("images").setup(asked(Resolved(request, None), FileStore()))
    kept = Checkpoints(
        loader=lambda epoch: load_state(declared.CHECKPOINTS[epoch]), epochs=tuple(declared.CHECKPOINTS), key="golden"
    )
    setup = dataclasses.replace(setup, checkpoints=kept, checkpoint="all")
    return perform(request.experiment, setup, MemoryRecorder())


def environment() -> dict[str, str]:
    """Return what decides the last bits of a number: processor, libraries, kernels, threads."""
    import numpy
    import scipy
    import sklearn
    import torch

    model = ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else ""
    return {
        "processor": model,
        "torch": torch.__version__,
        "torch_kernels": torch.backends.cpu.get_cpu_capability(),
        "blas": ", ".join(_kernels()),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "threads": str(torch.get_num_threads()),
    }


@cache
def _kernels() -> list[str]:
    """Return the libraries of linear algebra and of threads; looking through all that is loaded takes a while."""
    from threadpoolctl import threadpool_info

    return sorted({f"{pool['internal_api']} {pool.get('architecture', '')}".strip() for pool in threadpool_info()})


def same_environment() -> bool:
    """Return whether values must be equal to the last bit here."""
    return bool(json.loads(ENVIRONMENT.read_text(encoding="utf-8")) == environment())


def load(name: str) -> dict[str, Any]:
    """Return what is kept of a case."""
    kept: dict[str, Any] = json.loads(lzma.decompress((STORED / f"{name}.json.xz").read_bytes()))
    return without_texts(kept)


def save(name: str, tree: dict[str, Any]) -> None:
    """Keep a case."""
    STORED.mkdir(exist_ok=True)
    text = json.dumps(tree, sort_keys=True, allow_nan=False, separators=(",", ":"))
    (STORED / f"{name}.json.xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def differences(kept: Any, found: Any, *, exact: bool, where: str = "") -> Iterator[str]:
    """Yield one line for every place where two trees differ; numbers within the tolerance are equal unless exact."""
    if isinstance(kept, dict) and isinstance(found, dict):
        for key in [*kept, *(key for key in found if key not in kept)]:
            place = f"{where}.{key}" if where else str(key)
            if key not in found or key not in kept:
                yield f"{place}: {'gone' if key in kept else 'new'}"
            else:
                yield from differences(kept[key], found[key], exact=exact, where=place)
    elif isinstance(kept, list) and isinstance(found, list):
        if len(kept) != len(found):
            yield f"{where}: {len(kept)} entries, now {len(found)}"
            return
        for index, (a, b) in enumerate(zip(kept, found, strict=True)):
            yield from differences(a, b, exact=exact, where=f"{where}[{index}]")
    elif not _equal(kept, found, exact=exact):
        yield f"{where}: {kept!r}, now {found!r}"


def _equal(a: Any, b: Any, *, exact: bool) -> bool:
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (a, b))
    if exact or not numbers:
        return bool(type(a) is type(b) and a == b)
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def main(names: list[str]) -> None:
    """Measure cases anew, say what changed, and keep them."""
    every = declared.cases()
    for name in every if names == ["all"] else names:
        found = json.loads(json.dumps(measure(name)))
        if (STORED / f"{name}.json.xz").exists():
            lines = list(differences(load(name), found, exact=True))
            print(f"{name}: {len(lines)} differences", *lines[:5], sep="\n  ")
        save(name, found)
    for stale in STORED.glob("*.json.xz"):
        if stale.name.removesuffix(".json.xz") not in every:
            stale.unlink()
    ENVIRONMENT.write_text(json.dumps(environment(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
