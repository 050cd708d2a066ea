"""A network that has only its present weights, as an index of checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from paribus.errors import CheckpointError
from paribus.experiments.checkpoints import Checkpoints
from paribus.models.state import state_digest


def present(network: nn.Module, *, key: str) -> Checkpoints:
    """Return the index of a network that has only its present weights.

    Buffers are copied, as a network may write to its own; parameters are not, as they can be large.

    Args:
        network: The network.
        key: What tells it from others with the same weights.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> (one,) = present(net, key="").select("final")
        >>> one.load()["weight"].data_ptr() == net.weight.data_ptr()
        True
    """
    state = dict(network.state_dict())
    own = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    state |= {name: value.detach().clone() for name, value in state.items() if name not in own}
    written = {name: value._version for name, value in state.items() if name in own}

    def load(_: int) -> Mapping[str, Any]:
        changed = [name for name, version in written.items() if state[name]._version != version]
        if changed:
            raise CheckpointError(f"the weights of the network were changed while it was examined ({changed[0]})")
        return state

    return Checkpoints(loader=load, epochs=(0,), key=f"{state_digest(state)}/{key}")
