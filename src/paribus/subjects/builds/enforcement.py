"""Which edited states satisfy the constraints of a setup."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from paribus.arrays import Bools
from paribus.engine.inputs import unique_rows
from paribus.errors import ExperimentError
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.edits import families_present
from paribus.subjects.builds.families import DOUBLER, FAMILIES
from paribus.subjects.builds.legality import legal, total_points
from paribus.subjects.builds.states import MAIN_ONLY_COLUMN, Codes, States
from paribus.subjects.builds.vocabulary import Vocabulary

EMPTY_SET = "empty_set"
"""Under this name, states left without any token are counted."""
ON_STATES = ("one_rung_per_family", "valid_gear_combinations", "max_ap_budget", "avoid_ood_token_combinations")
"""The constraints that a state can break, in the order in which they are looked at."""
MAX_AP = 57
MAX_AP_DOUBLED = 66


@dataclass(frozen=True)
class Enforced:
    """States after the constraints.

    Attributes:
        states: With violating states taken out where the level is hard.
        violations: Constraint id -> number of states that broke it (states already taken out do not count).
        warnings: Warnings for the reader.
    """

    states: States
    violations: dict[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Constraints:
    """The constraints of one setup.

    Attributes:
        spec: Level of every constraint.
        vocabulary: What the codes mean.
        seen_pairs: Which families occur together in the corpus, ``[26, 26]``; None where not needed.
    """

    spec: ConstraintsSpec
    vocabulary: Vocabulary
    seen_pairs: Bools | None = None

    def enforce(self, states: States) -> Enforced:
        """Apply every constraint to the states not yet taken out; applying it twice changes nothing more.

        Raises:
            ExperimentError: If a hard constraint is broken and ``on_violation`` is ``error``.
        """
        if states.checked:
            return Enforced(states, {}, ())
        ok, violations, warnings = states.ok.copy(), {}, []
        if not self.spec.keep_empty and (emptied := states.ok & states.empty).any():
            violations[EMPTY_SET] = int(emptied.sum())
            ok &= ~emptied
        inside = states.reshape(-1) if states.ok.all() else states[states.ok]
        first, place = unique_rows(np.ascontiguousarray(inside.codes).view(np.int64))
        distinct = inside.codes[first]
        for name in ON_STATES:
            level = getattr(self.spec, name)
            if level == "off":
                continue
            broken = np.zeros(states.shape, bool)
            broken[states.ok] = inside.clash if name == "one_rung_per_family" else ~self._holds(name, distinct)[place]
            count = int(broken.sum())
            if not count:
                continue
            violations[name] = count
            of = f"{count} of {inside.size} edited states"
            if level == "soft":
                warnings.append(f"soft constraint {name} is broken by some edited states, which were kept")
                continue
            if self.spec.on_violation == "error":
                raise ExperimentError(f"constraint {name} is broken by {of} (constraints.on_violation=error)")
            if self.spec.on_violation == "warn":
                warnings.append(f"constraint {name} is broken by some edited states, which were left out")
            ok &= ~broken
        return Enforced(replace(states, ok=ok, checked=True), violations, tuple(warnings))

    def _holds(self, name: str, codes: Codes) -> Bools:
        if name == "valid_gear_combinations":
            return legal(codes, self.vocabulary)
        if name == "max_ap_budget":
            doubled = (codes[:, MAIN_ONLY_COLUMN] >> DOUBLER.slot & 1).astype(bool)
            return total_points(codes, self.vocabulary) <= np.where(doubled, MAX_AP_DOUBLED, MAX_AP)
        if self.seen_pairs is None:
            return np.ones(len(codes), bool)
        return ~_joins(codes, ~self.seen_pairs)

    def weapon_gate(self, floor_rate: float) -> str:
        """Return ``go``, ``warn`` or ``skip`` for weapon experiments, given the share of contexts near zero."""
        level = self.spec.no_weapon_gating_if_relu_floor
        if level == "off" or floor_rate <= 0.5:
            return "go"
        return "skip" if level == "hard" else "warn"


def pairs_seen(codes: Codes) -> Bools:
    """Return which families occur together in at least one of the states ``[n, 16]``: ``[26, 26]``."""
    seen = np.zeros((len(FAMILIES), len(FAMILIES)), bool)
    for start in range(0, len(codes), 65_536):
        present = families_present(codes[start : start + 65_536]).astype(np.float32)
        seen |= present.T @ present > 0
    return seen


def _joins(codes: Codes, forbidden: Bools) -> Bools:
    """Return which states hold a forbidden pair of families, ``[n]``."""
    np.fill_diagonal(forbidden := forbidden.copy(), False)
    present = families_present(codes).astype(np.float32)
    return np.asarray(((present @ forbidden.astype(np.float32)) * present).sum(-1) > 0)
