"""A wheel built from the checkout runs elsewhere, with its configuration inside."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of a fresh installation; nothing is fetched from anywhere."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, text=True, timeout=240)
    (wheel,) = folder.glob("paribus-*.whl")
    target = folder / "site"
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True, timeout=240)
    return target


def paribus(installed: Path, folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "paribus", *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_option_of_the_checkout(installed):
    (wheel,) = installed.parent.glob("paribus-*.whl")
    inside = {name.removeprefix("paribus/") for name in zipfile.ZipFile(wheel).namelist() if "/conf/" in name}
    assert inside == {str(path.relative_to(ROOT)) for path in (ROOT / "conf").rglob("*.yaml")}


def test_it_is_the_installed_one_that_runs_and_it_finds_its_options(installed, tmp_path):
    where = "import paribus, paribus.config.locate as l; print(paribus.__file__); print(l.conf_dir())"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    out = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert out == [str(installed / "paribus" / "__init__.py"), str(installed / "paribus" / "conf")]
    listed = paribus(installed, tmp_path, "list")
    assert "activation_steering" in listed and "train_classifier" in listed


def test_a_study_is_composed_from_it(installed, tmp_path):
    out = paribus(installed, tmp_path, "-m", "study=shortcut_digits", "seed=0,1", "dry_run=true")
    assert "Nothing was run" in out
    assert list(tmp_path.iterdir()) == []
