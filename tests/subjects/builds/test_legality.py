import itertools

import numpy as np
import pytest
from benchmarks.legality import feasible_points
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.subjects.builds.families import DEFAULT_RUNGS, MAIN_ONLY, STACKING
from paribus.subjects.builds.legality import legal, total_points
from paribus.subjects.builds.tokens import encode_build
from paribus.subjects.builds.vocabulary import Vocabulary

VOCABULARY = Vocabulary.default()


def wearable(ap, free_mains, doubled):
    """Brute force: every way to fill the slots one by one."""
    subs = [3] * 6 + [6 if doubled else 3] * 3
    reach = {tuple(0 for _ in ap)}
    for size in [10] * free_mains + subs:
        grown = set()
        for state in reach:
            for i in range(len(ap)):
                grown.add(tuple(min(a + (size if i == j else 0), ap[j]) for j, a in enumerate(state)))
        reach = grown or reach
    return not ap or tuple(ap) in reach


aps = st.lists(st.sampled_from(DEFAULT_RUNGS), max_size=4)


@settings(deadline=None, max_examples=150)
@given(ap=aps, free=st.integers(0, 3), doubled=st.booleans())
def test_feasibility_agrees_with_brute_force(ap, free, doubled):
    if doubled and free == 3:
        free = 2  # the doubler itself takes a main
    assert feasible_points(tuple(ap), free, doubled=doubled) == wearable(ap, free, doubled)


def test_every_pair_of_rungs_against_brute_force():
    found = [[feasible_points((a, b), 3) for b in DEFAULT_RUNGS] for a in DEFAULT_RUNGS]
    assert found == [[wearable((a, b), 3, False) for b in DEFAULT_RUNGS] for a in DEFAULT_RUNGS]
    assert sum(not cell for row in found for cell in row) == 34


def test_one_family_reaches_what_mains_and_subs_allow():
    reachable = sorted({10 * m + 3 * s for m in range(4) for s in range(10)})
    assert reachable[:8] == [0, 3, 6, 9, 10, 12, 13, 15] and reachable[-1] == 57
    assert all(feasible_points((ap,), 3) for ap in reachable)
    assert not feasible_points((58,), 3) and not feasible_points((48,), 2) and not feasible_points((28,), 0)


@settings(deadline=None, max_examples=60)
@given(
    builds=st.lists(
        st.tuples(
            st.dictionaries(st.integers(0, 13), st.sampled_from(DEFAULT_RUNGS), max_size=6),
            st.sets(st.integers(0, 11), max_size=4),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_arrays_agree_with_one_by_one(builds):
    rows, expected = [], []
    for stacking, worn in builds:
        names = [MAIN_ONLY[i] for i in worn]
        points = {STACKING[i].name: ap for i, ap in stacking.items()} | {f.name: 10 for f in names}
        rows.append(encode_build(points, VOCABULARY, 0))
        single = len({f.piece for f in names}) == len(names)
        doubled = any(f.name == "ability_doubler" for f in names)
        expected.append(single and feasible_points(tuple(stacking.values()), 3 - len(names), doubled=doubled))
    codes = np.stack(rows)
    assert legal(codes, VOCABULARY).tolist() == expected
    assert legal(codes[None], VOCABULARY).shape == (1, len(codes))


def test_ability_doubler_makes_66_of_57():
    whole = {"ability_doubler": 10, "swim_speed_up": 20 + 36}
    with_doubler = encode_build(whole, VOCABULARY, 0)
    without = encode_build({"haunt": 10, "swim_speed_up": 20 + 36}, VOCABULARY, 0)
    assert legal(np.stack([with_doubler, without]), VOCABULARY).tolist() == [True, False]
    assert total_points(with_doubler, VOCABULARY) == 61  # 56 AP show rung 51


def test_all_pairs_of_main_only_abilities():
    for a, b in itertools.combinations(MAIN_ONLY, 2):
        codes = encode_build({a.name: True, b.name: True}, VOCABULARY, 0)
        assert bool(legal(codes, VOCABULARY)) == (a.piece != b.piece)


@pytest.mark.parametrize("rungs", [(3, 10, 20, 30, 40, 50, 57), (57,), tuple(range(3, 19))])
def test_other_vocabularies(rungs):
    vocabulary = Vocabulary.default(rungs)
    for a, b in itertools.product(rungs, repeat=2):
        codes = encode_build({"swim_speed_up": a, "run_speed_up": b, "comeback": 1}, vocabulary, 0)
        assert bool(legal(codes, vocabulary)) == feasible_points((a, b), 2)


@pytest.mark.parametrize("doubled", [False, True])
def test_three_families_fit_up_to_the_last_sub_with_and_without_a_doubler(doubled):
    """Every way to give away the mains (two beside a doubler) and double subs of 6 AP; the rest takes single subs."""
    rungs = np.array([0, *VOCABULARY.rungs])
    asked = np.array(list(itertools.combinations_with_replacement(rungs, 3)))
    mains, doubles, singles = (2, 3, 6) if doubled else (3, 0, 9)
    least = np.full(len(asked), 99)
    for given_mains in itertools.combinations_with_replacement(range(3), mains):
        for given_doubles in itertools.combinations_with_replacement(range(3), doubles):
            have = 10 * np.bincount(given_mains, minlength=3) + 6 * np.bincount(given_doubles, minlength=3).astype(int)
            least = np.minimum(least, np.ceil(np.maximum(asked - have, 0) / 3).sum(1))
    names = ["swim_speed_up", "run_speed_up", "quick_respawn"]
    worn = {"ability_doubler": 10} if doubled else {}
    builds = [{name: int(ap) for name, ap in zip(names, row, strict=True) if ap} | worn for row in asked]
    codes = np.stack([encode_build(build, VOCABULARY, 0) for build in builds])
    assert (least == singles).any() and (least == singles + 1).any()
    assert legal(codes, VOCABULARY).tolist() == (least <= singles).tolist()
