"""What keeps Paribus out of a trap where it is one function or value: what stands in its place without it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl

MLFLOW = "tracking/test_mlflow_traps.py::test_"


@dataclass(frozen=True)
class Place:
    """What keeps us out of a trap.

    Attributes:
        trap: Its name in ``tests/house/test_traps.py``.
        place: ``module:name`` of what does, or ``module:Class.name``.
        instead: What stands there without it.
        test: The test that must fail then.
    """

    trap: str
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


def _by_words(node: Any) -> str:
    """Tell what is kept by the words of its spec, and believe that no file has changed since."""
    from paribus.config.opened import Opened

    Opened.replaced = lambda self: False  # type: ignore[method-assign]
    return repr(node)


PLACES = (
    Place(
        "artifact addresses are absolute",
        "paribus.tracking.local:moved_from",
        _nothing,
        f"{MLFLOW}artifacts_of_a_moved_folder_vanish_in_silence_and_here_it_is_said",
    ),
    Place(
        "a folder as tracking URI raises, and a file store flips the default",
        "paribus.tracking.local:refuse_file_store",
        _nothing,
        f"{MLFLOW}a_file_store_is_refused_by_mlflow_late_and_by_us_at_once",
    ),
    Place(
        "an empty mlflow.db is no store",
        "paribus.tracking.local:usable",
        lambda path: path.exists(),
        f"{MLFLOW}an_empty_file_is_no_store",
    ),
    Place(
        "deprecations inside MLflow",
        "paribus.tracking.environment:no_deprecations",
        contextlib.nullcontext,
        f"{MLFLOW}deprecations_inside_mlflow_are_no_errors_of_ours",
    ),
    Place(
        "a server that stops holds every call for minutes",
        "paribus.tracking.environment:PATIENCE",
        {},
        f"{MLFLOW}telemetry_and_patience_are_set_before_mlflow_is_asked",
    ),
    Place(
        "infinity becomes 1.8e308",
        "paribus.tracking.run:split_finite",
        _all_finite,
        f"{MLFLOW}infinity_is_changed_by_mlflow_and_comes_back_here",
    ),
    Place(
        "memory of a device or of the machine runs out",
        "paribus.engine.batches:is_out_of_memory",
        lambda error: False,
        "running/test_out_of_memory.py::test_smaller_batches_give_the_same_tables_and_the_run_says_so",
    ),
    Place(
        "memory of a device or of the machine runs out",
        "paribus.engine.batches:say",
        _nothing,
        "running/test_out_of_memory.py::test_smaller_batches_give_the_same_tables_and_the_run_says_so",
    ),
    Place(
        "one failure has many errors around it",
        "paribus.running.failures:_chain",
        lambda error: iter([error]),
        "running/test_failures.py::test_a_sequence_fails_of_the_kind_of_its_step",
    ),
    Place(
        "an unquoted [ in a value is refused",
        "paribus.config.quoting:quoted",
        lambda word: word,
        "config/test_quoting.py::test_a_real_shell_and_hydra_pass_a_restriction_without_inner_quotes",
    ),
    Place(
        "looking and then creating makes duplicates",
        "paribus.tracking.claims:FileClaims._lock",
        lambda claims, identity: True,
        "tracking/test_claims.py::test_a_claim_is_held_by_one_process",
    ),
    Place(
        "a forked process inherits none of the locks",
        "paribus.tracking.claims:FileClaims.of",
        _one_for_all,
        "tracking/test_claims.py::test_a_forked_process_holds_nothing_of_its_parents",
    ),
    Place(
        "a server has no locks",
        "paribus.tracking.ledger:LedgerClaims._first",
        lambda claims, key, value: True,
        "tracking/test_ledger.py::test_a_claim_has_one_holder_and_comes_free",
    ),
    Place(
        "a machine that slept is not dead",
        "paribus.tracking.ledger:LedgerClaims._fenced_off",
        lambda claims, claim, holder: True,
        "tracking/test_ledger.py::test_who_was_given_up_ends_nothing_and_who_is_ending_is_waited_for",
    ),
    Place(
        "clocks of hosts differ",
        "paribus.tracking.server:clock",
        lambda uri: time.time,
        "tracking/test_ledger.py::test_signs_of_life_tell_the_servers_time",
    ),
    Place(
        "a killed process leaves its run RUNNING",
        "paribus.tracking.heartbeat:is_lost",
        lambda run_id, mark, *, now: False,
        "tracking/test_heartbeat.py::test_a_killed_process_is_reaped_and_a_living_one_is_not",
    ),
    Place(
        "a signal between the last writes loses the result",
        "paribus.running.holding:SignalsHeld.__enter__",
        _nothing,
        "running/test_life.py::test_a_signal_as_the_run_finishes_waits_until_it_is_finished",
    ),
    Place(
        "params are texts, cut at 6,000 characters",
        "paribus.tracking.params:to_text",
        str,
        "tracking/test_params.py::test_a_param_keeps_its_type",
    ),
    Place(
        "steps between whole numbers are stored in silence",
        "paribus.tracking.run:TrackedRun.metric",
        _any_step,
        f"{MLFLOW}steps_between_two_whole_numbers_are_stored_in_silence_and_here_refused",
    ),
    Place(
        "the commit alone does not say what ran",
        "paribus.tracking.provenance:git_text",
        _commit_alone,
        "tracking/test_provenance.py::test_commit_dirty_flag_diff_and_untracked_files",
    ),
    Place(
        "all jobs get the same GPU",
        "paribus.sweep.processors:one_gpu",
        lambda number, *, there, device: {"CUDA_VISIBLE_DEVICES": ",".join(there)},
        "sweep/test_processors.py::test_gpus_are_taken_in_turn_out_of_those_that_are_visible",
    ),
    Place(
        "every job is composed twice",
        "paribus.sweep.loader:SweepLoader.load_sweep_config",
        ConfigLoaderImpl.load_sweep_config,
        "cli/test_launch.py::test_the_sweeper_does_not_compose_every_job_once_more",
    ),
    Place(
        "options that were edited are read from a cache",
        "paribus.config._compatibility:stamp",
        lambda folder: frozenset(),
        "config/test_composers.py::test_a_composer_is_kept_until_an_option_changes",
    ),
    Place(
        "what stays loaded is no longer true",
        "paribus.running.setup:fingerprint",
        _by_words,
        "sweep/test_kept_loaded.py::test_a_file_that_changed_is_read_again",
    ),
    Place(
        "job folders are reused in silence, and two jobs of one second collide",
        "paribus.sweep.loader:own_folder",
        _same_folder,
        "sweep/test_loader.py::test_no_folder_is_used_twice",
    ),
)
"""Each with the test that notices."""
