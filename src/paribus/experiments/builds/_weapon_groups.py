"""Weapons grouped by kit or class. The unit is the weapon: thousands of contexts with two weapons are two weapons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Floats, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import beyond_least, effect_rows, firing_rates, row_means
from paribus.experiments.builds._weapon_stats import POOLED_COLUMNS, WEAPON_COLUMNS, pooled
from paribus.experiments.builds._weapon_swaps import Swaps
from paribus.experiments.builds.setup import BuildSetup
from paribus.stats.intervals import ONE_GROUP, Methods
from paribus.stats.levels import level_permutation
from paribus.stats.multiplicity import adjust
from paribus.stats.permutation import EXACT, draws_for
from paribus.subjects.builds.weapons import UNKNOWN


@dataclass(frozen=True)
class WeaponGroups:
    """A partition of the weapons.

    Attributes:
        of: ``sub``, ``special``, ``kit`` or ``kind``.
        codes: Group of each weapon ``[weapons]``.
        names: Name of each group.
        known: Weapons whose group is known ``[weapons]``; the others are left out.
    """

    of: str
    codes: Ints
    names: tuple[str, ...]
    known: Bools

    @classmethod
    def read(cls, setup: BuildSetup, of: str) -> WeaponGroups:
        """Group the weapons of a setup."""
        codes, names = setup.weapons.codes(of)
        unknown = [i for i, name in enumerate(names) if UNKNOWN in name.split(" / ")]
        return cls(of, codes, names, ~np.isin(codes, unknown))

    @property
    def present(self) -> Ints:
        """The groups that hold a weapon ``[groups]``."""
        return np.unique(self.codes[self.known])

    @property
    def labels(self) -> list[str]:
        """Their names."""
        return [self.names[code] for code in self.present]

    @property
    def members(self) -> Bools:
        """Which weapons are in each of them ``[groups, weapons]``."""
        return np.asarray(self.known & (self.codes == self.present[:, None]))


def group_table(setup: BuildSetup, groups: WeaponGroups, means: Floats, n: Ints, stream: str) -> pd.DataFrame:
    """Return one row per group: the mean over its weapons' observed means against that of all other weapons.

    Args:
        setup: Gives settings and randomness.
        groups: Which weapons belong together.
        means: Observed mean of each weapon ``[weapons]``, NaN where it has too few contexts.
        n: Contexts of each weapon ``[weapons]``.
        stream: Name of the stream of randomness.
    """
    use = groups.known & ~np.isnan(means)
    if not use.any():
        tested = ("p", "p_method", "p_adj")
        return pd.DataFrame(columns=[groups.of, "n_weapons", "n", "mean_activation", *POOLED_COLUMNS, *tested])
    codes, weapon = groups.codes[use], np.flatnonzero(use)
    found = pooled(means[use], codes, weapon, setup.stats, bounds=setup.activation_bounds, unit="weapon")
    p, method = kit_p(setup, means[use], codes, stream)
    code = found["group"].to_numpy()
    frame = pd.DataFrame(
        {
            groups.of: [groups.names[i] for i in code],
            "n_weapons": found["n"],
            "n": [int(n[use][codes == i].sum()) for i in code],
            "mean_activation": found["mean"],
            **{name: found[name] for name in POOLED_COLUMNS},
            "p": p,
            "p_method": method,
        }
    )
    frame["p_adj"] = adjust(frame["p"].to_numpy(), setup.stats.adjust)
    return frame


def kit_p(setup: BuildSetup, values: Floats, codes: Ints, stream: str) -> tuple[Floats, Methods]:
    """Return p and method of each group (ascending codes) against the rest, with the kits permuted over the weapons."""
    n_groups = len(np.unique(codes))
    if n_groups < 2:
        return np.full(n_groups, np.nan), np.full(n_groups, ONE_GROUP, dtype=object)
    if np.ptp(values) == 0:
        return np.ones(n_groups), np.full(n_groups, EXACT, dtype=object)
    draws = draws_for(n_groups, setup.stats.n_permutations)
    test = level_permutation(values, codes, np.arange(len(codes)), rng=setup.rng(stream), n_permutations=draws)
    return test.p, test.method


def group_effects(groups: WeaponGroups, effects: Floats) -> Floats:
    """Return the mean effect over each group's weapons ``[groups present, n]``."""
    return np.stack([effects[rows].mean(0) for rows in groups.members])


def group_swaps(setup: BuildSetup, recorder: Recorder, groups: WeaponGroups, swaps: Swaps, stream: str) -> pd.DataFrame:
    """Return one row per group, the largest first: its weapons' swap effects within each context, with both tests."""
    effects, null = swaps.effects(), swaps.null_effects()
    frame = effect_rows(
        swaps.setup,
        recorder,
        group_effects(groups, effects),
        stream,
        differences_z=group_effects(groups, swaps.effects_z()),
        null=None if null is None else group_effects(groups, null),
        labels=groups.labels,
    )
    known, means = groups.known, row_means(effects)
    frame.insert(0, groups.of, groups.labels)
    frame.insert(1, "n_weapons", groups.members.sum(1))
    frame.insert(2, "mean_activation", row_means(group_effects(groups, swaps.f)))
    frame.insert(3, "firing_rate", group_effects(groups, firing_rates(swaps.f)[:, None])[:, 0])
    frame["p_kit"], frame["p_kit_method"] = kit_p(setup, means[known], groups.codes[known], f"{stream}_kit")
    frame["p_kit_adj"] = adjust(frame["p_kit"].to_numpy(), setup.stats.adjust)
    frame["delta_to_rest"] = list(to_rest(groups, means, known).values())
    frame["beyond"] = beyond_least(setup, frame)
    return frame.sort_values("mean_delta", key=abs, ascending=False, kind="stable", ignore_index=True)


def groups_beyond(swapped: pd.DataFrame, of: str, level: float) -> list[str]:
    """Return the groups that move the feature, by their swap effect and by the permutation of groups over weapons."""
    return [str(name) for name in swapped.loc[swapped["beyond"] & (swapped["p_kit_adj"] <= level), of]]


def to_rest(groups: WeaponGroups, values: Floats, use: Bools) -> dict[str, float]:
    """Return each group's mean over its weapons minus that over all others, of the weapons used ``[weapons]``."""
    use = use & groups.known
    differences = {}
    for code in np.unique(groups.codes[use]):
        own, others = use & (groups.codes == code), use & (groups.codes != code)
        gap = float(values[own].mean() - values[others].mean()) if others.any() else np.nan
        differences[groups.names[code]] = gap
    return differences


GROUP_COLUMNS = {
    **{name: text for name, text in WEAPON_COLUMNS.items() if name in POOLED_COLUMNS},
    "n_weapons": "weapons of the group: the unit of every number here",
    "n": "contexts that hold one of them",
    "mean_activation": "mean over the weapons' observed means",
    "pooled_mean": "the same with partial pooling between groups",
    "rest_mean": "mean over all other weapons' observed means",
    "delta": "mean_activation - rest_mean, not pooled",
    "p": "kits permuted over the weapons: does this group differ from the rest?",
    "p_adj": "p adjusted over the rows of this table",
    "interventional_delta": "the same contrast between the same weapons, swapped into the same builds",
    "confounding_gap": "delta - interventional_delta: what comes with these weapons but is not done by them",
}

GROUP_SWAP_COLUMNS = {
    "n_weapons": "weapons of the group, each swapped into every context",
    "mean_delta": "mean over the group's weapons of their effect against ordinary weapons in the same build",
    "p": "sign-flip p of whole source builds: do these very weapons do anything?",
    "p_kit": "kits permuted over the weapons: is it the kit, or would any weapons so grouped differ as much?",
    "p_kit_adj": "p_kit adjusted over the rows of this table",
    "delta_to_rest": "mean swap effect of the group's weapons minus that of all other weapons",
    "beyond": "whether p_adj and the simultaneous interval put it beyond min_effect sd of the feature",
}
