"""The ``slice`` config group: which contexts of a corpus an experiment works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paribus import seeds
from paribus.arrays import Bools, Floats, Ints
from paribus.errors import ConfigError
from paribus.spec import Spec, field
from paribus.subjects.builds.contexts import Contexts
from paribus.subjects.builds.edits import families_present
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

N_STRATA = 10


@dataclass(frozen=True)
class SliceSpec(Spec, kind="slice"):
    """Filters on weapon and family first, then on the activation, then a sample. Everything empty takes all.

    Example:
        >>> SliceSpec().fingerprint()
        ''
    """

    percentile_min: float | None = field(None, low=0.0, high=100.0, help="Keep activations from this percentile on.")
    percentile_max: float | None = field(None, low=0.0, high=100.0, help="Keep activations up to this percentile.")
    activation_threshold: float | None = field(None, help="Keep activations of at least this much.")
    weapon_filter: list[str] = field([], help="Keep these weapons (token, name, game id or stat.ink key).")
    weapon_exclude: list[str] = field([], help="Leave these weapons out.")
    family_filter: list[str] = field([], help="Keep contexts that show all of these families.")
    sample_size: int | None = field(None, low=1, help="Draw so many of what is left.")
    stratified: bool = field(False, help="Draw the sample evenly over tenths of the activation's range of ranks.")
    random_seed: int | None = field(None, low=0, help="Seed of the sample; by default the run's.")

    def check(self) -> None:
        """Check that the percentiles leave something.

        Raises:
            ConfigError: If the lower percentile is not below the upper one.
        """
        low, high = self.percentile_min, self.percentile_max
        if low is not None and high is not None and low >= high:
            raise ConfigError(f"SliceSpec: percentile_min ({low:g}) must be below percentile_max ({high:g})")

    @property
    def on_outcome(self) -> bool:
        """Whether contexts are chosen by the activation itself, which shrinks effects."""
        return any(v is not None for v in (self.percentile_min, self.percentile_max, self.activation_threshold))

    @property
    def by_activation(self) -> bool:
        """Whether activations must be known to tell which contexts are kept."""
        return self.on_outcome or (self.stratified and self.sample_size is not None)

    def look_up(self, vocabulary: Vocabulary, weapons: Weapons) -> None:
        """Look up every name, without selecting anything.

        Raises:
            ConfigError: If a weapon or a family is unknown.
        """
        for name in (*self.weapon_filter, *self.weapon_exclude):
            weapons.index(name)
        for name in self.family_filter:
            vocabulary.family(name)

    def select(
        self,
        contexts: Contexts,
        activation: Callable[[], Floats],
        vocabulary: Vocabulary,
        weapons: Weapons,
        seed: int,
    ) -> Ints:
        """Return the rows of the contexts that stay, ascending.

        Args:
            contexts: All contexts of the corpus.
            activation: Called only if a filter needs it; returns f of every context ``[n]``.
            vocabulary: Token vocabulary, for family names.
            weapons: Weapon vocabulary, for weapon names.
            seed: The run's seed, for the sample.

        Raises:
            ConfigError: If a name is unknown or nothing is left.
        """
        keep = self._named(contexts, vocabulary, weapons)
        if self.on_outcome and keep.any():
            keep &= self._active(activation(), keep)
        rows = np.flatnonzero(keep)
        if not len(rows):
            raise ConfigError(f"slice: none of {len(contexts)} contexts is left; loosen {self._set_names()}")
        if self.sample_size is not None and self.sample_size < len(rows):
            rng = seeds.rng(seed if self.random_seed is None else self.random_seed, "slice")
            if self.stratified:
                return _stratified(rows, np.asarray(activation())[rows], self.sample_size, rng)
            rows = np.sort(rng.choice(rows, self.sample_size, replace=False))
        return rows

    def _named(self, contexts: Contexts, vocabulary: Vocabulary, weapons: Weapons) -> Bools:
        keep = np.ones(len(contexts), bool)
        if self.weapon_filter:
            keep &= np.isin(contexts.weapon, [weapons.index(name) for name in self.weapon_filter])
        if self.weapon_exclude:
            keep &= ~np.isin(contexts.weapon, [weapons.index(name) for name in self.weapon_exclude])
        if self.family_filter:
            wanted = [vocabulary.family(name).index for name in self.family_filter]
            keep &= families_present(contexts.codes)[:, wanted].all(1)
        return keep

    def _active(self, f: Floats, keep: Bools) -> Bools:
        ok = np.ones(len(f), bool)
        if self.percentile_min is not None:
            ok &= f >= np.percentile(f[keep], self.percentile_min)
        if self.percentile_max is not None:
            ok &= f <= np.percentile(f[keep], self.percentile_max)
        if self.activation_threshold is not None:
            ok &= f >= self.activation_threshold
        return ok

    def _set_names(self) -> str:
        names = ("percentile_min", "percentile_max", "activation_threshold", "weapon_filter", "weapon_exclude",
                 "family_filter")  # fmt: skip
        used = [name for name in names if getattr(self, name) not in (None, [])]
        return ", ".join(f"slice.{name}" for name in used) or "the data"


def _stratified(rows: Ints, f: Floats, size: int, rng: np.random.Generator) -> Ints:
    """Draw evenly from inactive contexts and equal parts of the active ones; others fill up a small part."""
    active = f > 0
    order = np.flatnonzero(active)[np.argsort(f[active], kind="stable")]
    strata = [
        rng.permutation(rows[~active]),
        *(rng.permutation(rows[part]) for part in np.array_split(order, N_STRATA - 1)),
    ]
    taken = np.zeros(len(strata), np.int64)
    lengths = np.array([len(s) for s in strata])
    while taken.sum() < size:
        open_ = np.flatnonzero(taken < lengths)
        share = max(1, (size - int(taken.sum())) // len(open_))
        for i in open_:
            taken[i] += min(share, lengths[i] - taken[i], size - taken.sum())
    return np.sort(np.concatenate([s[:k] for s, k in zip(strata, taken, strict=True)]))
