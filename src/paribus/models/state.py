"""The weights of a network by name: a copy, and a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def cpu_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of the weights of ``module`` on the CPU, each contiguous.

    Example:
        >>> list(cpu_state(torch.nn.Linear(2, 1)))
        ['weight', 'bias']
    """
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in module.state_dict().items()}


def state_digest(state: Mapping[str, Any]) -> str:
    """Return a hash of the names, number formats, shapes and values of a state dict's tensors.

    Example:
        >>> one, other = torch.zeros(3), torch.zeros(3, 1)
        >>> state_digest({"weight": one}) == state_digest({"weight": other})
        False
    """
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        if isinstance(value, torch.Tensor):
            plain = value.detach().cpu().contiguous()
            digest.update(f"{name}/{plain.dtype}/{tuple(plain.shape)}/".encode())
            digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
