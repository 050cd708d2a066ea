"""``paribus doctor``: is everything in order, and what to do where it is not."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from paribus import __version__
from paribus.cli.arguments import Arguments
from paribus.cli.columns import aligned
from paribus.cli.store import tracking_spec
from paribus.config.locate import conf_dir
from paribus.errors import ParibusError
from paribus.tracking.relocate import relocate
from paribus.tracking.spec import database, has_runs
from paribus.tracking.store import open_store

if TYPE_CHECKING:
    from paribus.tracking.spec import TrackingSpec

SUMMARY = "checks the installation and the store; repairs a moved store and runs left open"
USAGE = """
paribus doctor                 check the installation and the store of this folder
paribus doctor --relocate      after the folder was moved or copied: let its runs find their files again
paribus doctor --reap          mark runs as KILLED whose process is gone
"""
_PACKAGES = ("torch", "hydra-core", "omegaconf", "mlflow", "numpy", "pandas", "scipy", "scikit-learn", "statsmodels")
_LAUNCHERS = ("hydra-joblib-launcher", "hydra-submitit-launcher")
_LEAST_FREE = 2**30


def run(arguments: Sequence[str]) -> int:
    """Check, or repair what was asked for; 1 if something is not in order.

    Raises:
        ParibusError: If a repair cannot be done.
    """
    parser = Arguments("doctor")
    parser.add_argument("--relocate", action="store_true")
    parser.add_argument("--reap", action="store_true")
    parser.store_options()
    asked = parser.take(arguments)
    spec = tracking_spec(asked.overrides, asked.config_dir)
    if asked.relocate:
        changed = relocate(database(spec).parent)
        print(f"{changed} paths rewritten." if changed else "Nothing to do: the store was not moved.")
    if asked.reap:
        closed = open_store(spec, writing=False).reap() if has_runs(spec) else []
        print(f"{len(closed)} runs marked as KILLED{': ' + ', '.join(r[:8] for r in closed) if closed else ''}.")
    if asked.relocate or asked.reap:
        return 0
    lines = [*_installation(), *_store(spec)]
    print(aligned([("ok" if fine else "!!", name, text) for fine, name, text in lines]))
    return 0 if all(fine for fine, _, _ in lines) else 1


def _installation() -> list[tuple[bool, str, str]]:

    lines = [
        (True, "paribus", f"{__version__} ({Path(__file__).parents[2]})"),
        (sys.version_info >= (3, 11), "python", sys.version.split()[0]),
        (True, "configuration", str(conf_dir())),
    ]
    for name in _PACKAGES:
        version = _version(name)
        lines.append((version is not None, name, version or "is not installed"))
    for name in _LAUNCHERS:
        lines.append((True, name, _version(name) or "is not installed (optional: parallel sweeps)"))

    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no CUDA device, the CPU is used"
    return [*lines, (True, "device", cuda)]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _store(spec: TrackingSpec) -> list[tuple[bool, str, str]]:
    if spec.kind == "off":
        return [(True, "store", "tracking=off keeps none")]
    if spec.kind == "local":
        folder = database(spec).parent
        if not folder.is_dir():
            return [(False, "store", f"{folder} is not there")]
        free = shutil.disk_usage(folder).free
        disk = (free >= _LEAST_FREE, "disk", f"{free / 2**30:.1f} GiB free")
        if not database(spec).is_file():
            return [disk, (True, "store", f"none yet in {folder}")]
        return [disk, *_opened(spec, f"{database(spec)}")]
    return _opened(spec, str(spec.uri))


def _opened(spec: TrackingSpec, place: str) -> list[tuple[bool, str, str]]:

    try:
        store = open_store(spec)
        running = store.runs(where="attributes.status = 'RUNNING'", everywhere=True)
    except ParibusError as error:
        return [(False, "store", str(error))]
    note = f"{len(running)} runs are marked as RUNNING; paribus doctor --reap closes those whose process is gone"
    return [(True, "store", place), (True, "runs", note if running else "none left open")]
