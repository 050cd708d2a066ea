"""A cache of what was computed up to a site, bounded in bytes."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from paribus.engine.lazy_rows import LazyRows

DEFAULT_LIMIT = 1 << 30


def tensor_bytes(tensors: Sequence[Tensor]) -> int:
    """Return the bytes of the values of ``tensors``.

    Example:
        >>> tensor_bytes([torch.zeros(10), torch.zeros(2, dtype=torch.float64)])
        56
    """
    return sum(tensor.nbytes for tensor in tensors)


class FeatureCache:
    """Tuples of tensors by key; the least recently used are evicted when the bound is reached. Thread-safe.

    Example:
        >>> import torch
        >>> cache = FeatureCache(limit_bytes=100)
        >>> cache.put("a", (torch.zeros(10),)), cache.put("b", (torch.zeros(20),))
        (True, True)
        >>> cache.get("a") is None, cache.get("b")[0].shape
        (True, torch.Size([20]))
    """

    _shared: FeatureCache | None = None
    _shared_lock = threading.Lock()

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT) -> None:
        """Hold at most ``limit_bytes`` of tensor data."""
        self.limit_bytes = int(limit_bytes)
        self.held_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Tensor, ...]] = OrderedDict()
        self._lock = threading.RLock()

    @classmethod
    def shared(cls) -> FeatureCache:
        """Return the one cache that all jobs of this process share."""
        with cls._shared_lock:
            if cls._shared is None:
                cls._shared = cls()
            return cls._shared

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def get(self, key: Hashable) -> tuple[Tensor, ...] | None:
        """Return what is kept under ``key``, or None."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: Hashable, tensors: tuple[Tensor, ...]) -> bool:
        """Keep ``tensors``; return False (and keep nothing) if they alone exceed the bound."""
        size = tensor_bytes(tensors)
        with self._lock:
            self.drop(key)
            if size > self.limit_bytes:
                return False
            while self._entries and self.held_bytes + size > self.limit_bytes:
                self.drop(next(iter(self._entries)))
            self._entries[key] = tensors
            self.held_bytes += size
            return True

    def drop(self, key: Hashable) -> None:
        """Forget ``key``, if it is there."""
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self.held_bytes -= tensor_bytes(old)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.held_bytes = 0


class InputDigests:
    """Digests of input tensors; a tensor is hashed again only after it was changed.

    Example:
        >>> x = torch.arange(3)
        >>> digests = InputDigests()
        >>> digests.of((x,)) == digests.of((x.clone(),))
        True
    """

    def __init__(self) -> None:
        """Start empty."""
        self._known: dict[int, tuple[weakref.ref[Tensor], int, str]] = {}

    def of(self, inputs: Sequence[Tensor]) -> str:
        """Return a hex digest of shape, number format and values (SHA-256)."""
        return hashlib.sha256("/".join(self._one(tensor) for tensor in inputs).encode()).hexdigest()

    def _one(self, tensor: Tensor | LazyRows) -> str:
        if isinstance(tensor, LazyRows):
            return tensor.digest
        known = self._known.get(id(tensor))
        if known is not None and known[0]() is tensor and known[1] == tensor._version:
            return known[2]
        plain = tensor.detach().contiguous().cpu()
        digest = hashlib.sha256(f"{plain.dtype}{tuple(plain.shape)}".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
        self._known = {name: kept for name, kept in self._known.items() if kept[0]() is not None}
        self._known[id(tensor)] = (weakref.ref(tensor), tensor._version, digest.hexdigest())
        return digest.hexdigest()
