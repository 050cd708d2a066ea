"""``paribus doctor``: checks the installation and the store, and repairs them."""

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
from paribus.cli.store import stated_spec
from paribus.config.locate import conf_dir
from paribus.errors import ParibusError, size_of
from paribus.running.workspace import ROOT, orphans
from paribus.tracking.health import Finding, look
from paribus.tracking.opening import open_store
from paribus.tracking.relocate import relocate
from paribus.tracking.spec import database, has_runs

if TYPE_CHECKING:
    from paribus.tracking.spec import TrackingSpec

SUMMARY = "checks the installation and the store, and mends what is not in order"
USAGE = """
paribus doctor [tracking=...]  check the installation and the store of this folder
paribus doctor --mend          and mend what can be: docs/store.md says what is done
paribus doctor --relocate      after the folder was moved or copied: let its runs find their files again
paribus doctor --reap          mark runs as KILLED whose process is gone
"""
_PACKAGES = ("torch", "hydra-core", "omegaconf", "mlflow", "numpy", "pandas", "scipy", "scikit-learn", "statsmodels")
_LAUNCHERS = ("hydra-joblib-launcher", "hydra-submitit-launcher")
_LEAST_FREE = 2**30
_ROUNDS = 4


def run(arguments: Sequence[str]) -> int:
    """Check, or repair what was asked for; 1 if something is not in order.

    Raises:
        ParibusError: If a repair cannot be done.
    """
    parser = Arguments("doctor")
    parser.add_argument("--relocate", action="store_true")
    parser.add_argument("--reap", action="store_true")
    parser.add_argument("--mend", action="store_true")
    parser.store_options()
    asked = parser.take(arguments)
    spec = stated_spec(asked.overrides, asked.config_dir)
    if asked.relocate:
        changed = relocate(database(spec).parent)
        print(f"{changed} paths rewritten." if changed else "Nothing to do: the store was not moved.")
    if asked.reap:
        closed = open_store(spec, writing=False).reap() if has_runs(spec) else []
        print(f"{len(closed)} runs marked as KILLED{': ' + ', '.join(r[:8] for r in closed) if closed else ''}.")
    if asked.relocate or asked.reap:
        return 0
    lines = [*_installation(), *_disk(spec)]
    findings = _findings(spec, mends=asked.mend)
    lines += [(finding.fine, finding.name, finding.text) for finding in findings]
    print(aligned([("ok" if fine else "!!", name, text) for fine, name, text in lines]))
    if any(finding.mend is not None for finding in findings) and not asked.mend:
        print("paribus doctor --mend mends what can be mended.")
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


def _disk(spec: TrackingSpec) -> list[tuple[bool, str, str]]:
    folder = database(spec).parent
    if spec.kind != "local" or not folder.is_dir():
        return []
    free = shutil.disk_usage(folder).free
    return [(free >= _LEAST_FREE, "disk", f"{size_of(free)} free")]


def _findings(spec: TrackingSpec, *, mends: bool) -> list[Finding]:
    """Check the store; with ``--mend``, repair what can be repaired and check again."""
    if not mends:
        return _looked(spec)
    done: list[Finding] = []
    tried: set[str] = set()
    for _ in range(_ROUNDS):  # the first defect may hide others
        found = _looked(spec)
        mendable = [each for each in found if each.mend is not None and each.text not in tried]
        if not mendable:
            break
        for each in mendable:
            assert each.mend is not None
            tried.add(each.text)
            done.append(Finding(each.name, f"{each.text}: {each.mend()}", fine=True))
    return [*done, *found]


def _looked(spec: TrackingSpec) -> list[Finding]:
    if spec.kind == "off":
        return [Finding("store", "tracking=off keeps none", fine=True)]
    if spec.kind == "local" and not database(spec).parent.is_dir():
        return [Finding("store", f"{database(spec).parent} is not there")]
    try:
        found = list(look(spec))
        return [*found, *_workspaces(spec)] if all(each.fine or each.name != "store" for each in found) else found
    except ParibusError as error:
        return [Finding("store", str(error))]


def _workspaces(spec: TrackingSpec) -> list[Finding]:
    """Find workspaces of killed runs that are no longer needed."""
    if not has_runs(spec) or not ROOT.is_dir():
        return []
    store = open_store(spec, writing=False)

    def is_finished(identity: str) -> bool:
        where = f"tags.identity = '{identity}' and attributes.status = 'FINISHED'"
        return identity.isalnum() and bool(store.runs(where=where, limit=1, everywhere=True))

    found = orphans(is_finished)
    if not found:
        return [Finding("work", "nothing kept that is not wanted any more", fine=True)]

    def mend() -> str:
        for folder in found:
            shutil.rmtree(folder, ignore_errors=True)
        return f"{len(found)} folders deleted"

    return [Finding("work", f"{len(found)} folders in {ROOT} of runs that have finished, or are gone", mend)]
