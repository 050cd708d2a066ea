"""Whether a network is deterministic: equal inputs must give equal outputs, whatever else is in the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Ints
from paribus.engine.batches import is_out_of_memory
from paribus.engine.plan import agrees, tolerance
from paribus.errors import ConfigError, ParibusError
from paribus.measure.passes import Passes
from paribus.measure.subject import ArraySubject, Subject

LOOKED_AT = 3
"""Contexts that are run again, in another order and without one of them."""


def refuse_unsteady(passes: Passes) -> None:
    """Refuse a network whose output for an example changes from pass to pass, or with the other examples of the batch.

    Every effect is a difference between two passes. Dropout or noise in a forward pass, a state that each call changes,
    statistics of the batch: all of these cause differences without any edit.

    Raises:
        ConfigError: If the network is one of these, writes over its weights or buffers, cannot be run, gives NaN, or
            its output is no tensor with one row per example.

    Example:
        >>> from paribus.measure.contexts import Contexts
        >>> from paribus.measure.subject import ArraySubject
        >>> class Noisy(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x + torch.randn_like(x)
        >>> try:
        ...     refuse_unsteady(Passes(Noisy(), ArraySubject(Contexts(inputs=torch.zeros(4, 2)))))
        ... except ConfigError as error:
        ...     print(str(error).split(" (")[0])
        model: Noisy gives other outputs for the same inputs each time it is run
    """
    subject, owner = passes.subject, type(passes.network).__name__
    rows = np.unique(np.linspace(0, len(subject) - 1, LOOKED_AT).astype(np.int64))
    rows = np.union1d(rows, odd_rows(subject)[:1])
    cells = subject.enforce(subject.cells(rows))
    cells = cells[cells.ok]
    n = len(cells.ok)
    if not n:
        return
    some = np.array([n - 1, 0])[: min(n, 2)]
    try:
        together = _outputs(passes, cells)
    except ParibusError:
        raise
    except Exception as error:  # of a network that is not ours, on data that are not: any
        if is_out_of_memory(error):
            raise
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"model: {owner} cannot be run on these {subject.name}: {type(error).__name__}: {said}"
        ) from error
    _keep_made(passes.network)
    if len(together) != n:
        raise ConfigError(
            f"model: {owner} returns shape {tuple(together.shape)} for {n} examples; the first axis must hold the "
            "examples"
        )
    odd = len(odd_rows(subject))
    if together.ndim < 3 and (~together.isfinite() if odd else together.isnan()).any():
        raise ConfigError(
            f"model: {owner} gives NaN or infinite outputs for some examples"
            + (
                f"; {odd} of {len(subject)} have inputs that are NaN or infinite, leave them out or fill them"
                if odd
                else ""
            )
        )
    allowed = tolerance(passes.format, passes.device)
    before = _written(passes)
    if agrees(_outputs(passes, cells[some]), together[torch.from_numpy(some)], allowed):
        if changed := sorted(name for name, version in _written(passes).items() if before.get(name) != version):
            raise ConfigError(
                f"model: {owner} writes over {', '.join(changed)} each time it is run; a network must stay as it is "
                "in evaluation mode"
            )
        return
    if not agrees(_outputs(passes, cells), together, allowed):
        raise ConfigError(
            f"model: {owner} gives other outputs for the same inputs each time it is run (dropout or noise that "
            "evaluation mode leaves on, a state that changes with every call, or inputs that it writes over); no "
            "effect can be measured"
        )
    raise ConfigError(
        f"model: what {owner} gives for an example depends on the other examples of the batch (batch statistics, such "
        "as "
        "batch norm without running ones, or a softmax over examples); effects would depend on how contexts are batched"
    )


def _keep_made(network: nn.Module) -> None:
    """Keep the buffers that a first pass made as ordinary tensors: those of inference mode take no other weights."""
    for module in network.modules():
        for name, made in module.named_buffers(recurse=False):
            if made.is_inference():
                setattr(module, name, made.clone())


def _written(passes: Passes) -> dict[str, tuple[int, int]]:
    """Return where each parameter and buffer lies, and how often it was written to."""
    return {
        name: (tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)
        for named in (passes.network.named_parameters(), passes.network.named_buffers())
        for name, tensor in named
    }


def odd_rows(subject: Subject) -> Ints:
    """Return the contexts with inputs that are NaN or infinite, where inputs are arrays at hand."""
    if not isinstance(subject, ArraySubject):
        return np.empty(0, np.int64)
    parts = [one.flatten(1) for one in subject.contexts.given.tensors if isinstance(one, Tensor)]
    odd = [~one.isfinite().all(1) for one in parts if one.is_floating_point()]
    return np.flatnonzero(torch.stack(odd).any(0).numpy()) if odd else np.empty(0, np.int64)


def _outputs(passes: Passes, cells: Any) -> Tensor:
    return passes.collected(cells, "").float()
