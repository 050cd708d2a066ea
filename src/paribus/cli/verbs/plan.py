"""``paribus plan -m ...``: what a sweep would run, and the state of its jobs; nothing is run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from paribus.cli import words as command_line
from paribus.cli.launch import validate
from paribus.config.compose import jobs
from paribus.errors import ConfigError
from paribus.sweep.identities import known_jobs
from paribus.sweep.plan import command, listing, plan_with_states
from paribus.sweep.processors import asked_workers
from paribus.tracking import login

SUMMARY = "what a sweep would run: its jobs, the state of each, how long it takes; runs nothing"
USAGE = """
paribus plan -m KEY=A,B 'seed=range(8)' ... [--all] [--todo] [--probe] [--json | --commands]

Composes, checks and identifies every job of a sweep (or a single run) without running any. Says of each whether it is
finished, running, failed, killed, stale (finished, but its result or a file that it read has changed since), waits for
others, or is to do; and how long the rest will take, by earlier runs of the same type. Nothing is written.

--all        list every job, not the first 50
--probe      begin one job of each type and model that has never finished here, in a folder that is thrown away: its
             data and model are loaded and two steps of its first long loop are timed. Says what was measured.
--todo       only the jobs that the sweep would run
--json       everything, for programs
--commands   one command for each job, which runs it by itself and takes it from the store where it is done: for
             sbatch --array, Kubernetes or GNU parallel. The sweep itself, asked for afterwards, finds all of them done.
"""
_OWN = ("--all", "--todo", "--probe", "--json", "--commands")


def run(arguments: Sequence[str]) -> int:
    """Print the plan.

    Raises:
        ParibusError: If the request is wrong.
    """
    flags = {word for word in arguments if word in _OWN}
    if {"--json", "--commands"} <= flags:
        raise ConfigError("plan: --json and --commands exclude each other")
    words = command_line.read([word for word in arguments if word not in _OWN])
    if words.passed_on:
        raise ConfigError(f"plan: {words.passed_on[0]} has no place here")

    asked = jobs(words.overrides, multirun=words.multirun, config_dirs=words.config_dirs)
    validate(asked)
    known = known_jobs(asked)
    unasked = asked[0].workers is None
    workers = 1 if unasked and not words.multirun else asked_workers(asked[0])
    made = plan_with_states(known, reused=words.multirun, workers=workers, unasked=unasked, probes="--probe" in flags)
    if "--todo" in flags:
        made = replace(made, jobs=tuple(job for job in made.jobs if job.again))
    if "--commands" in flags:
        for job in made.jobs:
            print(command(known[job.number].job))
        if os.environ.get(login.VARIABLE):
            left_out = "user and password of the store are not in these commands; they read them from the variable"
            print(f"plan: {left_out} {login.VARIABLE} (docs/store.md)", file=sys.stderr)
    elif "--json" in flags:
        print(json.dumps(made.plain(), indent=1, ensure_ascii=False))
    else:
        print(listing(made, most=len(made.jobs) if "--all" in flags else 50))
    return 0
