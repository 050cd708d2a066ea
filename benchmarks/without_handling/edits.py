"""What keeps Paribus out of a trap where it is a few words of a file: the file without them."""

from __future__ import annotations

from dataclasses import dataclass

MLFLOW = "tracking/test_mlflow_traps.py::test_"
SOURCE, CONF = "src/paribus", "conf"
WRITTEN = "e2e/test_wrong_requests.py::test_a_wrong_request_gets_one_line_and_leaves_nothing"


@dataclass(frozen=True)
class Edit:
    """What keeps us out of a trap, as text.

    Attributes:
        trap: Its name in ``tests/house/test_traps.py``.
        file: The file.
        before: What stands there, once.
        after: What stands there without it.
        test: The test that must fail then.
        only: The case of it that must fail; any where it is empty.
    """

    trap: str
    file: str
    before: str
    after: str
    test: str
    only: str = ""


EDITS = (
    # versions and imports
    Edit(
        "releases that cannot be installed together",
        "pyproject.toml",
        "<3.18",
        "<4",
        "house/test_traps.py::test_pins",
    ),
    Edit(
        "Python 3.14 crashes Hydra 1.3",
        "pyproject.toml",
        'requires-python = ">=3.11,<3.14"',
        'requires-python = ">=3.11"',
        "house/test_traps.py::test_python_versions",
    ),
    Edit(
        "torchvision and timm do not import beside this torch",
        f"{SOURCE}/models/resnet18.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\nimport torchvision\n",
        "house/test_traps.py::test_nothing_imports_what_does_not_import",
    ),
    Edit(
        "imports take seconds",
        f"{SOURCE}/cli/main.py",
        "import os\n",
        "import os\nimport hydra\n",
        "cli/test_main.py::test_help_and_version_do_not_even_import_hydra",
    ),
    # Hydra
    Edit(
        "a multirun prints one traceback at its end and none into the job's log",
        f"{SOURCE}/sweep/task.py",
        "    for handler in logging.getLogger().handlers:  # the job's own log, not the terminal",
        "    for handler in ():",
        "cli/test_launch.py::test_a_sweep_goes_on_after_a_failure_and_ends_in_a_table",
    ),
    Edit(
        "no resume, skip or dry run",
        f"{SOURCE}/sweep/start.py",
        "        if outcome is not None:\n            settled",
        "        if outcome is None:\n            settled",
        "sweep/test_batch.py::test_the_start_of_a_sweep_takes_what_is_done_and_leaves_out_what_would_fail_again",
    ),
    Edit(
        "version_base must be given",
        f"{SOURCE}/config/_compatibility.py",
        "hydra.main(version_base=VERSION_BASE, ",
        "hydra.main(",
        "house/test_traps.py::test_hydra_is_started_in_one_place_with_its_version",
    ),
    Edit(
        "a later Hydra wants to be told which targets it may call",
        f"{SOURCE}/config/check.py",
        "        return cls(**values)\n",
        "        return hydra.utils.instantiate(values)\n",
        "house/test_traps.py::test_hydra_calls_no_target",
    ),
    Edit(
        "plain hydra.main exits 1 with several lines, and leaves a folder",
        f"{SOURCE}/cli/main.py",
        '        print(f"paribus: {one_line(str(error))}", file=sys.stderr)\n',
        "        raise\n",
        WRITTEN,
        "unknown checkpoint choice",
    ),
    Edit(
        "callbacks are not called when a job failed, and their errors are warnings",
        f"{SOURCE}/cli/execute.py",
        "closing = finish(jobs, sweep, folder, interrupted=interrupted, ended=ended)",
        "closing = EXIT_DONE",
        "cli/test_launch.py::test_a_comparison_that_fails_makes_the_sweep_fail",
    ),
    Edit(
        "ConfigStore schemas do not protect",
        f"{SOURCE}/config/check.py",
        '            raise ConfigError(f"{dot}{key}: unknown key; {nearest(key, declared)}")\n',
        "            continue\n",
        "config/test_compose.py::test_wrong_requests_are_refused_with_place_and_valid_names",
    ),
    Edit(
        "an experiment inside another has a place of its own",
        f"{CONF}/experiment/split_half.yaml",
        "/experiment@target: family_1d_sweep",
        "/experiment: family_1d_sweep",
        "config/test_shipped_conf.py::test_every_option_composes_and_is_accepted",
    ),
    Edit(
        "study=X needs a place in the defaults",
        f"{CONF}/config.yaml",
        "  - study: null\n",
        "",
        "config/test_shipped_conf.py::test_every_study_composes",
    ),
    Edit(
        "an option that chooses its data must override at _global_",
        f"{CONF}/experiment/split_half.yaml",
        "override /data@_global_.data:",
        "override /data:",
        "config/test_shipped_conf.py::test_every_option_composes_and_is_accepted",
    ),
    Edit(
        "a number with a point loses its last zero",
        f"{SOURCE}/config/check.py",
        "    if isinstance(value, int) and not isinstance(value, bool):\n        return str(value)\n",
        "    if isinstance(value, int | float) and not isinstance(value, bool):\n        return str(value)\n",
        "config/test_check.py::test_a_name_is_a_text_or_a_whole_number",
    ),
    Edit(
        "hydra.job.chdir moves what is relative",
        f"{SOURCE}/sweep/task.py",
        "signals.raising(), contextlib.chdir(surroundings.start), logs_may_fail()",
        "signals.raising(), logs_may_fail()",
        "e2e/test_working_folder.py::test_store_files_and_options_keep_their_place_and_reuse_works",
    ),
    Edit(
        "an editable install copies conf",
        f"{SOURCE}/config/locate.py",
        '(package / "conf", package.parents[1] / "conf")',
        '(package.parents[1] / "conf", package / "conf")',
        "config/test_locate.py::test_the_installed_package_goes_before_the_checkout",
    ),
    Edit(
        "classes of a plugin module cannot be pickled",
        f"{SOURCE}/sweep/task.py",
        "        return Task, (self.surroundings,)\n",
        "        from hydra_plugins.paribus_sweeps import WorkersLauncher\n"
        "        return type('Odd', (WorkersLauncher,), {}), (self.surroundings,)\n",
        "cli/test_signals.py::test_joblib_runs_the_same_jobs_and_says_what_failed_and_what_died",
    ),
    Edit(
        "a range with a step of 0, and other words that hang",
        f"{SOURCE}/config/expand.py",
        "        except ValueError as error:  # a range with a step of 0\n",
        "        except KeyError as error:\n",
        WRITTEN,
        "range with a step of nothing",
    ),
    # MLflow
    Edit(
        "several first users of a fresh database crash",
        f"{SOURCE}/tracking/local.py",
        "        with locked(folder):\n            if not",
        "        if True:\n            if not",
        "tracking/test_store.py::test_six_processes_may_race_for_a_fresh_database",
    ),
    Edit(
        "params are texts, cut at 6,000 characters",
        f"{SOURCE}/tracking/params.py",
        "    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - len(CUT)] + CUT\n",
        "    return text\n",
        "tracking/test_params.py::test_long_values_are_cut_by_us_and_say_so",
    ),
    Edit(
        "one call for each point is slow, the asynchronous mode loses some, log_table overflows a tag",
        f"{SOURCE}/tracking/run.py",
        "METRICS_PER_BATCH = 1000\n",
        "METRICS_PER_BATCH = 1\n",
        f"{MLFLOW}metrics_go_in_batches_and_tables_past_log_table",
    ),
    Edit(
        "telemetry",
        f"{SOURCE}/tracking/environment.py",
        '    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")\n',
        "",
        f"{MLFLOW}telemetry_and_patience_are_set_before_mlflow_is_asked",
    ),
    Edit(
        "write-ahead corrupts on network file systems",
        f"{SOURCE}/tracking/local.py",
        "        store.engine.dispose()\n",
        "        store.engine.dispose()\n"
        "        with closing(sqlite3.connect(partial)) as connection:\n"
        '            connection.execute("pragma journal_mode = wal")\n',
        f"{MLFLOW}the_database_never_writes_ahead",
    ),
    Edit(
        "the fluent API ends runs wrongly after signals and errors",
        f"{SOURCE}/running/life.py",
        "    except BaseException as error:\n        if living is None:\n",
        "    except Exception as error:\n        if living is None:\n",
        "running/test_run.py::test_a_signal_never_leaves_a_run_running",
    ),
    Edit(
        "logged models are no files of their run",
        f"{SOURCE}/tracking/artifacts.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\nimport mlflow\nmlflow.pytorch.log_model(None)\n",
        "house/test_traps.py::test_the_fluent_interface_is_not_used",
    ),
    Edit(
        "a driver that is not there",
        f"{SOURCE}/tracking/server.py",
        "    except ImportError as error:\n",
        "    except KeyError as error:\n",
        "running/test_validate.py::test_a_store_that_no_run_could_be_kept_in_is_refused",
    ),
    Edit(
        "MLflow prints a traceback for each call on a full disk",
        f"{SOURCE}/tracking/environment.py",
        '    logging.getLogger("mlflow.store.db.utils").setLevel(',
        '    logging.getLogger("nobody").setLevel(',
        "e2e/test_places.py::test_a_full_disk_is_said_in_few_lines",
    ),
    Edit(
        "a killed writer leaves a journal that only a writer can play back",
        f"{SOURCE}/tracking/embedded.py",
        'mode="rw"',
        'mode="ro"',
        "tracking/test_embedded.py::test_what_a_killed_process_left_half_written_is_taken_back",
    ),
    Edit(
        "a journal is played into whatever database has its name",
        f"{SOURCE}/tracking/local.py",
        '    set_journal_aside(folder / DATABASE, folder / f"{DATABASE}.gone")\n',
        "",
        "tracking/test_embedded.py::test_the_journal_of_a_database_that_is_gone_is_not_played_into_the_next",
    ),
    Edit(
        "the UI averages without a spread",
        f"{SOURCE}/tracking/derived.py",
        "        points = split_finite(group.metrics)[0] + ",
        "        points = [each for each in split_finite(group.metrics)[0] if 'low/' not in each.name] + ",
        "running/test_derived.py::test_each_group_has_a_run_with_means_ends_and_curves",
    ),
    Edit(
        "the UI hides nested runs",
        f"{SOURCE}/tracking/views.py",
        'LATEST_FLAT = "tags.`mlflow.source.name`"',
        "LATEST_FLAT = LATEST_NESTED",
        "e2e/test_mlflow_ui.py::test_the_run_list_has_the_columns_that_tell_runs_apart_and_intervals",
    ),
    # torch
    Edit(
        "closed form and split networks must equal hooks",
        f"{SOURCE}/engine/closed_form.py",
        "        return weights, self.bias + offsets\n",
        "        return weights, self.bias\n",
        "contract/test_interventions.py::test_all_ways_agree",
    ),
    Edit(
        "the empty set",
        f"{SOURCE}/subjects/builds/enforcement.py",
        "        if not self.spec.keep_empty and (emptied := states.ok & states.empty).any():\n",
        "        if (emptied := states.ok & False).any():\n",
        "subjects/builds/test_edits.py::test_the_empty_set_is_counted_and_left_out",
    ),
    Edit(
        "torch.fx fails on transformers",
        f"{SOURCE}/engine/tail.py",
        "        return replace(one, positions=one.positions.remainder(self.length) - self.start)\n",
        "        return one\n",
        "engine/test_resume.py::test_tail_equals_hooks",
    ),
    # sweeps
    Edit(
        "looking and then creating makes duplicates",
        f"{SOURCE}/tracking/claims.py",
        "            if times == 0 and not self._lock(identity):\n                return False\n",
        "",
        "tracking/test_claims.py::test_of_many_processes_one_does_the_work",
    ),
    Edit(
        "who waits for a claim finds the run finished",
        f"{SOURCE}/running/life.py",
        "            found = reusable(store, identity, check)\n            if",
        "            found = None\n            if",
        "running/test_once.py::test_one_of_several_processes_measures",
    ),
    Edit(
        "closing any descriptor drops all locks",
        f"{SOURCE}/tracking/claims.py",
        "            if key not in cls._open:\n                cls._open[key] = cls(path)\n",
        "            cls._open[key] = cls(path)\n",
        "tracking/test_claims.py::test_reading_the_file_does_not_matter_but_closing_it_here_would",
    ),
    Edit(
        "threads share the locks of their process",
        f"{SOURCE}/tracking/claims.py",
        "            if owner != me:\n                return False\n",
        "",
        "tracking/test_claims.py::test_a_thread_may_take_its_own_again_and_another_waits",
    ),
    Edit(
        "a busy claim holds a worker",
        f"{SOURCE}/running/life.py",
        "        if not request.waits:\n            raise Busy",
        "        if False:\n            raise Busy",
        "sweep/test_batch.py::test_a_job_that_another_process_is_at_is_left_for_later",
    ),
    Edit(
        "a batch of params reads all that a run has",
        f"{SOURCE}/tracking/ledger.py",
        "            self._client.log_param(self._run, key, value)\n",
        "            self._client.log_batch(self._run, params=[__import__('mlflow').entities.Param(key, value)])\n",
        "tracking/test_ledger.py::test_a_ledger_is_written_param_by_param",
    ),
    Edit(
        "a param of a ledger may be written though its answer is lost",
        f"{SOURCE}/tracking/ledger.py",
        "            return self._client.get_run(self._run).data.params.get(key) == value\n",
        "            return False\n",
        "tracking/test_ledger.py::test_a_claim_whose_answer_was_lost_is_ours",
    ),
    Edit(
        "a server goes away in the middle, and a delivery is cut short",
        f"{SOURCE}/tracking/delivery.py",
        "        if found := store.runs(where=f\"tags.`{SPOOLED_TAG}` = '{local}'\", limit=1):\n"
        "            self._ids[local] = found[0].run_id\n            return\n",
        "",
        "tracking/test_spool.py::test_wherever_the_line_is_cut_everything_arrives_once",
    ),
    Edit(
        "model.run=latest means something else later",
        f"{SOURCE}/sweep/identities.py",
        "pinned_job = pinned(job, store)",
        "pinned_job = job",
        "sweep/test_standing.py::test_latest_is_looked_up_once_and_named",
    ),
    Edit(
        "asking run by run takes minutes",
        f"{SOURCE}/sweep/standing.py",
        "    return {store: Runs(run_states(spec)) for store, spec in specs.items()}\n",
        "    return {store: Runs([run for _ in jobs for run in run_states(spec)]) for store, spec in specs.items()}\n",
        "sweep/test_standing.py::test_the_store_is_asked_once_and_not_changed",
    ),
    Edit(
        "one killed worker breaks the batch",
        f"{SOURCE}/sweep/workers/pool.py",
        "                found += self._lost(worker)\n                continue\n",
        "                raise\n",
        "e2e/test_sweeps.py::test_a_sweep_that_is_killed_twice_is_completed_by_the_same_command",
    ),
    Edit(
        "workers outlive their parent",
        f"{SOURCE}/sweep/signals.py",
        "        while os.getppid() == self._parent:\n",
        "        while True:\n",
        "cli/test_signals.py::test_workers_end_after_their_parent_is_killed",
    ),
    Edit(
        "a bad end must not look like a result",
        f"{SOURCE}/running/keeping.py",
        "    run.text(PARTIAL_FILE, ",
        "    run.text(RESULT_FILE, ",
        "running/test_life.py::test_a_run_that_does_not_finish_has_partial_json_and_no_result_json",
    ),
    Edit(
        "half a file has the name of a whole one",
        f"{SOURCE}/results/files.py",
        '    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}")\n',
        "    partial = path\n",
        "results/test_files.py::test_what_stops_a_write_leaves_the_old_file_and_nothing_else",
    ),
    Edit(
        "PNG and PDF are each laid out anew",
        f"{SOURCE}/running/request.py",
        "        return (PNG,) if self.sweep is not None and ",
        "        return (PNG, PDF) if self.sweep is not None and ",
        "running/test_figure_formats.py::test_formats",
    ),
    Edit(
        "files that claim more than they hold, pipes, images of 170 megapixels",
        f"{SOURCE}/subjects/images/_arrays.py",
        "            if not dtype.hasobject and math.prod(shape) * dtype.itemsize != held:\n",
        "            if False:\n",
        WRITTEN,
        "arrays that claim more than they hold",
    ),
)
"""Each with the test that notices."""
