import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.errors import ConfigError, DataError
from paribus.subjects.builds.families import DEFAULT_RUNGS, MAIN_ONLY, STACKING
from paribus.subjects.builds.tokens import (
    capstones,
    decode_build,
    encode_build,
    encode_ids,
    encode_tokens,
    n_tokens,
    padded_ids,
    presence,
    token_names,
)
from paribus.subjects.builds.vocabulary import NULL, PAD, Vocabulary

VOCABULARY = Vocabulary.default()

builds = st.tuples(
    st.dictionaries(st.sampled_from([f.name for f in STACKING]), st.sampled_from(DEFAULT_RUNGS), max_size=5),
    st.sets(st.sampled_from([f.name for f in MAIN_ONLY]), max_size=3),
).map(lambda pair: pair[0] | dict.fromkeys(pair[1], 10))
token_sets = st.sets(st.sampled_from(VOCABULARY.ability_tokens), max_size=20)


@settings(deadline=None, max_examples=80)
@given(build=builds)
def test_tokenise_and_parse_are_inverse(build):
    codes = encode_build(build, VOCABULARY, 7)
    assert decode_build(codes, VOCABULARY) == build
    assert np.array_equal(encode_tokens(token_names(codes, VOCABULARY), VOCABULARY, 7), codes)


def test_tokens_are_cumulative_and_below_three_there_is_nothing():
    codes = encode_build({"swim_speed_up": 12, "run_speed_up": 2.9, "comeback": True, "haunt": False}, VOCABULARY, 0)
    assert token_names(codes, VOCABULARY) == ("comeback", "swim_speed_up_3", "swim_speed_up_6", "swim_speed_up_12")
    assert token_names(encode_build({"swim_speed_up": 13}, VOCABULARY, 0), VOCABULARY)[-1] == "swim_speed_up_12"


@settings(deadline=None, max_examples=60)
@given(sets=st.lists(token_sets, min_size=1, max_size=8), seed=st.integers(0, 9))
def test_ids_in_any_order_give_the_set_back(sets, seed):
    rng = np.random.default_rng(seed)
    ids = [rng.permutation([VOCABULARY.ids[t] for t in tokens]).astype(np.int64) for tokens in sets]
    offsets = np.concatenate([[0], np.cumsum([len(i) for i in ids])])
    codes = encode_ids(np.concatenate(ids), offsets, np.arange(len(sets)), VOCABULARY)
    assert [set(token_names(c, VOCABULARY)) for c in codes] == [set(s) for s in sets]
    assert n_tokens(codes).tolist() == [len(s) for s in sets]
    out, pad = padded_ids(codes, VOCABULARY)
    for row, mask, tokens in zip(out, pad, sets, strict=True):
        real = [VOCABULARY.tokens[i] for i in row[~mask]]
        assert real == ([t for t in VOCABULARY.ability_tokens if t in tokens] or [NULL])
        assert (row[mask] == VOCABULARY.pad_id).all()
    assert presence(codes, VOCABULARY).sum() == sum(map(len, sets))


def test_padding_and_null_are_skipped_and_strange_ids_refused():
    ids = np.array([VOCABULARY.pad_id, VOCABULARY.null_id, VOCABULARY.ids["comeback"]])
    codes = encode_ids(ids, np.array([0, 3]), np.array([1]), VOCABULARY)
    assert token_names(codes[0], VOCABULARY) == ("comeback",)
    for bad in (-1, 140):
        with pytest.raises(DataError, match="outside the vocabulary"):
            encode_ids(np.array([bad]), np.array([0, 1]), np.array([0]), VOCABULARY)


def test_without_a_null_token_an_empty_set_is_all_padding():
    vocabulary = Vocabulary(("comeback", "swim_speed_up_3", PAD))
    out, pad = padded_ids(np.zeros((2, 16), np.uint16), vocabulary)
    assert pad.all() and (out == 2).all()


def test_capstone_is_the_highest_token_shown():
    codes = np.stack([encode_tokens(["SSU_3", "SSU_38"], VOCABULARY, 0), encode_tokens([], VOCABULARY, 0)])
    slot = VOCABULARY.family("SSU").slot
    assert capstones(codes)[:, slot].tolist() == [6, -1]


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="no ability family"):
        encode_build({"swim": 3}, VOCABULARY, 0)
    with pytest.raises(ConfigError, match="no ability token"):
        encode_tokens(["swim_speed_up_5x"], VOCABULARY, 0)


def test_every_bit_of_a_family_is_a_place():
    codes = np.zeros((16, 16), np.uint16)
    codes[:, 3] = 1 << np.arange(16)
    assert capstones(codes)[:, 3].tolist() == list(range(16))
    assert (np.delete(capstones(codes), 3, axis=1) == -1).all()
