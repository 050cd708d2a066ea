"""Swapping the weapon while the build stays as it is, and what each weapon does against ordinary ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import base_numbers, row_means
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.builds.weapon_experiment import WeaponExperiment
from paribus.measure.design import Design
from paribus.measure.nulls import Contrasts
from paribus.results.schema import Aggregates


def observed_part(experiment: WeaponExperiment, setup: BuildSetup) -> BuildSetup:
    """Return the setup on the contexts that show the conditioning family (at the rung, where one is given).

    Raises:
        ConfigError: If the family or rung is unknown, or no context shows it.
    """
    if experiment.condition_family is None:
        return setup
    family = setup.vocabulary.family(experiment.condition_family)
    shown = setup.edits.highest_rung(setup.contexts.states(), family)
    if experiment.condition_rung:
        setup.vocabulary.rung_index(family, experiment.condition_rung)
    wanted = shown > 0 if experiment.condition_rung is None else shown == experiment.condition_rung
    if not wanted.any():
        at = "" if experiment.condition_rung is None else f" at {experiment.condition_rung} AP"
        raise ConfigError(f"none of {len(setup.contexts)} contexts shows {family.name}{at}; choose another condition")
    return setup.restrict(np.flatnonzero(wanted))


def swap_weapons(experiment: WeaponExperiment, setup: BuildSetup, recorder: Recorder | None) -> Swaps:
    """Put every weapon of the vocabulary into a sample of contexts, and measure.

    Raises:
        ConfigError: If no context supports the condition.
    """
    whole = setup if experiment.condition_rung is not None else observed_part(experiment, setup)
    feasible = whole.feasible(Design(lambda states: experiment.base(whole, states)[None]))
    whole.require(
        feasible, f"{experiment.condition_family or 'the held tokens'} at {experiment.condition_rung or 0} AP"
    )
    part = whole.restrict(whole.drawn(np.flatnonzero(feasible[0]), experiment.swap_contexts, "swap_contexts"))
    n_weapons = setup.weapons.size
    every = np.arange(n_weapons)[:, None]
    design = Design(
        lambda states: part.edits.swap_weapon(experiment.base(part, states)[None], every),
        n_weapons,
        description="swapping weapons",
    )
    contrasts = Contrasts(np.eye(n_weapons)) if recorder is not None else None
    measured = part.measure_design(design, recorder, contrasts=contrasts)
    f, z = measured.values
    places = np.searchsorted(setup.chosen, part.chosen)
    return Swaps(part, places, f, z, measured.null, experiment.reference_weapons)


@dataclass(frozen=True)
class Swaps:
    """Every weapon in the same contexts.

    Attributes:
        setup: The setup on those contexts.
        places: Their places among the contexts of the whole setup ``[n]``.
        f: Activation ``[weapons, n]``.
        z: Pre-activation ``[weapons, n]``.
        null: Mean of each null feature with each weapon ``[weapons, n_null]``, in this feature's sd; or None.
        reference: How many ordinary weapons each is compared with; None for all others.
    """

    setup: BuildSetup
    places: Ints
    f: Floats
    z: Floats
    null: Floats | None
    reference: int | None

    @property
    def ordinary(self) -> Bools:
        """The weapons that each is compared with, in either half of the contexts ``[weapons]``."""
        return np.asarray(np.logical_or.reduce([reference for _, reference in self._halves]))

    @property
    def n_ordinary(self) -> int:
        """How many weapons each is compared with."""
        return int(self._halves[0][1].sum())

    def effects(self) -> Floats:
        """Return f with each weapon minus its mean over the ordinary weapons in the same context ``[weapons, n]``."""
        return self._against_ordinary(self.f)

    def effects_z(self) -> Floats:
        """Return the same of z, against the same weapons."""
        return self._against_ordinary(self.z)

    def _against_ordinary(self, values: Floats) -> Floats:
        out = np.empty_like(values)
        for columns, reference in self._halves:
            out[:, columns] = against(values[:, columns], reference)
        return out

    @cached_property
    def _halves(self) -> list[tuple[Bools, Bools]]:
        """Both halves of the source builds' contexts ``[n]``, with the ordinary weapons of the other half.

        Weapons that look ordinary in the very contexts they are compared in would look too alike there.
        """
        if len(np.unique(self.setup.cluster)) < 2:
            return [(np.ones(self.f.shape[1], bool), ordinary_weapons(row_means(self.f), self.reference))]
        first = self.setup.half("swap_halves")
        return [(part, ordinary_weapons(row_means(self.f[:, ~part]), self.reference)) for part in (first, ~first)]

    def null_effects(self) -> Floats | None:
        """Return the same of each null feature, against its own ordinary weapons ``[weapons, n_null]``."""
        if self.null is None or not self.null.shape[1]:
            return None
        columns = [against(m[:, None], ordinary_weapons(m, self.reference)) for m in self.null.T]
        return np.concatenate(columns, axis=1)

    def scattered(self, differences: Floats, n: int) -> Floats:
        """Return differences ``[rows, contexts of the sample]`` among all ``n`` contexts, NaN elsewhere."""
        out = np.full((len(differences), n), np.nan)
        out[:, self.places] = differences
        return out


def ordinary_weapons(means: Floats, count: int | None) -> Bools:
    """Return the ``count`` weapons whose mean is nearest the median ``[weapons]``; all where ``count`` is None.

    A feature that few weapons drive leaves the ordinary ones exactly where they are, so that the others' effects are
    exactly 0 and not the small negative numbers that a mean over all weapons would give them.
    """
    chosen = np.ones(len(means), bool)
    if count is not None and count < len(means):
        order = np.argsort(np.abs(means - np.median(means)), kind="stable")
        chosen[order[count:]] = False
    return chosen


def against(values: Floats, reference: Bools, weights: Floats | None = None) -> Floats:
    """Return each row minus the weighted mean of the reference rows other than itself ``[rows, n]``.

    Args:
        values: ``[rows, n]``.
        reference: Rows to compare with ``[rows]``.
        weights: Their weights ``[rows]``; None for equal ones.
    """
    weight = reference.astype(np.float64) if weights is None else np.where(reference, weights, 0.0)
    shifted = values - values[int(np.argmax(reference))]  # equal rows give exactly 0, with no rounding left
    total = weight @ shifted
    left = weight.sum() - weight
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (total - weight[:, None] * shifted) / left[:, None]
    alone = left <= 1e-12 * weight.sum()
    means[alone] = shifted[alone]
    return np.asarray(shifted - means)


def skipped(setup: BuildSetup, recorder: Recorder, **custom: Any) -> Aggregates | None:
    """Apply the constraint on silent features: warn, and return the aggregates of an experiment that is skipped."""
    rate = setup.floor_rate()
    verdict = setup.constraints.weapon_gate(rate)
    if verdict == "go":
        return None
    said = f"{rate:.0%} of the contexts lie below 0.1 sd of the feature (no_weapon_gating_if_relu_floor)"
    if verdict == "warn":
        recorder.warn(f"{said}: differences between weapons rest on the few others")
        return None
    recorder.warn(f"{said}: skipped, a weapon cannot be said to gate a feature that is silent anyway")
    custom = {"skipped": True, **custom}
    return Aggregates(n_samples=len(setup.contexts), n_conditions=0, **base_numbers(setup), custom=custom)
