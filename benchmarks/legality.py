"""A million random edits of legal contexts under ``strict``: none that passes is illegal.

Run: ``python -m benchmarks.legality [--edits 1000000] [--seed 0]``. Exit code 1 if a single state that the constraints
let pass is illegal, leaves two capstones of a family, or joins families that the corpus never joins.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import lru_cache

import numpy as np

from paribus import seeds
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.edits import Edits, families_present
from paribus.subjects.builds.enforcement import Constraints, pairs_seen
from paribus.subjects.builds.families import FAMILIES, MAIN_AP, MAIN_ONLY, N_SUBS, SUB_AP
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.legality import N_DOUBLE_SUBS
from paribus.subjects.builds.states import MAIN_ONLY_COLUMN, States
from paribus.subjects.builds.tokens import capstones, decode_build

BLOCK = 20_000


def random_edit(edits: Edits, states: States, rng: np.random.Generator) -> States:
    """Make one kind of edit on all states, with values drawn at random."""
    kind = rng.integers(6)
    family = FAMILIES[rng.integers(len(FAMILIES))]
    if kind <= 2:
        levels = (None, *edits.levels(family))
        return edits.set_rung(states, family, levels[rng.integers(len(levels))])
    if kind == 3:
        return edits.add_tokens(states, [str(rng.choice(edits.vocabulary.ability_tokens))])
    if kind == 4:
        return edits.remove_where(states, rng.random((*states.shape, len(FAMILIES))) < 0.1)
    return edits.swap_weapon(edits.close_context(states), rng.integers(0, edits.weapons.size, states.shape))


def feasible_points(ap: tuple[int, ...], free_mains: int, *, doubled: bool = False) -> bool:
    """Return whether stacking families can reach ``ap`` (AP of each) with so many free mains.

    Args:
        ap: Ability points asked of each family.
        free_mains: Main slots not taken by main-only abilities, 0 to 3.
        doubled: Whether Ability Doubler is in the build.

    Example:
        >>> feasible_points((57,), 0), feasible_points((3,), 0)
        (False, True)
    """
    return _fits(tuple(sorted((points for points in ap if points > 0), reverse=True)), free_mains, doubled)


@lru_cache(maxsize=1 << 18)
def _fits(ap: tuple[int, ...], free_mains: int, doubled: bool) -> bool:
    if not doubled:
        needed = _least_subs(ap, free_mains)
        return needed is not None and needed <= N_SUBS
    return _least_singles(ap, free_mains, N_DOUBLE_SUBS) <= N_SUBS - N_DOUBLE_SUBS


@lru_cache(maxsize=1 << 18)
def _least_subs(ap: tuple[int, ...], mains: int) -> int | None:
    """Fewest subs over all choices of mains; None once it is clear that nine cannot be enough."""
    if not ap:
        return 0
    if sum(ap) > MAIN_AP * mains + SUB_AP * N_SUBS:
        return None
    found = []
    for m in range(mains + 1):
        rest = _least_subs(ap[1:], mains - m)
        if rest is not None:
            found.append(rest + _subs_for(ap[0] - MAIN_AP * m))
    return min(found, default=None)


@lru_cache(maxsize=1 << 18)
def _least_singles(ap: tuple[int, ...], mains: int, doubles: int) -> int:
    if not ap:
        return 0
    return min(
        _least_singles(ap[1:], mains - m, doubles - d) + max(0, _subs_for(ap[0] - MAIN_AP * m) - 2 * d)
        for m in range(mains + 1)
        for d in range(doubles + 1)
    )


def _subs_for(ap: int) -> int:
    return max(0, -(-ap // SUB_AP))


def independently_legal(codes: np.ndarray, edits: Edits) -> bool:
    """Judge one state by the slow, memoised search, without the arrays."""
    points = decode_build(codes, edits.vocabulary)
    worn = [f for f in MAIN_ONLY if f.name in points]
    if len({f.piece for f in worn}) < len(worn):
        return False
    doubled = any(f.name == "ability_doubler" for f in worn)
    stacking = tuple(ap for name, ap in points.items() if name not in {f.name for f in worn})
    return feasible_points(stacking, 3 - len(worn), doubled=doubled)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    corpus = BuildsGenerated(n_builds=10_000, contexts_per_build=2, seed=options.seed).load()
    seen = pairs_seen(corpus.contexts.codes)
    constraints = Constraints(ConstraintsSpec(avoid_ood_token_combinations="hard"), corpus.vocabulary, seen)
    edits, rng = Edits(corpus.vocabulary, corpus.weapons), seeds.rng(options.seed, "edits")
    made = kept = wrong = 0
    judged: dict[bytes, bool] = {}
    violations: dict[str, int] = {}
    base = corpus.contexts.states()
    states = base[rng.integers(0, base.size, BLOCK)]
    started = time.perf_counter()
    while made < options.edits:
        edited = random_edit(edits, states, rng)
        enforced = constraints.enforce(edited)
        passed = enforced.states.ok
        for name, count in enforced.violations.items():
            violations[name] = violations.get(name, 0) + count
        present = families_present(edited.codes[passed]).astype(np.float32)
        unseen = ~seen & ~np.eye(len(FAMILIES), dtype=bool)
        wrong += int((((present @ unseen) * present).sum(1) > 0).sum()) + int(edited.clash[passed].sum())
        for codes in edited.codes[passed]:
            key = capstones(codes).tobytes() + codes[MAIN_ONLY_COLUMN].tobytes()
            if key not in judged:
                judged[key] = independently_legal(codes, edits)
            wrong += not judged[key]
        made, kept = made + BLOCK, kept + int(passed.sum())
        # Go on from what passed; start afresh where an edit was refused, and now and then anyway.
        fresh = ~passed | (rng.random(BLOCK) < 0.1)
        codes = np.where(fresh[:, None], base.codes[rng.integers(0, base.size, BLOCK)], edited.codes)
        states = States.of(codes, states.source)
    seconds = time.perf_counter() - started
    print(
        f"{made:,} edits in {seconds:.1f} s ({made / seconds:,.0f} a second): {kept:,} passed, {made - kept:,} refused"
    )
    print("refused or counted by constraint: " + ", ".join(f"{name} {count:,}" for name, count in violations.items()))
    print(f"illegal among those that passed: {wrong} ({len(judged):,} different sets of capstones)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
