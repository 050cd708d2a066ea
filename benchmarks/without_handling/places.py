"""Take what keeps Paribus out of a trap away, and its test fails: ``python -m benchmarks.without_handling [NAME ...]``.

Exit code 1 if a test passes all the same: it would not notice.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl

NAME = "PARIBUS_WITHOUT"
MLFLOW = "tests/tracking/test_mlflow_traps.py::test_"


@dataclass(frozen=True)
class Handling:
    """What keeps us out of a trap.

    Attributes:
        place: ``module:name`` of what does, or ``module:Class.name``.
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


def _one_for_all(folder: Path) -> Any:
    """Let a forked process use the object of its parent, which holds the parent's locks by its own count."""
    from paribus.tracking.claims import FILE, FileClaims

    path = str(folder.resolve() / FILE)
    return FileClaims._open.setdefault((0, path), FileClaims(Path(path)))


def _any_step(run: Any, name: str, value: float, step: float) -> None:
    """Hand a step to MLflow as it is."""
    run._client.log_metric(run._id, name, value, step=step)


def _commit_alone(folder: Path, *arguments: str) -> str | None:
    """Ask git for the commit and nothing else."""
    if arguments[0] != "rev-parse":
        return ""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


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
    "claims": Handling(
        "paribus.tracking.claims:FileClaims._lock",
        lambda claims, identity: True,
        "tests/tracking/test_claims.py::test_a_claim_is_held_by_one_process",
    ),
    "claims after a fork": Handling(
        "paribus.tracking.claims:FileClaims.of",
        _one_for_all,
        "tests/tracking/test_claims.py::test_a_forked_process_holds_nothing_of_its_parents",
    ),
    "claims on a server": Handling(
        "paribus.tracking.ledger:LedgerClaims._first",
        lambda claims, key, value: True,
        "tests/tracking/test_ledger.py::test_a_claim_has_one_holder_and_comes_free",
    ),
    "machines that slept": Handling(
        "paribus.tracking.ledger:LedgerClaims._fenced_off",
        lambda claims, claim, holder: True,
        "tests/tracking/test_ledger.py::test_who_was_given_up_ends_nothing_and_who_is_ending_is_waited_for",
    ),
    "clocks of hosts": Handling(
        "paribus.tracking.server:clock",
        lambda uri: time.time,
        "tests/tracking/test_ledger.py::test_signs_of_life_tell_the_servers_time",
    ),
    "dead processes": Handling(
        "paribus.tracking.heartbeat:is_lost",
        lambda run_id, mark, *, now: False,
        "tests/tracking/test_heartbeat.py::test_a_killed_process_is_reaped_and_a_living_one_is_not",
    ),
    "signals at the end": Handling(
        "paribus.running.holding:SignalsHeld.__enter__",
        _nothing,
        "tests/running/test_life.py::test_a_signal_as_the_run_finishes_waits_until_it_is_finished",
    ),
    "types of params": Handling(
        "paribus.tracking.params:to_text", str, "tests/tracking/test_params.py::test_a_param_keeps_its_type"
    ),
    "steps between": Handling(
        "paribus.tracking.run:TrackedRun.metric",
        _any_step,
        f"{MLFLOW}steps_between_two_whole_numbers_are_stored_in_silence_and_here_refused",
    ),
    "uncommitted changes": Handling(
        "paribus.tracking.provenance:git_text",
        _commit_alone,
        "tests/tracking/test_provenance.py::test_commit_dirty_flag_diff_and_untracked_files",
    ),
    "one GPU each": Handling(
        "paribus.sweep.processors:one_gpu",
        lambda number, *, there, device: {"CUDA_VISIBLE_DEVICES": ",".join(there)},
        "tests/sweep/test_processors.py::test_gpus_are_taken_in_turn_out_of_those_that_are_visible",
    ),
    "one composition": Handling(
        "paribus.sweep.loader:SweepLoader.load_sweep_config",
        ConfigLoaderImpl.load_sweep_config,
        "tests/cli/test_launch.py::test_the_sweeper_does_not_compose_every_job_once_more",
    ),
    "edited options": Handling(
        "paribus.config.composers:_options",
        lambda folder: iter(()),
        "tests/config/test_composers.py::test_a_composer_is_kept_until_an_option_changes",
    ),
    "changed files": Handling(
        "paribus.running.setup:fingerprint",
        repr,
        "tests/sweep/test_kept_loaded.py::test_a_file_that_changed_is_read_again",
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
    module, _, path = handling.place.partition(":")
    found: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for each in classes:
        found = getattr(found, each)
    assert hasattr(found, name), f"{handling.place}: is not there"
    setattr(found, name, handling.instead)


def main() -> int:
    """Take out one handling after the other, and print whether its test notices."""
    unnoticed = 0
    chosen = sys.argv[1:] or list(HANDLINGS)
    for name in chosen:
        handling = HANDLINGS[name]
        fails = _fails(name, handling.test, without=True)
        passes = not _fails(name, handling.test, without=False)
        fine = fails and passes
        unnoticed += not fine
        said = "noticed" if fine else "NOT NOTICED" if not fails else "THE TEST FAILS ANYWAY"
        print(f"{name:<22} {said}", flush=True)
    print(f"{len(chosen) - unnoticed} of {len(chosen)} noticed")
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
