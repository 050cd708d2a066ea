"""All randomness of a run: generators derived from its seed by name, never the global state."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, name: str) -> int:
    """Return a 63-bit seed for the stream ``name`` of a run seeded with ``seed`` (SHA-256 of both).

    Example:
        >>> derive(3, "data") == derive(3, "data"), derive(3, "data") == derive(3, "model")
        (True, False)
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def rng(seed: int, name: str) -> np.random.Generator:
    """Return the numpy generator of the stream ``name``.

    Example:
        >>> rng(3, "data").random() == rng(3, "data").random()
        True
    """
    return np.random.default_rng(derive(seed, name))


def torch_rng(seed: int, name: str) -> torch.Generator:
    """Return the torch generator of the stream ``name``, on the CPU.

    Example:
        >>> import torch
        >>> torch.rand(2, generator=torch_rng(3, "noise")).shape
        torch.Size([2])
    """
    import torch  # slow, and a configuration that draws nothing with it is checked without

    return torch.Generator().manual_seed(derive(seed, name))
