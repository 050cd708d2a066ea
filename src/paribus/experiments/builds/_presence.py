"""Effects of the presence of a token or a family: each context with it and without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paribus.arrays import Bools
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import design_effects, firing_rates, row_means, standings_of
from paribus.experiments.builds._standing import BEYOND, over_rungs
from paribus.experiments.builds.build_experiment import BuildExperiment
from paribus.experiments.builds.setup import BuildSetup
from paribus.measure.design import Design
from paribus.subjects.builds.families import Family, find_family
from paribus.subjects.builds.states import States, concatenate


@dataclass(frozen=True)
class Unit:
    """A token or a family whose presence is set.

    Attributes:
        name: Token or family name.
        family: The family.
        with_ap: AP that the family is set to for the unit to be there (main-only: 10).
        without_ap: AP that it is set to for the unit to be absent; 0 takes the family away.
    """

    name: str
    family: Family
    with_ap: int
    without_ap: int

    def held(self, setup: BuildSetup, states: States) -> Bools:
        """Return which states reach the unit ``[...]``: more AP than without the unit."""
        there: Bools = setup.edits.highest_rung(states, self.family) > self.without_ap
        return there


def token_units(setup: BuildSetup) -> list[Unit]:
    """Return every ability token: "at least so much AP", against the next lower rung."""
    units = []
    for family in setup.vocabulary.families():
        lower = 0
        for ap in setup.edits.levels(family):
            units.append(Unit(family.token(ap), family, ap, lower))
            lower = ap
    return units


def family_units(setup: BuildSetup) -> list[Unit]:
    """Return every family: set to the middle of the rungs the corpus shows of it, against absent."""
    states = setup.corpus.contexts.states()
    units = []
    for family in setup.vocabulary.families():
        shown = setup.edits.highest_rung(states, family)
        levels = setup.edits.levels(family)
        typical = int(np.median(shown[shown > 0])) if (shown > 0).any() else levels[0]
        units.append(Unit(family.name, family, min(levels, key=lambda ap: abs(ap - typical)), 0))
    return units


UNITS = {"token": token_units, "family": family_units}
"""What is looked at where nothing is named."""


def named_units(setup: BuildSetup, names: Sequence[str], where: str) -> list[Unit]:
    """Return the units of these names, each once, in their order: tokens ("at least so much AP") or whole families.

    Args:
        setup: Whose vocabulary knows them.
        names: Names or abbreviations of tokens and families, e.g. ``SSU_12`` or ``comeback`` or ``swim_speed_up``.
        where: The field that holds them, for messages.

    Raises:
        ConfigError: If one is unknown, or none is given.
    """
    if not names:
        raise ConfigError(f"{where}: is empty; name tokens or families, or say null for all")
    tokens = {unit.name: unit for unit in token_units(setup)}
    families = {unit.name: unit for unit in family_units(setup)}
    found: dict[str, Unit] = {}
    for name in names:
        family = find_family(name)
        try:
            if family is not None:
                unit = families[setup.vocabulary.family(name).name]
            else:
                unit = tokens[setup.vocabulary.token_name(setup.vocabulary.token(name))]
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        found[unit.name] = unit
    return list(found.values())


def held_matrix(setup: BuildSetup, units: Sequence[Unit], states: States) -> Bools:
    """Return which states hold each unit ``[n, units]``."""
    return np.stack([unit.held(setup, states) for unit in units], axis=-1)


def presence_effects(
    setup: BuildSetup,
    recorder: Recorder,
    experiment: BuildExperiment,
    units: Sequence[Unit],
    n_contexts: int,
    stream: str,
    *,
    sample: str | None = None,
) -> pd.DataFrame:
    """Return the effect of each unit's presence: every context with it minus the same context without it.

    "With" has the unit's family set to the unit, "without" to the next lower level, so that a token answers for its
    own step and not for those below or above it. All contexts count, and none is compared with another.

    Args:
        setup: What to measure on.
        recorder: Gets warnings, counts and progress.
        experiment: Whose held tokens apply.
        units: What is set.
        n_contexts: A seeded sample of so many contexts is used.
        stream: Name of the stream of randomness.
        sample: Name of the stream that the contexts are drawn with; ``<stream>_sample`` by default.

    Returns:
        One row per unit: the columns of an effect table on f, with ``mean_delta_z``, ``add_delta`` (in contexts
        that lacked it), ``remove_delta`` (minus that, in contexts that held it), ``mean_activation`` and
        ``firing_rate`` with it.
    """
    part = setup.sample(n_contexts, sample or f"{stream}_sample")

    def edited(states: States) -> States:
        held = experiment.hold(part, states)
        return concatenate([part.edits.sweep(held, each.family, [each.with_ap, each.without_ap]) for each in units])

    k = len(units)
    weights = np.repeat(np.eye(k), 2, axis=1) * np.tile([1.0, -1.0], k)
    design = Design(edited, 2 * k, description="with and without")
    part.require(part.feasible(design), "any of the tokens added or removed")
    names = [unit.name for unit in units]
    frame, f, activation = design_effects(part, recorder, design, weights, stream, labels=names)
    there = held_matrix(part, units, experiment.hold(part, part.contexts.states())).T
    frame["add_delta"] = row_means(np.where(there, np.nan, f))
    frame["remove_delta"] = -row_means(np.where(there, f, np.nan))
    frame["mean_activation"] = row_means(activation[::2])
    frame["firing_rate"] = firing_rates(activation[::2])
    return frame


def presence_standings(
    setup: BuildSetup,
    recorder: Recorder,
    experiment: BuildExperiment,
    units: Sequence[Unit],
    n_contexts: int,
    stream: str,
    *,
    at_every_rung: bool,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the effects of units with what may be said of each, and those of its family at every rung if asked.

    A family that is set to the rung builds usually show of it can do nothing there and much at a higher one.

    Args:
        setup: What to measure on.
        recorder: Gets warnings, counts and progress.
        experiment: Whose held tokens apply.
        units: What is set.
        n_contexts: A seeded sample of so many contexts is used.
        stream: Name of the stream of randomness.
        at_every_rung: Whether what is found at any rung of a family counts in ``standing``; ``standing_at`` says where.

    Returns:
        The columns of :func:`presence_effects` with ``token`` and ``standing``; and, if asked, with ``family``,
        ``rung`` and ``standing``, each stacking family at each rung against its absence in the same contexts.
    """
    frame = presence_effects(setup, recorder, experiment, units, n_contexts, stream)
    frame.insert(0, "token", [unit.name for unit in units])
    frame["standing"] = standings_of(setup, frame)
    if not at_every_rung:
        return frame, None
    every = [
        Unit(f"{unit.family.name} at {ap} AP", unit.family, ap, 0)
        for unit in units
        if not unit.family.main_only
        for ap in setup.edits.levels(unit.family)
    ]
    rungs = presence_effects(
        setup, recorder, experiment, every, n_contexts, f"{stream}_rungs", sample=f"{stream}_sample"
    )
    rungs.insert(0, "family", [unit.family.name for unit in every])
    rungs.insert(1, "rung", [unit.with_ap for unit in every])
    rungs["standing"] = standings_of(setup, rungs)
    own = frame[["standing"]].assign(family=[unit.family.name for unit in units], ap=[unit.with_ap for unit in units])
    frame["standing"], frame["standing_at"] = over_rungs(own, rungs)
    return frame, rungs


def at_another_rung(frame: pd.DataFrame) -> list[str]:
    """Return the families among rows of :func:`presence_standings` that are established, each with the rung."""
    found = frame[frame["standing"] == BEYOND]
    return [f"{name} at {ap} AP" for name, ap in zip(found["token"], found["standing_at"], strict=True)]
