"""A sweep over options takes what each of its jobs takes by itself, and refuses what none takes, in one line."""

from __future__ import annotations

import random
from functools import cache
from itertools import combinations

import pytest

from paribus.config.compose import Composer, jobs
from paribus.config.restate import value_text
from paribus.errors import ConfigError
from paribus.tracking.params import flatten

BESIDE = {
    "study": (),
    "experiment": ("data=builds_generated", "model=planted", "feature=threshold"),
    "data": ("experiment=ablate", "model=small_cnn"),
    "model": ("experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold"),
}
"""A group that is swept, and the words beside it."""
OPTIONS = {
    "study": None,
    "experiment": ("weapon_sweep", "minimal_cores", "token_influence_sweep", "decoder_output_analysis"),
    "data": ("digits_scanners", "builds_generated", "modular_addition", "table"),
    "model": ("planted", "set_completion_small", "tracked"),
}
"""The options that are paired; None: all that are shipped."""
NOWHERE = ("nowhere=1", "data.nowhere=1", "experiment.nowhere=1", "experiment.steps.nowhere.n=1", "+data.nowhere=1")


@pytest.fixture(scope="module")
def composer():
    return Composer()


@pytest.fixture(scope="module")
def alone(composer):
    """Return how an option refuses a word by itself, empty where it takes it."""

    @cache
    def refusal(*words):
        try:
            composer.job(words)
        except ConfigError as error:
            return str(error)
        return ""

    return refusal


@pytest.mark.parametrize("group", BESIDE)
@pytest.mark.parametrize(("most", "each"), [(5, 2), pytest.param(1000, 8, marks=pytest.mark.soak)])
def test_a_sweep_takes_what_each_of_its_options_takes(group, most, each, composer, alone):
    rng = random.Random(0)
    beside = BESIDE[group]
    options = OPTIONS[group] or composer.options(group)
    words = {option: _words(composer, (*beside, f"{group}={option}")) for option in options}
    seen = {True: 0, False: 0}
    pairs = list(combinations(options, 2))
    for pair in rng.sample(pairs, min(most, len(pairs))):
        own = [sorted(words[option]) for option in pair]
        tried = [*rng.sample(own[0], each), *rng.sample(own[1], each), rng.choice(NOWHERE)]
        for word in tried:
            refusals = [alone(*beside, f"{group}={option}", word) for option in pair]
            asked = [f"{group}={','.join(pair)}", *beside, word]
            seen[any(refusals)] += 1
            if not any(refusals):
                assert len(jobs(asked, multirun=True, composer=composer)) == 2, asked
                continue
            with pytest.raises(ConfigError) as refused:
                jobs(asked, multirun=True, composer=composer)
            place, said = next((number, text) for number, text in enumerate(refusals, start=1) if text)
            assert str(refused.value).startswith(f"{said} [job {place} of 2: {group}={pair[place - 1]}"), asked
            assert "\n" not in str(refused.value)
    assert min(seen.values()) >= 3, seen


def _words(composer, beside):
    """Return words that set each value of a configuration to what it is."""
    leaves = flatten(composer.plain(beside))
    return {f"{key}={value_text(value)}" for key, value in leaves.items() if value != "???" and "." in key}
