"""The traps of the libraries that Paribus stands on: each is named, with the tests that would fail if it were met.

What only a version range keeps away is tested here.
"""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from benchmarks.without_handling.edits import EDITS
from benchmarks.without_handling.places import PLACES

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "paribus"
WRITTEN = "e2e/test_wrong_requests.py::test_a_wrong_request_gets_one_line_and_leaves_nothing"
GENERATED = "e2e/test_wrong_requests.py::test_generated_requests_get_one_line_and_leave_nothing"
MLFLOW = "tracking/test_mlflow_traps.py::test_"
HERE = "house/test_traps.py::test_"
TRAPS = {
    # versions and imports
    "releases that cannot be installed together": [f"{HERE}pins"],
    "Python 3.14 crashes Hydra 1.3": [f"{HERE}python_versions"],
    "torchvision and timm do not import beside this torch": [
        f"{HERE}nothing_imports_what_does_not_import",
        "models/test_checkpoints_of_any_origin.py::test_published_names_of_resnet18_load_and_a_new_head_is_asked_for",
        "models/test_classifiers.py::test_resnet18_has_the_parameters_of_torchvision",
    ],
    "imports take seconds": [
        "cli/test_main.py::test_help_and_version_do_not_even_import_hydra",
        "cli/test_main.py::test_looking_around_and_wrong_requests_import_nothing_heavy",
        "house/test_imports.py::test_what_every_request_imports_is_light",
    ],
    # Hydra
    "a multirun prints one traceback at its end and none into the job's log": [
        "cli/test_launch.py::test_a_sweep_goes_on_after_a_failure_and_ends_in_a_table",
        "e2e/test_failures.py::test_an_exception_in_an_experiment_keeps_the_tables_it_had",
    ],
    "job folders are reused in silence, and two jobs of one second collide": [
        "sweep/test_loader.py::test_no_folder_is_used_twice",
        "cli/test_launch.py::test_a_folder_used_twice_does_not_mix_two_sweeps",
        "running/test_run.py::test_files_of_a_single_run_go_to_a_folder_of_their_own",
    ],
    "no resume, skip or dry run": [
        "sweep/test_batch.py::test_the_start_of_a_sweep_takes_what_is_done_and_leaves_out_what_would_fail_again",
        "cli/test_launch.py::test_a_dry_run_validates_and_leaves_nothing",
        "e2e/test_sweeps.py::test_a_plan_writes_nothing_and_its_commands_run_by_themselves",
    ],
    "all jobs get the same GPU": [
        "sweep/test_processors.py::test_gpus_are_taken_in_turn_out_of_those_that_are_visible",
        "sweep/test_loader.py::test_jobs_of_launchers_of_others_see_one_gpu_each",
    ],
    "version_base must be given": [f"{HERE}hydra_is_started_in_one_place_with_its_version"],
    "a later Hydra wants to be told which targets it may call": [f"{HERE}hydra_calls_no_target"],
    "plain hydra.main exits 1 with several lines, and leaves a folder": [WRITTEN, GENERATED],
    "callbacks are not called when a job failed, and their errors are warnings": [
        "running/test_sequence.py::test_a_sweep_ends_with_the_comparison_of_what_finished",
        "cli/test_launch.py::test_a_comparison_that_fails_makes_the_sweep_fail",
    ],
    "ConfigStore schemas do not protect": [
        WRITTEN,
        "config/test_compose.py::test_wrong_requests_are_refused_with_place_and_valid_names",
    ],
    "an experiment inside another has a place of its own": [
        "config/test_shipped_conf.py::test_every_option_composes_and_is_accepted"
    ],
    "study=X needs a place in the defaults": ["config/test_shipped_conf.py::test_every_study_composes"],
    "an option that chooses its data must override at _global_": [
        "config/test_compose.py::test_an_experiment_chooses_its_data_and_the_command_line_beats_it",
        "config/test_shipped_conf.py::test_every_option_composes_and_is_accepted",
    ],
    "an unquoted [ in a value is refused": [
        "config/test_quoting.py::test_a_real_shell_and_hydra_pass_a_restriction_without_inner_quotes"
    ],
    "a number with a point loses its last zero": ["config/test_check.py::test_a_name_is_a_text_or_a_whole_number"],
    "hydra.job.chdir moves what is relative": [
        "e2e/test_working_folder.py::test_store_files_and_options_keep_their_place_and_reuse_works"
    ],
    "every job is composed twice": [
        "cli/test_launch.py::test_the_sweeper_does_not_compose_every_job_once_more",
        "config/test_compose.py::test_each_distinct_choice_of_groups_is_composed_once",
        "sweep/test_loader.py::test_equal_to_hydra_for_every_option_of_every_group",
    ],
    "an editable install copies conf": ["config/test_locate.py::test_the_installed_package_goes_before_the_checkout"],
    "classes of a plugin module cannot be pickled": [
        "cli/test_signals.py::test_joblib_runs_the_same_jobs_and_says_what_failed_and_what_died"
    ],
    "a range with a step of 0, and other words that hang": [WRITTEN, GENERATED],
    # MLflow
    "a folder as tracking URI raises, and a file store flips the default": [
        f"{MLFLOW}a_file_store_is_refused_by_mlflow_late_and_by_us_at_once",
        "tracking/test_store.py::test_an_old_file_store_is_named_before_anything_is_written",
    ],
    "several first users of a fresh database crash": [
        "tracking/test_store.py::test_six_processes_may_race_for_a_fresh_database"
    ],
    "artifact addresses are absolute": [
        f"{MLFLOW}artifacts_of_a_moved_folder_vanish_in_silence_and_here_it_is_said",
        "tracking/test_store.py::test_a_moved_folder_is_noticed_and_relocated",
    ],
    "a killed process leaves its run RUNNING": [
        "tracking/test_heartbeat.py::test_a_killed_process_is_reaped_and_a_living_one_is_not"
    ],
    "params are texts, cut at 6,000 characters": [
        "tracking/test_params.py::test_a_param_keeps_its_type",
        "tracking/test_params.py::test_long_values_are_cut_by_us_and_say_so",
    ],
    "infinity becomes 1.8e308": [f"{MLFLOW}infinity_is_changed_by_mlflow_and_comes_back_here"],
    "one call for each point is slow, the asynchronous mode loses some, log_table overflows a tag": [
        f"{MLFLOW}metrics_go_in_batches_and_tables_past_log_table"
    ],
    "the commit alone does not say what ran": [
        "tracking/test_provenance.py::test_commit_dirty_flag_diff_and_untracked_files"
    ],
    "deprecations inside MLflow": [f"{MLFLOW}deprecations_inside_mlflow_are_no_errors_of_ours"],
    "telemetry": [f"{MLFLOW}telemetry_and_patience_are_set_before_mlflow_is_asked"],
    "write-ahead corrupts on network file systems": [f"{MLFLOW}the_database_never_writes_ahead"],
    "the fluent API ends runs wrongly after signals and errors": [
        f"{HERE}the_fluent_interface_is_not_used",
        "running/test_run.py::test_a_signal_never_leaves_a_run_running",
    ],
    "logged models are no files of their run": [f"{HERE}the_fluent_interface_is_not_used"],
    "steps between whole numbers are stored in silence": [
        f"{MLFLOW}steps_between_two_whole_numbers_are_stored_in_silence_and_here_refused",
        "tracking/test_params.py::test_steps_of_a_curve_are_integers_a_database_can_hold",
    ],
    "a server that stops holds every call for minutes": [
        f"{MLFLOW}telemetry_and_patience_are_set_before_mlflow_is_asked",
        GENERATED,
    ],
    "a driver that is not there": [
        f"{MLFLOW}a_database_without_its_driver_is_refused_in_one_line",
        "running/test_validate.py::test_a_store_that_no_run_could_be_kept_in_is_refused",
    ],
    "an empty mlflow.db is no store": [f"{MLFLOW}an_empty_file_is_no_store"],
    "a killed writer leaves a journal that only a writer can play back": [
        "tracking/test_embedded.py::test_what_a_killed_process_left_half_written_is_taken_back",
        "tracking/test_embedded.py::test_the_journal_of_a_process_that_is_writing_is_left_alone",
    ],
    "a journal is played into whatever database has its name": [
        "tracking/test_embedded.py::test_the_journal_of_a_database_that_is_gone_is_not_played_into_the_next"
    ],
    "the UI averages without a spread": [
        "running/test_derived.py::test_each_group_has_a_run_with_means_ends_and_curves"
    ],
    "the UI hides nested runs": [
        "e2e/test_mlflow_ui.py::test_the_run_list_has_the_columns_that_tell_runs_apart_and_intervals",
        "e2e/test_mlflow_ui.py::test_whoever_clicks_through_from_the_first_page_sees_the_steps_too",
    ],
    "MLflow prints a traceback for each call on a full disk": [
        "e2e/test_places.py::test_a_full_disk_is_said_in_few_lines"
    ],
    # torch
    "closed form and split networks must equal hooks": ["contract/test_interventions.py::test_all_ways_agree"],
    "the empty set": ["subjects/builds/test_edits.py::test_the_empty_set_is_counted_and_left_out"],
    "torch.fx fails on transformers": [
        "engine/test_resume.py::test_a_model_of_transformers",
        "engine/test_resume.py::test_tail_equals_hooks",
        "engine/test_resume.py::test_reading_downstream_of_the_tail",
    ],
    "GGUF keeps rows of queries and keys in another order": [
        "e2e/test_language_model.py::test_the_loss_on_repeated_tokens_is_reproduced"
    ],
    "memory of a device or of the machine runs out": [
        "running/test_out_of_memory.py::test_smaller_batches_give_the_same_tables_and_the_run_says_so",
        "training/test_measure.py::test_out_of_memory_halves_the_batch_of_an_evaluation",
        "contract/test_memory_of_a_device.py::test_memory_that_really_runs_out_halves_the_batch",
    ],
    "a GPU computes other numbers": ["contract/test_interventions.py::test_cpu_agrees_with_cuda"],
    "files that claim more than they hold, pipes, images of 170 megapixels": [WRITTEN, GENERATED],
    # sweeps
    "a batch of params reads all that a run has": ["tracking/test_ledger.py::test_a_ledger_is_written_param_by_param"],
    "a server has no locks": ["tracking/test_ledger.py::test_a_claim_has_one_holder_and_comes_free"],
    "asking run by run takes minutes": ["sweep/test_standing.py::test_the_store_is_asked_once_and_not_changed"],
    "model.run=latest means something else later": ["sweep/test_standing.py::test_latest_is_looked_up_once_and_named"],
    "looking and then creating makes duplicates": [
        "tracking/test_claims.py::test_a_claim_is_held_by_one_process",
        "tracking/test_claims.py::test_of_many_processes_one_does_the_work",
    ],
    "closing any descriptor drops all locks": [
        "tracking/test_claims.py::test_reading_the_file_does_not_matter_but_closing_it_here_would"
    ],
    "a forked process inherits none of the locks": [
        "tracking/test_claims.py::test_a_forked_process_holds_nothing_of_its_parents"
    ],
    "threads share the locks of their process": [
        "tracking/test_claims.py::test_a_thread_may_take_its_own_again_and_another_waits"
    ],
    "who waits for a claim finds the run finished": ["running/test_once.py::test_one_of_several_processes_measures"],
    "a busy claim holds a worker": [
        "sweep/test_batch.py::test_a_job_that_another_process_is_at_is_left_for_later",
        "sweep/test_pool.py::test_jobs_that_nobody_is_at_come_first_and_comparisons_last",
    ],
    "a param of a ledger may be written though its answer is lost": [
        "tracking/test_ledger.py::test_a_claim_whose_answer_was_lost_is_ours"
    ],
    "a machine that slept is not dead": [
        "tracking/test_ledger.py::test_who_was_given_up_ends_nothing_and_who_is_ending_is_waited_for",
        "running/test_once.py::test_a_run_that_another_process_took_over_ends_as_killed_and_takes_the_others_result",
    ],
    "a server goes away in the middle, and a delivery is cut short": [
        "tracking/test_spool.py::test_wherever_the_line_is_cut_everything_arrives_once"
    ],
    "options that were edited are read from a cache": [
        "config/test_composers.py::test_a_composer_is_kept_until_an_option_changes"
    ],
    "what stays loaded is no longer true": ["sweep/test_kept_loaded.py::test_a_file_that_changed_is_read_again"],
    "clocks of hosts differ": [
        "tracking/test_ledger.py::test_signs_of_life_tell_the_servers_time",
        "tracking/test_ledger.py::test_on_other_hosts_silence_decides_by_the_watchers_own_clock",
    ],
    "a signal between the last writes loses the result": [
        "running/test_faults.py::test_every_run_ends_once",
        "running/test_life.py::test_a_signal_as_the_run_finishes_waits_until_it_is_finished",
    ],
    "one failure has many errors around it": [
        "running/test_failures.py::test_a_sequence_fails_of_the_kind_of_its_step"
    ],
    "a bad end must not look like a result": [
        "running/test_life.py::test_a_run_that_does_not_finish_has_partial_json_and_no_result_json"
    ],
    "half a file has the name of a whole one": [
        "results/test_files.py::test_what_stops_a_write_leaves_the_old_file_and_nothing_else",
        "results/test_files.py::test_several_writers_of_one_file_never_mix",
    ],
    "PNG and PDF are each laid out anew": ["running/test_figure_formats.py::test_formats"],
    "one killed worker breaks the batch": [
        "e2e/test_sweeps.py::test_a_sweep_that_is_killed_twice_is_completed_by_the_same_command"
    ],
    "workers outlive their parent": ["cli/test_signals.py::test_workers_end_after_their_parent_is_killed"],
}
"""Each trap, and the tests that keep us out of it."""


@cache
def named_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def pinned(package: str) -> str:
    found = re.search(rf"^{re.escape(package)}==(\S+)", (ROOT / "constraints.txt").read_text(), re.M | re.I)
    assert found, f"{package} stands not in constraints.txt"
    return found[1]


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_has_its_tests(trap):
    assert TRAPS[trap]
    for place in TRAPS[trap]:
        file, _, name = place.partition("::")
        assert name in named_in(file), f"{place}: there is no such test"


def test_what_is_taken_away_stands_in_the_table():
    """``benchmarks.without_handling`` takes away what keeps us out of a trap, and lets one of its tests notice."""
    for each in (*PLACES, *EDITS):
        assert each.test in TRAPS[each.trap], f"{each.trap}: {each.test}"
    for edit in EDITS:
        assert (ROOT / edit.file).read_text(encoding="utf-8").count(edit.before) == 1, f"{edit.trap}: {edit.file}"
    for place in PLACES:
        module, _, path = place.place.partition(":")
        file = SOURCE.parent.joinpath(*module.split(".")).with_suffix(".py")
        node: ast.AST = ast.parse(file.read_text(encoding="utf-8"))
        for name in path.split("."):
            node = next((each for each in ast.iter_child_nodes(node) if name in made_by(each)), None)
            assert node is not None, f"{place.trap}: {place.place} is not there"


def made_by(node: ast.AST) -> list[str]:
    """Return the names that a statement gives to something."""
    if isinstance(node, ast.ImportFrom):
        return [each.asname or each.name for each in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [str(getattr(node, "name", "")), *(each.id for each in targets if isinstance(each, ast.Name))]


def test_a_test_that_is_gone_would_be_noticed():
    assert "test_of_nothing" not in named_in("house/test_traps.py")


def test_pins():
    assert pinned("mlflow") == "3.17.2", "mlflow 3.18.0 lacks its skinny part"
    assert pinned("torch").startswith("2.13.0")
    assert pinned("databricks-sdk") == "0.156.0"
    assert pinned("antlr4-python3-runtime").startswith("4.9.")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ranges = {re.match(r"[\w-]+", text)[0]: text for text in declared}
    assert "<3.18" in ranges["mlflow"] and "<1.4" in ranges["hydra-core"] and "<2.4" in ranges["omegaconf"]


def test_python_versions():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"] == ">=3.11,<3.14"


@cache
def imports_and_calls() -> dict[str, tuple[str, ...]]:
    """Return the imports and calls in the code (not in the texts) of every file of the package."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        found[file.relative_to(SOURCE).as_posix()] = tuple(
            ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)
        )
    return found


def used(pattern: str) -> list[str]:
    """Return the files of the package in whose imports and calls a pattern occurs."""
    return [file for file, texts in imports_and_calls().items() if any(re.search(pattern, text) for text in texts)]


def test_nothing_imports_what_does_not_import():
    assert used(r"^ *(import|from) (torchvision|timm|rliable|pyvene|transformer_lens)\b") == []


def test_hydra_is_started_in_one_place_with_its_version():
    assert used(r"\bhydra\.main\(") == ["config/_compatibility.py"]
    assert "hydra.main(version_base=" in (SOURCE / "config" / "_compatibility.py").read_text()


def test_hydra_calls_no_target():
    assert used(r"\b(hydra\.utils|hydra_utils)\b.*\binstantiate\b|\binstantiate\(") == []


def test_the_fluent_interface_is_not_used():
    assert used(r"\bmlflow(\.\w+)?\.(start_run|log_\w+|set_tag|end_run|active_run|set_experiment)\(") == []
