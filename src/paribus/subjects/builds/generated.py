"""The ``builds_generated`` option of the ``data`` group: legal builds from archetypes that weapons prefer."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paribus import seeds
from paribus.arrays import Floats, Ints
from paribus.spec import field
from paribus.subjects.builds.contexts import BuildsData, Corpus, corpus_of
from paribus.subjects.builds.families import DOUBLER, MAIN_ONLY, PIECES, STACKING
from paribus.subjects.builds.states import MAIN_ONLY_COLUMN, N_COLUMNS, N_STACKING, WEAPON_COLUMN, Codes
from paribus.subjects.builds.tokens import closed_mask
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

GENERATOR_VERSION = 1


@dataclass(frozen=True)
class Archetype:
    """A way to play: which abilities it stacks, and how much.

    Attributes:
        name: What players would call it.
        stacks: Stacking families (abbreviations) with their weight in main and sub slots.
        wears: Main-only abilities (abbreviations) with the probability of each in its piece's main.
        specials: Special weapons whose owners like it.
        kinds: Weapon classes whose owners like it.
    """

    name: str
    stacks: dict[str, float]
    wears: dict[str, float]
    specials: tuple[str, ...]
    kinds: tuple[str, ...]


ARCHETYPES = (
    Archetype(
        "special spam",
        {"SCU": 6.0, "SPU": 1.5, "SS": 1.0, "IRU": 0.6, "SSU": 0.5},
        {"T": 0.35, "SJ": 0.15},
        ("Tacticooler", "Big Bubbler", "Ink Storm", "Tenta Missiles", "Killer Wail 5.1"),
        ("Stringer",),
    ),
    Archetype(
        "special power",
        {"SPU": 4.0, "SS": 1.5, "SCU": 1.0, "QSJ": 0.8, "SRU": 0.5},
        {"T": 0.2},
        ("Booyah Bomb", "Wave Breaker", "Super Chump", "Ink Vac"),
        ("Splatling", "Brella"),
    ),
    Archetype(
        "aggressive",
        {"QR": 4.0, "SSU": 2.0, "SS": 1.5, "QSJ": 1.2, "INKR": 0.6},
        {"C": 0.5, "SJ": 0.5},
        ("Zipcaster", "Ultra Stamp", "Kraken Royale", "Triple Splashdown"),
        ("Roller", "Brush", "Splatana"),
    ),
    Archetype(
        "stealth",
        {"SSU": 5.0, "INKR": 1.5, "QSJ": 1.0, "SRU": 0.6},
        {"NS": 0.75, "SJ": 0.4, "RP": 0.1, "H": 0.05},
        ("Reefslider", "Inkjet"),
        ("Roller", "Charger", "Blaster"),
    ),
    Archetype(
        "backline",
        {"RSU": 2.0, "ISM": 2.0, "IRU": 1.5, "INKR": 1.2, "SRU": 1.0, "IA": 0.6},
        {"LDE": 0.3, "RP": 0.25, "OS": 0.1, "TI": 0.1},
        ("Kraken Royale", "Ink Vac", "Splattercolor Screen"),
        ("Charger", "Splatling"),
    ),
    Archetype(
        "bomb spam",
        {"ISS": 3.0, "SubPU": 3.0, "IRU": 1.5, "ISM": 0.5},
        {"LDE": 0.5},
        ("Triple Inkstrike", "Trizooka"),
        ("Slosher", "Shooter"),
    ),
    Archetype(
        "duelist",
        {"IA": 3.0, "SSU": 1.5, "RSU": 1.5, "QSJ": 1.0, "SRU": 0.8, "INKR": 0.8},
        {"OG": 0.3, "DR": 0.3, "SJ": 0.3},
        ("Crab Tank", "Trizooka"),
        ("Shooter", "Dualies", "Blaster"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class BuildsGenerated(BuildsData, kind="data/builds_generated"):
    """Legal builds drawn from archetypes; weapons prefer archetypes, so weapon and abilities are confounded.

    Example:
        >>> BuildsGenerated(n_builds=200).subject
        'builds'
    """

    n_builds: int = field(2000, low=1, high=5_000_000, help="Whole builds to draw.")
    contexts_per_build: int = field(2, low=1, high=1000, help="Partial builds drawn from each.")
    confounding: float = field(0.9, low=0.0, high=1.0, help="Degree to which the weapon determines the archetype.")
    spread: float = field(0.15, low=0.0, high=1.0, help="Share of slots filled regardless of the archetype.")
    rungs: list[int] = field([3, 6, 12, 15, 21, 29, 38, 51, 57], low=1, high=66, help="Rungs of the vocabulary (AP).")

    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary of the corpus where the model brings none."""
        return Vocabulary.default(self.rungs)

    def weapons(self) -> Weapons:
        """Return the weapon vocabulary where the model brings none."""
        return Weapons.default()

    def fingerprint(self) -> str:
        """Return what decides the corpus besides the parameters: the generator's version."""
        return f"builds_generated/{GENERATOR_VERSION}"

    def load(self, vocabulary: Vocabulary | None = None, weapons: Weapons | None = None) -> Corpus:
        """Draw the corpus.

        Args:
            vocabulary: The model's vocabulary; None for :meth:`vocabulary`.
            weapons: The model's weapons; None for the reference ones.

        Raises:
            DataError: If no context is left.
        """
        vocabulary = vocabulary or self.vocabulary()
        weapons = weapons or self.weapons()
        rng = seeds.rng(self.seed, "builds_generated")
        builds = draw_builds(
            self.n_builds, vocabulary, weapons, confounding=self.confounding, spread=self.spread, rng=rng
        )
        return corpus_of(self, builds, vocabulary, weapons, rng=rng, n_rows=len(builds))


def draw_builds(
    n: int, vocabulary: Vocabulary, weapons: Weapons, *, confounding: float, spread: float, rng: np.random.Generator
) -> Codes:
    """Draw whole legal builds ``[n, 16]``.

    Args:
        n: How many.
        vocabulary: Token vocabulary.
        weapons: Weapon vocabulary.
        confounding: 0: every weapon is played in every way alike; 1: the weapon decides.
        spread: Share of slots filled at random.
        rng: Source of randomness.
    """
    popularity = 1.0 / (1.0 + rng.permutation(weapons.size)) ** 0.5
    weapon = rng.choice(weapons.size, size=n, p=popularity / popularity.sum())
    archetype = _pick(preferences(weapons, confounding)[weapon], rng)
    out = np.empty((n, N_COLUMNS), np.uint16)
    for start in range(0, n, 16_384):
        rows = slice(start, start + 16_384)
        out[rows] = _wear(archetype[rows], weapon[rows], vocabulary, spread, rng)
    return out


def preferences(weapons: Weapons, confounding: float) -> Floats:
    """Return P(archetype | weapon) ``[n_weapons, n_archetypes]``."""
    liked = np.array(
        [[2.0 * (w.special in a.specials) + 1.0 * (w.kind in a.kinds) for a in ARCHETYPES] for w in weapons.weapons]
    )
    peaked = np.exp(2.0 * liked)
    peaked /= peaked.sum(1, keepdims=True)
    return np.asarray(confounding * peaked + (1.0 - confounding) / len(ARCHETYPES))


def _wear(archetype: Ints, weapon: Ints, vocabulary: Vocabulary, spread: float, rng: np.random.Generator) -> Codes:
    """Fill the twelve slots of every build and tokenise."""
    n = len(archetype)
    stacks, wears = _tables(vocabulary)
    usable = stacks.sum(0) > 0
    uniform = usable / usable.sum()
    # Each build has its own taste around its archetype, so that some stack one family to the end.
    taste = stacks[archetype] * rng.gamma(0.7, size=(n, N_STACKING))
    taste = (1 - spread) * taste / taste.sum(1, keepdims=True) + spread * uniform
    ap = np.zeros((n, N_STACKING), np.int64)
    masks = np.zeros(n, np.uint16)
    every = np.arange(n)
    for place, piece in enumerate(PIECES):
        chances = wears[archetype][:, place]
        none = 1.0 - chances.sum(1, keepdims=True)
        choice = _pick(np.concatenate([chances, none], axis=1), rng)
        special = choice < len(MAIN_ONLY)
        masks[special] |= (1 << choice[special]).astype(np.uint16)
        main = _pick(taste, rng)
        ap[every[~special], main[~special]] += 10
        doubled = special & (choice == DOUBLER.slot) if piece == "clothes" else np.zeros(n, bool)
        pure = rng.random(n) < 0.5
        first = _pick(taste, rng)
        for _ in range(3):
            sub = np.where(pure, first, _pick(taste, rng))
            ap[every, sub] += np.where(doubled, 6, 3)
    codes = np.zeros((n, N_COLUMNS), np.uint16)
    for family in STACKING:
        codes[:, family.slot] = _mask_table(vocabulary, family.slot)[ap[:, family.slot]]
    codes[:, MAIN_ONLY_COLUMN] = masks
    codes[:, WEAPON_COLUMN] = weapon
    return codes


def _mask_table(vocabulary: Vocabulary, slot: int) -> npt.NDArray[np.uint16]:
    """Closed token mask of a family for every AP up to 99."""
    places = [bisect_right(vocabulary.rungs, ap) - 1 for ap in range(100)]
    return np.array([closed_mask(vocabulary, STACKING[slot], place) for place in places], np.uint16)


def _tables(vocabulary: Vocabulary) -> tuple[Floats, Floats]:
    """Weights of stacking families ``[archetypes, 14]`` and chances of main-only ones ``[archetypes, 3, 12]``."""
    stacks = np.zeros((len(ARCHETYPES), N_STACKING))
    wears = np.full((len(ARCHETYPES), len(PIECES), len(MAIN_ONLY)), 0.0)
    for a, archetype in enumerate(ARCHETYPES):
        for family in STACKING:
            if vocabulary.has(family):
                stacks[a, family.slot] = archetype.stacks.get(family.short, 0.0) + 0.05
        for family in MAIN_ONLY:
            if vocabulary.has(family):
                chance = archetype.wears.get(family.short, 0.0)
                wears[a, PIECES.index(str(family.piece)), family.slot] = max(chance, 0.01)
    return stacks, wears


def _pick(p: Floats, rng: np.random.Generator) -> Ints:
    """Draw one column of each row of probabilities ``[n, k]`` (rows need not be exactly normalised)."""
    edges = np.cumsum(p, axis=1)
    drawn = rng.random((len(p), 1)) * edges[:, -1:]
    return np.asarray(np.minimum((edges <= drawn).sum(1), p.shape[1] - 1), np.int64)
