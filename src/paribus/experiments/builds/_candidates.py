"""The candidates for interactions: tokens or families, given or chosen by their single effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError, nearest
from paribus.experiments.base import Recorder
from paribus.experiments.builds._screen import Screened, screen
from paribus.experiments.builds._two_level import FORM, TwoLevel, family_factor, is_weapon_factor, weapon_factor
from paribus.experiments.builds.interaction_experiment import InteractionExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.results.words import counted
from paribus.subjects.builds.families import Family, find_family
from paribus.subjects.builds.states import N_STACKING
from paribus.subjects.builds.tokens import capstones

MOST_SCREENED = 2000
"""Contexts that families are looked over on at most: every rung of every family is measured in each of them."""


@dataclass(frozen=True)
class Choice:
    """The candidates, and where they come from.

    Attributes:
        candidates: The candidates in order.
        screened: Their single effects where they were chosen by them; empty where they were given.
        rows: The contexts to report on.
        n_chosen_on: Contexts (of other source builds) they were chosen on; 0 where they were given.
    """

    candidates: tuple[TwoLevel, ...]
    screened: tuple[Screened, ...]
    rows: Ints
    n_chosen_on: int

    @property
    def names(self) -> list[str]:
        """Names of the candidates."""
        return [candidate.name for candidate in self.candidates]


def parse(setup: BuildSetup, name: str, rung: int | None) -> TwoLevel:
    """Return the candidate of a token (its capstone), a family (at ``rung``, or its usual one) or a weapon or class.

    Raises:
        ConfigError: If there is no such token, family, weapon or class, or the family lacks the rung.
    """
    vocabulary = setup.vocabulary
    if is_weapon_factor(name):
        return weapon_factor(setup, name, where="experiment.candidates")
    if find_family(name) is not None:
        family = vocabulary.family(name)
        level = usual_level(setup, family) if rung is None or family.main_only else rung
        vocabulary.rung_index(family, level)
        return family_factor(setup, family.name, "family", family, level)
    if find_family(name.rpartition("_")[0]) is None:
        valid = [*(family.name for family in vocabulary.families()), *vocabulary.ability_tokens]
        raise ConfigError(f"no ability token or family {name!r}; {nearest(name, valid)}; weapons: {FORM}")
    ref = vocabulary.token(name)
    return family_factor(setup, vocabulary.token_name(ref), "token", ref.family, vocabulary.level(ref))


def usual_level(setup: BuildSetup, family: Family) -> int:
    """Return the median rung that the corpus' contexts show of a family (its lowest one where none shows it)."""
    known = setup.vocabulary.family_rungs(family)
    if family.main_only:
        return known[0]
    places = capstones(setup.corpus.contexts.codes[:, :N_STACKING])[:, family.slot]
    shown = np.sort(places[places >= 0])
    return setup.vocabulary.rungs[int(shown[(len(shown) - 1) // 2])] if len(shown) else known[0]


def given(setup: BuildSetup, experiment: InteractionExperiment, without: Sequence[Family] = ()) -> tuple[TwoLevel, ...]:
    """Return the candidates that are named; none where they are to be chosen. Nothing is measured.

    Raises:
        ConfigError: If a name is unknown, given twice, barred, all candidates exclude each other, or there is one
            source build to choose them on and none to report.
    """
    if experiment.candidates is None:
        if setup.few:
            experiment.to_choose_on(setup)
        return ()
    named = tuple(parse(setup, name, experiment.rung) for name in experiment.candidates)
    _check(named, _barred(setup, experiment, without))
    return named


def _barred(setup: BuildSetup, experiment: InteractionExperiment, without: Sequence[Family]) -> set[Family]:
    return {*without, *(family for family, _ in setup.edits.requested(experiment.stable_tokens))}


def choose(
    setup: BuildSetup, experiment: InteractionExperiment, recorder: Recorder | None, *, without: Sequence[Family] = ()
) -> Choice:
    """Return the candidates asked for, or those with the largest single effects.

    Families are looked over at every rung (see :mod:`~paribus.experiments.builds._screen`) on one half of the source
    builds; interactions are reported on the other. Of main-only abilities of one piece only the strongest is chosen, so
    that no two exclude each other.

    Args:
        setup: The contexts.
        experiment: Says what is asked for.
        recorder: Gets counts and a note of the split.
        without: Families that cannot be candidates.

    Raises:
        ConfigError: If a name is unknown, given twice, or all candidates exclude each other.
    """
    named = given(setup, experiment, without)
    if named:
        return Choice(named, (), np.arange(len(setup.contexts)), 0)
    barred = _barred(setup, experiment, without)
    families = [family for family in setup.vocabulary.families() if family not in barred]
    choosing = experiment.to_choose_on(setup)
    rows = setup.drawn(np.flatnonzero(choosing), MOST_SCREENED, "candidate_screen")
    rest = np.flatnonzero(~choosing)
    screened = screen(
        setup.restrict(rows), experiment, [_range(setup, family, experiment.rung) for family in families], recorder
    )
    pool = [parse(setup, found.family.name, found.level) for found in screened]
    order = _strongest(pool, screened)[: experiment.n_candidates]
    if len(order) < 2:
        raise ConfigError("fewer than two families can be set in these contexts; name the candidates or a lower rung")
    chosen = tuple(screened[i] for i in order)
    if recorder is not None:
        recorder.warn(
            f"candidates were chosen by their single effects on {counted(len(rows), 'context')} and are "
            f"reported on the {counted(len(rest), 'context')} of the other source builds"
        )
        _say_what_passed(setup, recorder, chosen, len(rows))
    return Choice(tuple(pool[i] for i in order), chosen, rest, len(rows))


def _range(setup: BuildSetup, family: Family, rung: int | None) -> tuple[Family, tuple[int, ...], int]:
    """Return a family with the levels it is looked over at, and its usual one: all, or the rung that is asked for."""
    known = setup.vocabulary.family_rungs(family)
    if rung in known:
        return family, (rung,), rung
    usual = usual_level(setup, family)
    return family, known if rung is None else (usual,), usual


def _strongest(pool: Sequence[TwoLevel], screened: Sequence[Screened]) -> list[int]:
    """Return places by falling size, leaving out what a stronger one excludes (main-only, same piece)."""
    out: list[int] = []
    for i in np.argsort([-found.largest for found in screened], kind="stable").tolist():
        if np.isfinite(screened[i].rms) and not any(pool[i].excludes(pool[j]) for j in out):
            out.append(i)
    return out


def _say_what_passed(setup: BuildSetup, recorder: Recorder, chosen: Sequence[Screened], n: int) -> None:
    """Warn where candidates have no effect of their own: their interactions then say nothing about the feature."""
    least = setup.stats.min_effect * setup.sd
    passed = sum(found.rms >= least > 0 for found in chosen)
    by = f"by {setup.stats.min_effect:g} sd (root mean square over {counted(n, 'context')})"
    if not passed:
        recorder.warn(
            f"no family moves the feature {by} at any rung that was looked at: the candidates are the first of equals, "
            "and nothing here speaks about what drives the feature; name candidates (experiment.candidates), among "
            "them a weapon (weapon:NAME) or a class of weapons (weapon_class:NAME)"
        )
    elif passed < len(chosen):
        alone = counted(passed, "by itself moves", "by themselves move")
        recorder.warn(f"of {counted(len(chosen), 'candidate')} {alone} the feature {by}; the others fill up")


def _check(named: Sequence[TwoLevel], barred: set[Family]) -> None:
    names = [candidate.name for candidate in named]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"experiment.candidates names {', '.join(twice)} twice")
    held = sorted({candidate.name for candidate in named if candidate.family in barred})
    if held:
        raise ConfigError(f"experiment.candidates: {', '.join(held)} is held (stable_tokens) or the modulator itself")
    if len(named) < 2:
        raise ConfigError("experiment.candidates needs at least two tokens or families")
    if all(a.excludes(b) for a, b in combinations(named, 2)):
        a, b = named[:2]
        why = "two weapons" if a.family is None else _why(a.family, b.family)
        raise ConfigError(f"experiment.candidates: {a.name} and {b.name} exclude each other ({why})")


def _why(first: Family, second: Family | None) -> str:
    return "one family" if first == second else f"both need the main slot of the {first.piece} piece"
