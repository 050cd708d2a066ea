"""Composes, validates and runs the jobs of a command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paribus.cli.words import Words
from paribus.config import _compatibility as hydra_parts
from paribus.config.compose import Composer, jobs
from paribus.config.locate import conf_dir
from paribus.config.refusal import refused
from paribus.errors import FULL_ERROR, ConfigError, ParibusError, said
from paribus.experiments.base import KEPT_RUNS
from paribus.tracking.login import taken_out
from paribus.tracking.spec import without_password

if TYPE_CHECKING:
    from paribus.config.job import Job

EXIT_DONE = 0


def launch(words: Words) -> int:
    """Run the request of ``words`` and return the exit code.

    Every job is composed, checked and validated before the first one starts; until then nothing is written.

    Raises:
        ParibusError: If the request is wrong.
    """
    if words.passed_on:
        return show(words)
    composer = Composer(words.config_dirs)
    asked = jobs(words.overrides, multirun=words.multirun, composer=composer)
    if (address := _with_login(asked)) is not None:  # it stands in a file of the user's, which Hydra would copy
        words = replace(words, overrides=(*words.overrides, f"tracking.uri='{taken_out(address)}'"))
        asked = jobs(words.overrides, multirun=words.multirun, composer=composer)
    validate(asked)
    from paribus.cli.execute import run  # imported late, as it is slow; an invalid request was refused before
    from paribus.sweep.plan import listing, plan

    if any(job.dry_run for job in asked):
        print(listing(plan(asked)))
        print("Valid. Nothing was run (dry_run=true).")
        return EXIT_DONE
    return run(words, asked, composer)


def _with_login(asked: Sequence[Job]) -> str | None:
    """Return the address of the jobs' store if it has a user or a password in it; what refers to a variable has not."""
    found = {str(job.nodes["tracking"].uri) for job in asked} - {os.environ.get("MLFLOW_TRACKING_URI")}
    return found.pop() if len(found) == 1 and any(without_password(each) != each for each in found) else None


def show(words: Words) -> int:
    """Let Hydra show what its flags request (``--cfg``, ``--info``, ...)."""

    def nothing(_config: object) -> None:
        """Never called: nothing is run."""

    composer = Composer(words.config_dirs)
    if words.shows_config:  # composed first, because Hydra prints while composing and would stop in the middle
        composer.plain((composer.expand(words.overrides) if words.multirun else [words.overrides])[0])
    with refused(composer, words.overrides):
        hydra_parts.run_main(nothing, words.passed_on, conf_dir())
    return EXIT_DONE


def validate(asked: Sequence[Job]) -> None:
    """Check everything that jobs name: files, checkpoints, vocabularies; nothing is written.

    Of jobs that differ only in their seeds, the first is checked.

    Raises:
        ParibusError: If a name or a file is wrong; the message says in which job of several.
    """
    making = [job.nodes["tracking"] for job in asked if job.nodes["experiment"].subject != KEPT_RUNS]
    seen: set[str] = set()
    for number, job in enumerate(asked, start=1):
        named = repr((_without_seeds(job.tree), sorted(job.named)))
        if named in seen:
            continue
        seen.add(named)
        try:
            _looked_up(job, among=job.nodes["tracking"] in making)
        except ParibusError as error:
            if len(asked) == 1:
                raise
            raise type(error)(f"{error} [job {number} of {len(asked)}: {' '.join(job.overrides)}]") from error


def _looked_up(job: Job, *, among: bool) -> None:
    """Look up what one job names; ``among``: whether other jobs make runs for it to compare.

    Raises:
        ParibusError: If a name or a file is wrong, or what they lead to (a library, code of one's own) fails.
    """
    from paribus.running.validate import validate as validate_job  # imported late: an invalid request needs no models

    try:
        validate_job(job, among=among)
    except ParibusError:
        raise
    except Exception as error:
        if os.environ.get(FULL_ERROR):
            raise
        raise ConfigError(f"{job.experiment.type}: what it is to work on cannot be set up: {said(error)}") from error


def _without_seeds(node: Any) -> Any:
    """Return a configuration without the values of all seeds in it."""
    if isinstance(node, dict):
        return {key: _without_seeds(value) for key, value in node.items() if key != "seed"}
    return [_without_seeds(value) for value in node] if isinstance(node, list) else node
