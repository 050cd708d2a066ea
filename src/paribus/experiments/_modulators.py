"""A third thing that may change how pairs interact: a family, a token or a weapon."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from paribus.errors import ConfigError, nearest
from paribus.experiments._build_experiment import contrast
from paribus.experiments._candidates import parse
from paribus.experiments._interactions import ContrastSums, Interactions, Pair, difference_layout
from paribus.experiments._moves import Move, combine
from paribus.experiments._removable_units import reference_weapons
from paribus.subjects.builds.families import BY_NAME, BY_SHORT, Family

if TYPE_CHECKING:
    from paribus.experiments._build_experiment import BuildExperiment
    from paribus.experiments._candidates import Candidate
    from paribus.experiments.base import Recorder
    from paribus.experiments.setup_builds import BuildSetup

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Modulator:
    """What is absent or present.

    Attributes:
        name: What it is called.
        kind: ``family``, ``token`` or ``weapon``.
        family: Its family; None for a weapon.
        absent: Edits whose mean is "absent": its family taken away, or each of the reference weapons.
        present: The edit that puts it there.
    """

    name: str
    kind: str
    family: Family | None
    absent: tuple[Move, ...]
    present: Move


def find_modulator(setup: BuildSetup, name: str, rung: int | None, n_weapons: int) -> Modulator:
    """Return the modulator of a name.

    Raises:
        ConfigError: If it is neither a family, a token nor a weapon.
    """
    stem = name.rpartition("_")[0]
    if name in BY_NAME or name in BY_SHORT or stem in BY_NAME or stem in BY_SHORT:
        found = parse(setup, name, rung)
        return Modulator(found.name, "token" if found.is_token else "family", found.family, (found.gone,), found.there)
    weapon = setup.weapons.find(name)
    if weapon is None:
        valid = [*(f.name for f in setup.vocabulary.families()), *setup.vocabulary.ability_tokens]
        raise ConfigError(
            f"experiment.modulator={name!r} is no family, token or weapon; "
            f"{nearest(name, [*valid, *setup.weapons.labels()])}"
        )

    def swap(index: int) -> Move:
        return Move.of(lambda states: setup.edits.swap_weapon(states, index))

    others = reference_weapons(setup, n_weapons, without=[weapon])
    return Modulator(setup.weapons.labels()[weapon], "weapon", None, tuple(map(swap, others.tolist())), swap(weapon))


@dataclass(frozen=True)
class Modulated:
    """Interactions of pairs without and with the modulator, and how much they change.

    Attributes:
        absent: Interactions with the modulator absent.
        present: With it there.
        f: Change in f ``[pairs, n]``.
        z: Change in z.
        null: Mean changes of the null features ``[pairs, n_null]``.
    """

    absent: Interactions
    present: Interactions
    f: Floats
    z: Floats
    null: Floats | None

    def both(self) -> Interactions:
        """Return the interactions with the modulator absent, then those with it there: one family of rows."""
        a, b = self.absent, self.present

        def joined(name: str) -> Any:
            parts = getattr(a, name), getattr(b, name)
            return None if parts[0] is None else np.concatenate(parts)

        rows = {name: joined(name) for name in ("f", "z", "first", "second", "null")}
        return replace(a, pairs=a.pairs + b.pairs, **rows)


def measure_modulated(
    setup: BuildSetup,
    experiment: BuildExperiment,
    candidates: tuple[Candidate, ...],
    pairs: tuple[Pair, ...],
    modulator: Modulator,
    recorder: Recorder | None,
) -> Modulated:
    """Measure every pair with the modulator absent and present, on the contexts that support both."""
    layout = difference_layout(candidates, pairs, ())
    states = (*modulator.absent, modulator.present)
    moves = [combine([state, move]) for state in states for move in layout.moves]
    share = np.array([*[1.0 / len(modulator.absent)] * len(modulator.absent), 0.0])
    without, with_it = (np.kron(row, layout.pair) for row in (share, np.eye(len(states))[-1]))
    tested = np.concatenate([without, with_it, with_it - without])
    singles = np.concatenate(
        [np.kron(row, part) for row in (share, np.eye(len(states))[-1]) for part in (layout.first, layout.second)]
    )
    n = len(setup.contexts)
    possible = np.array([_can_join(candidates[a], candidates[b], modulator.family) for a, b in pairs])
    support = np.tile(np.repeat(possible[:, None], n, axis=1), (3, 1))
    f, z = np.full((2, len(tested), n), np.nan)
    single = np.full((len(singles), n), np.nan)
    sums = ContrastSums(setup, experiment, moves, recorder)
    for rows, values_f, values_z in sums.blocks(tested, support):
        f[:, rows], z[:, rows] = contrast(tested, values_f), contrast(tested, values_z)
        single[:, rows] = contrast(singles, values_f)
    p = len(pairs)
    lost = np.isnan(f[2 * p :]) | ~support[:p]
    f, z = (np.where(np.tile(lost, (3, 1)), np.nan, values) for values in (f, z))
    single = np.where(np.tile(lost, (4, 1)), np.nan, single)
    null = sums.null()
    nothing = np.empty((0, n))

    def state(at: int) -> Interactions:
        part, first = slice(at * p, (at + 1) * p), 2 * at * p
        return Interactions(
            pairs,
            (),
            f[part],
            z[part],
            single[first : first + p],
            single[first + p : first + 2 * p],
            None if null is None else null[part],
            nothing,
            nothing,
            None,
            np.empty((0, 3, n), np.float32),
        )

    return Modulated(state(0), state(1), f[2 * p :], z[2 * p :], None if null is None else null[2 * p :])


def _can_join(a: Candidate, b: Candidate, modulator: Family | None) -> bool:
    if a.excludes(b):
        return False
    if modulator is None:
        return True
    one_piece = [c.family.piece is not None and c.family.piece == modulator.piece for c in (a, b)]
    return modulator not in (a.family, b.family) and not any(one_piece)
