"""Caches shared by the jobs of one process: the latest few loaded data sets, networks and weights."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from paribus.config.foreign import Foreign
from paribus.config.opened import Opened, again, recording
from paribus.engine.cache import FeatureCache
from paribus.errors import ExperimentError
from paribus.running.contents import fingerprint

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

    @property
    def held(self) -> int:
        """Bytes of the arrays and weights of all cached values."""
        return sum(self._sizes().values())

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
        return value

    def _sizes(self, known: Mapping[Hashable, int] = MappingProxyType({})) -> dict[Hashable, int]:
        """Return the bytes of each cached value, including what it has loaded since it was made.

        Args:
            known: Sizes that were just counted.
        """
        return {key: known[key] if key in known else array_bytes(value) for key, (value, _) in self._kept.items()}

    def values(self) -> dict[Hashable, Any]:
        """Return what is kept, by key."""
        return {key: value for key, (value, _) in self._kept.items()}

    def __contains__(self, key: Hashable) -> bool:
        """Return whether ``key`` is kept."""
        return key in self._kept

    def clear(self) -> None:
        """Empty the cache."""
        self._kept.clear()


data_sets = Latest(6)
models = Latest(4)
checkpoints = Latest(64)
"""Checkpoints as read from files; callers get copies."""


def load_data(node: Any) -> Any:
    """Return the data set of a spec or a foreign callable of the ``data`` group, loaded once.

    The key covers files and code: a replaced file or a changed function gives another data set.
    """
    return data_sets.get(fingerprint(node), node.call if isinstance(node, Foreign) else node.load)


@contextmanager
def untouched() -> Iterator[None]:
    """Check that shared objects are unchanged.

    Raises:
        ExperimentError: If a data set or a model was changed in place; the caches are emptied then.
    """
    before = _stamps()
    yield
    after = _stamps()
    if any(
        after[key].get(name, held) != held for key in before.keys() & after.keys() for name, held in before[key].items()
    ):
        clear()
        raise ExperimentError(
            "its code changed the data or the model in place, which other jobs of this process share; work on a copy"
        )


def _stamps() -> dict[Hashable, dict[str, str]]:
    """Return hashes of the arrays and weights that each shared object holds; more may be added, none may change."""
    return {
        key: {
            name: hashlib.sha256(f"{part.shape}".encode() + part.tobytes()).hexdigest() for name, part in _arrays(value)
        }
        for kept in (data_sets, models)
        for key, value in kept.values().items()
    }


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


def _arrays(value: Any, name: str = "", depth: int = 3) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufc":
            yield name, value
    elif isinstance(value, Tensor):
        plain = value.detach().cpu()
        yield name, (plain.double() if plain.is_floating_point() else plain).numpy()  # whatever format it is put into
    elif isinstance(value, nn.Module):
        for key, weight in sorted(value.state_dict().items()):
            yield from _arrays(weight, f"{name}.{key}", depth)
    elif depth and isinstance(value, dict):
        for key, item in value.items():
            yield from _arrays(item, f"{name}.{key}", depth - 1)
    elif depth and (dataclasses.is_dataclass(value) or hasattr(value, "__dict__")) and not isinstance(value, type):
        for key, item in sorted(vars(value).items()):
            yield from _arrays(item, f"{name}.{key}", depth - 1)


def clear() -> None:
    """Empty all caches of this process, features included."""
    data_sets.clear()
    models.clear()
    checkpoints.clear()
    FeatureCache.shared().clear()
