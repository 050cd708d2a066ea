"""What the jobs of one process share: data sets and trained models that were loaded before, the latest few of each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from paribus.config.foreign import Foreign
from paribus.config.opened import Opened, again, recording
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


def clear() -> None:
    """Forget everything that jobs of this process share, features included."""
    from paribus.engine.cache import FeatureCache

    data_sets.clear()
    models.clear()
    FeatureCache.shared().clear()
