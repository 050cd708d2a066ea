"""Take out what keeps Paribus out of a trap and see that its test fails: ``python -m benchmarks.without_handling``.

Exit code 1 if a test passes all the same: it would not notice.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "PARIBUS_WITHOUT"
MLFLOW = "tests/tracking/test_mlflow_traps.py::test_"


@dataclass(frozen=True)
class Handling:
    """What keeps us out of a trap.

    Attributes:
        place: ``module:name`` of what does.
        instead: What stands there without it.
        test: The test that must fail then.
    """

    place: str
    instead: Any
    test: str


def _same_folder(config: Any) -> Path:
    """Take the folder that a job names, whoever has used it."""
    from paribus.config._compatibility import hydra_node

    with hydra_node(config):
        folder = Path(str(config.hydra.sweep.dir)).absolute() / str(config.hydra.sweep.subdir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _all_finite(metrics: Any) -> tuple[list[Any], dict[str, str]]:
    """Hand every metric to MLflow as it is."""
    from paribus.tracking.metrics import Point

    return [Point(name, float(value)) for name, value in metrics.items()], {}


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """Do nothing."""


HANDLINGS = {
    "moved stores": Handling(
        "paribus.tracking.local:moved_from",
        _nothing,
        f"{MLFLOW}artifacts_of_a_moved_folder_vanish_in_silence_and_here_it_is_said",
    ),
    "old file stores": Handling(
        "paribus.tracking.local:refuse_file_store",
        _nothing,
        f"{MLFLOW}a_file_store_is_refused_by_mlflow_late_and_by_us_at_once",
    ),
    "empty databases": Handling(
        "paribus.tracking.local:usable", lambda path: path.exists(), f"{MLFLOW}an_empty_file_is_no_store"
    ),
    "deprecations": Handling(
        "paribus.tracking.environment:no_deprecations",
        contextlib.nullcontext,
        f"{MLFLOW}deprecations_inside_mlflow_are_no_errors_of_ours",
    ),
    "patience": Handling(
        "paribus.tracking.environment:PATIENCE", {}, f"{MLFLOW}telemetry_and_patience_are_set_before_mlflow_is_asked"
    ),
    "infinity": Handling(
        "paribus.tracking.run:split_finite",
        _all_finite,
        f"{MLFLOW}infinity_is_changed_by_mlflow_and_comes_back_here",
    ),
    "memory": Handling(
        "paribus.engine.batches:is_out_of_memory",
        lambda error: False,
        "tests/running/test_out_of_memory.py::test_smaller_batches_give_the_same_tables_and_the_run_says_so",
    ),
    "memory, said": Handling(
        "paribus.engine.batches:say",
        _nothing,
        "tests/running/test_out_of_memory.py::test_smaller_batches_give_the_same_tables_and_the_run_says_so",
    ),
    "kinds of steps": Handling(
        "paribus.running.failures:_chain",
        lambda error: iter([error]),
        "tests/running/test_failures.py::test_a_sequence_fails_of_the_kind_of_its_step",
    ),
    "lists without quotes": Handling(
        "paribus.config.quoting:quoted",
        lambda word: word,
        "tests/config/test_quoting.py::test_a_real_shell_and_hydra_pass_a_restriction_without_inner_quotes",
    ),
    "folders of jobs": Handling(
        "paribus.sweep.loader:own_folder",
        _same_folder,
        "tests/sweep/test_loader.py::test_no_folder_is_used_twice",
    ),
}


def pytest_configure() -> None:
    """As a plugin of pytest: take the handling out."""
    handling = HANDLINGS[os.environ[NAME]]
    module, _, name = handling.place.partition(":")
    found = importlib.import_module(module)
    assert hasattr(found, name), f"{handling.place}: is not there"
    setattr(found, name, handling.instead)


def main() -> int:
    """Take out one handling after the other, and print whether its test notices."""
    unnoticed = 0
    for name, handling in HANDLINGS.items():
        fails = _fails(name, handling.test, without=True)
        passes = not _fails(name, handling.test, without=False)
        fine = fails and passes
        unnoticed += not fine
        said = "noticed" if fine else "NOT NOTICED" if not fails else "THE TEST FAILS ANYWAY"
        print(f"{name:<22} {said}", flush=True)
    print(f"{len(HANDLINGS) - unnoticed} of {len(HANDLINGS)} noticed")
    return 1 if unnoticed else 0


def _fails(name: str, test: str, *, without: bool) -> bool:
    words = ["-x", "-q", "-p", "no:cacheprovider", test, *(["-p", "benchmarks.without_handling"] if without else [])]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=root,
        env={**os.environ, NAME: name},
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{test}: {done.stdout[-800:]}{done.stderr[-800:]}")
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
