import numpy as np
import pytest

from paribus.errors import ConfigError
from paribus.subjects.builds.edits import families_present
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.slices import SliceSpec

CORPUS = BuildsGenerated(n_builds=400, seed=2).load()
ACTIVATION = np.maximum(np.random.default_rng(0).normal(size=len(CORPUS.contexts)), 0)


def select(seed=0, **settings):
    return SliceSpec(**settings).select(CORPUS.contexts, lambda: ACTIVATION, CORPUS.vocabulary, CORPUS.weapons, seed)


def unused():
    raise AssertionError("nothing asks for the activation")


def test_an_empty_slice_takes_all_and_measures_nothing():
    rows = SliceSpec().select(CORPUS.contexts, unused, CORPUS.vocabulary, CORPUS.weapons, 0)
    assert rows.tolist() == list(range(len(CORPUS.contexts)))


def test_percentiles_and_threshold():
    rows = select(percentile_min=60, percentile_max=90)
    low, high = np.percentile(ACTIVATION, [60, 90])
    assert rows.tolist() == np.flatnonzero((low <= ACTIVATION) & (high >= ACTIVATION)).tolist()
    assert ACTIVATION[select(activation_threshold=1.0)].min() >= 1.0
    assert SliceSpec(activation_threshold=1.0).on_outcome and not SliceSpec(sample_size=3).on_outcome


def test_percentiles_are_taken_among_what_the_names_leave():
    weapon = CORPUS.weapons.labels()[np.bincount(CORPUS.contexts.weapon).argmax()]
    here = CORPUS.contexts.weapon == CORPUS.weapons.index(weapon)
    rows = select(weapon_filter=[weapon], percentile_min=50)
    assert len(rows) >= here.sum() / 2 and here[rows].all()


def test_weapons_and_families():
    weapons = [CORPUS.weapons.labels()[i] for i in np.unique(CORPUS.contexts.weapon)[:3]]
    kept, rest = select(weapon_filter=weapons), select(weapon_exclude=weapons)
    assert sorted([*kept, *rest]) == list(range(len(CORPUS.contexts)))
    rows = select(family_filter=["SSU", "quick_respawn"])
    wanted = [CORPUS.vocabulary.family(name).index for name in ("SSU", "QR")]
    assert families_present(CORPUS.contexts.codes[rows])[:, wanted].all()


def test_samples_are_seeded_and_nested_seeds_differ():
    assert np.array_equal(select(sample_size=50), select(sample_size=50))
    assert not np.array_equal(select(sample_size=50), select(sample_size=50, seed=1))
    assert np.array_equal(select(sample_size=50, random_seed=7), select(sample_size=50, random_seed=7, seed=1))
    assert len(select(sample_size=10**6)) == len(CORPUS.contexts)


@pytest.mark.parametrize("size", [10, 100, 333])
def test_a_stratified_sample_is_even_over_the_activation(size):
    rows = select(sample_size=size, stratified=True)
    assert len(rows) == size == len(set(rows.tolist()))
    share = (ACTIVATION[rows] > 0).mean()
    assert share >= min(0.85, (ACTIVATION > 0).sum() / size * 0.9)
    assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"weapon_filter": ["Splatershot"]}, "no weapon"),
        ({"family_filter": ["swim"]}, "no ability family"),
        ({"activation_threshold": 99.0}, "none of .* loosen slice.activation_threshold"),
        ({"percentile_min": 101}, "at most 100"),
        ({"percentile_min": 50, "percentile_max": 50}, "must be below"),
        ({"sample_size": 0}, "at least 1"),
    ],
)
def test_wrong_slices(settings, match):
    with pytest.raises(ConfigError, match=match):
        select(**settings)
