"""Caches shared by the jobs of one process: the latest few loaded data sets, networks and weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
from torch import Tensor, nn

from paribus.config.foreign import Foreign
from paribus.config.opened import Opened, again, recording
from paribus.engine.cache import FeatureCache
from paribus.errors import ExperimentError
from paribus.running.contents import fingerprint
from paribus.running.stamps import Stamp, changed, stamps

BYTES = 2 << 30
"""Maximum number of cached objects of each kind per process."""
_WITHOUT_ARRAYS = frozenset({int, float, str, bool, type(None)})


class Latest:
    """A cache of the most recently used values: at most ``size`` of them and at most ``limit`` bytes.

    The latest one is kept however large it is, until another one is to be made.
    """

    def __init__(self, size: int, limit: int = BYTES) -> None:
        """Start empty."""
        self._size, self._limit = size, limit
        self._kept: OrderedDict[Hashable, tuple[Any, Opened]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what is kept under ``key``, made where it is not; the files it was made from count as read anyhow.

        What was made from files that have been written since, be it with equal content, is made again.
        """
        if key in self._kept and self._kept[key][1].replaced():
            del self._kept[key]
        if key in self._kept:
            self._kept.move_to_end(key)
            value, opened = self._kept[key]
            again(opened)
            self._taken(key, value)
            return value
        sizes = self._sizes()
        while self._kept and sum(sizes.values()) > self._limit:  # before two are there, too large for one process
            del sizes[self._kept.popitem(last=False)[0]]
        with recording() as opened:
            value = make()
        self._kept[key] = (value, opened)
        sizes = self._sizes(sizes)  # making it may have kept others by the way
        while len(self._kept) > self._size or (len(self._kept) > 1 and sum(sizes.values()) > self._limit):
            del sizes[self._kept.popitem(last=False)[0]]
        self._taken(key, value)
        return value

    def _taken(self, key: Hashable, value: Any) -> None:
        if self is not checkpoints:  # of these, callers get copies
            for used in _used:
                used.take(self, key, value)

    def _sizes(self, known: Mapping[Hashable, int] = MappingProxyType({})) -> dict[Hashable, int]:
        """Return the bytes of each cached value, including what it has loaded since it was made.

        Args:
            known: Sizes that were just counted.
        """
        return {key: known[key] if key in known else array_bytes(value) for key, (value, _) in self._kept.items()}

    def values(self) -> dict[Hashable, Any]:
        """Return what is kept, by key."""
        return {key: value for key, (value, _) in self._kept.items()}

    def clear(self) -> None:
        """Empty the cache."""
        self._kept.clear()


_used: list[Used] = []
data_sets = Latest(6)
models = Latest(4)
checkpoints = Latest(64)
"""Checkpoints as read from files; callers get copies."""


def load_data(node: Any) -> Any:
    """Return the data set of a spec or a foreign callable of the ``data`` group, loaded once.

    The key covers files and code: a replaced file or a changed function gives another data set.
    """
    return data_sets.get(fingerprint(node), node.call if isinstance(node, Foreign) else node.load)


class Used:
    """What a run takes from the caches of data sets and models."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._taken: dict[tuple[Latest, Hashable], dict[str, Stamp]] = {}
        self._stamping = False

    def take(self, cache: Latest, key: Hashable, value: Any) -> None:
        """Note what is taken."""
        if (cache, key) not in self._taken:
            self._taken[cache, key] = stamps(value) if self._stamping else {}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Check that the run's code leaves what it takes as it is, before or within the block.

        Raises:
            ExperimentError: If a data set or a model was changed in place. The caches are emptied then, also where the
                code fails for another reason.
        """
        self._stamping = True
        for cache, key in self._taken:
            self._taken[cache, key] = stamps(cache.values().get(key))
        try:
            yield
        except BaseException:
            if self._changed():
                clear()
            raise
        if self._changed():
            clear()
            raise ExperimentError(
                "its code changed the data or the model in place, which other jobs of this process share; "
                "work on a copy"
            )

    def _changed(self) -> bool:
        return any(changed(cache.values().get(key), before) for (cache, key), before in self._taken.items())


@contextmanager
def using() -> Iterator[Used]:
    """Collect what is taken from the caches of data sets and models while the block runs."""
    used = Used()
    _used.append(used)
    try:
        yield used
    finally:
        _used[:] = [one for one in _used if one is not used]


def array_bytes(value: Any, depth: int = 3) -> int:
    """Return the bytes of the arrays, tensors and weights in an object; deeper nesting is not counted.

    Example:
        >>> array_bytes({"x": np.zeros(3), "y": [Tensor([1.0])], "z": nn.Linear(2, 1)})
        40
    """
    if type(value) in _WITHOUT_ARRAYS:
        return 0
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, nn.Module):
        return sum(array_bytes(weight) for weight in value.state_dict().values())
    if not depth or isinstance(value, type):
        return 0
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif hasattr(value, "__dict__"):
        parts = vars(value).values()
    return sum(array_bytes(part, depth - 1) for part in parts)


def clear() -> None:
    """Empty all caches of this process, features included."""
    data_sets.clear()
    models.clear()
    checkpoints.clear()
    FeatureCache.shared().clear()
