"""What the jobs of one process share: data sets and trained models that were loaded before, the latest few of each."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from paribus.config.foreign import Foreign
from paribus.config.opened import Opened, again, recording
from paribus.engine.cache import FeatureCache
from paribus.errors import ExperimentError
from paribus.running.contents import fingerprint


class Latest:
    """The most recently used values by key, at most ``size`` of them."""

    def __init__(self, size: int) -> None:
        """Start empty."""
        self._size = size
        self._kept: OrderedDict[Hashable, tuple[Any, Opened]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what is kept under ``key``, made where it is not; the files it was made from count as read anyhow."""
        if key in self._kept:
            self._kept.move_to_end(key)
            value, opened = self._kept[key]
            again(opened)
            return value
        with recording() as opened:
            value = make()
        self._kept[key] = (value, opened)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return value

    def values(self) -> dict[Hashable, Any]:
        """Return what is kept, by key."""
        return {key: value for key, (value, _) in self._kept.items()}

    def __contains__(self, key: Hashable) -> bool:
        """Return whether ``key`` is kept."""
        return key in self._kept

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


data_sets = Latest(6)
models = Latest(4)


def load_data(node: Any) -> Any:
    """Return the data set that a spec or a foreign callable of the ``data`` group stands for, loaded once.

    It is known by what decides it: a file that was replaced, or a function that was changed, makes another one.
    """
    return data_sets.get(fingerprint(node), node.call if isinstance(node, Foreign) else node.load)


@contextmanager
def untouched() -> Iterator[None]:
    """Check that what jobs share is as it was before.

    Raises:
        ExperimentError: If a data set or a model was changed in place; all of them are forgotten then.
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
    """Forget everything that jobs of this process share, features included."""
    data_sets.clear()
    models.clear()
    FeatureCache.shared().clear()
