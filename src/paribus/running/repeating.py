"""The command that repeats a run."""

from __future__ import annotations

import dataclasses
import shlex
from typing import TYPE_CHECKING, Any

from paribus.config.check import TARGET
from paribus.config.compose import AS_TRAINED
from paribus.config.composers import composer_of
from paribus.config.job import GROUPS
from paribus.config.restate import restated, value_text
from paribus.errors import ParibusError
from paribus.experiments.base import STEP_RESULTS
from paribus.running.handed import repeated
from paribus.running.used import unused

if TYPE_CHECKING:
    from paribus.running.request import Request
    from paribus.running.resolved import Resolved

SETTINGS = ("seed", "checkpoint")


def line(resolved: Resolved) -> str:
    """Return the shell command that repeats a run.

    A job is repeated by its own words, with the run that ``latest`` resolved to, and with the runs that a comparison
    was made from. A step, a training on the spot and a comparison at a sweep's end become jobs of their own, on the
    model that they took. Where that is impossible (a report on steps, a model that was not tracked, an experiment that
    is no option), the words of the containing job are returned.
    """
    request = resolved.request
    if (on_objects := repeated(request, request.overrides)) is not None:
        return on_objects
    flags = ["--config-dir", request.config_dirs[0]] if request.config_dirs else []
    return shlex.join(["paribus", *flags, *_words(resolved)])


def _words(resolved: Resolved) -> tuple[str, ...]:
    request = resolved.request
    if request.derived and request.experiment.subject != STEP_RESULTS:
        try:
            if (words := _alone(resolved)) is not None:
                return words
        except ParibusError:
            pass  # an experiment that only its study can compose
    return _own(resolved)


def _own(resolved: Resolved) -> tuple[str, ...]:
    """Return the words of the job, with ids in place of ``latest``."""
    request = resolved.request
    words = [word for word in request.overrides if not _is_plumbing(word)]
    if request.derived:
        return tuple(words)
    pinned: dict[str, str] = {}
    source = resolved.source
    if request.choices.get("model") == "tracked" and source is not None and source.run_id is not None:
        pinned["model.run"] = value_text(source.run_id)
    if resolved.beside is not None and resolved.beside.source is not None:
        pinned[f"experiment.{request.experiment.beside}"] = value_text(resolved.beside.source.run_id)
    if resolved.runs and _takes_runs(request):
        pinned["experiment.runs"] = value_text(list(resolved.runs))
    kept = [word for word in words if word.lstrip("+").partition("=")[0] not in pinned]
    return (*kept, *(f"{name}={value}" for name, value in pinned.items()))


def _alone(resolved: Resolved) -> tuple[str, ...] | None:
    """Return the words of a job of its own for a part of another one, None where there can be none."""
    request, source = resolved.request, resolved.source
    if not _is_option(request):
        return None
    left_out = unused(resolved) | {"training"} if source is not None else unused(resolved)
    groups = [group for group in GROUPS if group not in left_out]
    nodes: dict[str, Any] = {group: request.tree.get(group) for group in groups}
    fixed: list[str] = [word for word in request.overrides if word.lstrip("+").startswith("hydra.searchpath=")]
    chosen = {key: option for key, option in request.choices.items() if key.startswith("experiment")}
    if source is not None and "model" in groups:
        if source.run_id is None:
            return None
        fixed += ["model=tracked", f"model.run={value_text(source.run_id)}"]
        del nodes["model"]
        if resolved.other is None and "data" in groups:
            nodes["data"] = {TARGET: AS_TRAINED, "changes": {}}
    if _takes_runs(request):
        nodes["experiment"] = {**nodes["experiment"], "runs": list(resolved.runs)}
    for group in groups:
        if group in nodes and group != "experiment":
            own = group == "data" and source is not None and resolved.other is None
            chosen[group] = "as_trained" if own else request.choices.get(group)
    settings = {name: getattr(request, name) for name in SETTINGS}
    return restated(composer_of(request.config_dirs), chosen, {**settings, **nodes}, fixed)


def _is_plumbing(word: str) -> bool:
    """Return whether a word concerns only how a job was run."""
    if word.lstrip("+").startswith("hydra.searchpath="):
        return False
    return word.lstrip("+").startswith(("hydra.", "hydra/", "reuse="))


def _takes_runs(request: Request) -> bool:
    return "runs" in {field.name for field in dataclasses.fields(request.experiment)}


def _is_option(request: Request) -> bool:
    return request.choices.get("experiment") in composer_of(request.config_dirs).options("experiment")
