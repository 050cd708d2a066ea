"""The byte-bounded cache and input digests."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.engine.cache import FeatureCache, InputDigests


def floats(n: int) -> tuple[torch.Tensor, ...]:
    return (torch.zeros(n),)


def test_the_least_recently_used_goes_first():
    cache = FeatureCache(100)
    cache.put("a", floats(10))
    cache.put("b", floats(10))
    assert cache.get("a") is not None
    cache.put("c", floats(10))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.held_bytes == 80


def test_what_exceeds_the_bound_alone_is_not_kept_and_pushes_nothing_out():
    cache = FeatureCache(100)
    cache.put("a", floats(10))
    assert not cache.put("big", floats(26))
    assert cache.get("big") is None
    assert cache.get("a") is not None


def test_replacing_and_clearing_keep_the_count():
    cache = FeatureCache(100)
    cache.put("a", floats(10))
    cache.put("a", floats(5))
    assert cache.held_bytes == 20
    cache.drop("missing")
    cache.clear()
    assert (len(cache), cache.held_bytes) == (0, 0)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), max_size=30))
def test_the_bound_holds_always(puts):
    cache = FeatureCache(100)
    for key, n in puts:
        cache.put(key, floats(n))
        kept = [cache.get(name) for name in range(6)]
        assert cache.held_bytes == sum(4 * len(one[0]) for one in kept if one) <= 100


def test_one_cache_is_shared_by_the_process():
    assert FeatureCache.shared() is FeatureCache.shared()


def test_digests_depend_on_values_shape_and_format():
    digests = InputDigests()
    x = torch.arange(6.0)
    all_different = [(x,), (x.reshape(2, 3),), (x.double(),), (x + 1,), (x, x)]
    assert len({digests.of(one) for one in all_different}) == len(all_different)
    assert digests.of((x,)) == InputDigests().of((x.clone(),))
    assert digests.of((x.reshape(2, 3).T,)) == digests.of((x.reshape(2, 3).T.contiguous(),))


def test_a_written_tensor_is_hashed_anew():
    digests = InputDigests()
    x = torch.zeros(5)
    before = digests.of((x,))
    x[2] = 1.0
    assert digests.of((x,)) != before


def test_digests_do_not_keep_tensors_alive():
    digests = InputDigests()
    for _ in range(20):
        digests.of((torch.zeros(3),))
    assert len(digests._known) <= 2
