"""Running only the last positions of a causal model: edits do not change earlier ones, which are cached.

A causal language model keeps the keys and values of the positions it has seen. An edit at position ``p`` changes
nothing before ``p``, so the pass starts at ``p`` with the cached keys and values: one row for every edit, and only the
positions from ``p`` on. Causality is not taken for granted: the parity check compares every call with the plain model.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from paribus.engine.given import Given
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.parts import Together, Within

MASK = "attention_mask"
KEYS = ("cache", "past_key_values")
"""Names of the key-value cache among the arguments of models, by library and version."""


@dataclass(frozen=True)
class Tail:
    """From which position on a pass is run.

    Attributes:
        start: The first position that any edit changes (at least 1).
        length: Positions of the whole sequence.
    """

    start: int
    length: int

    @property
    def n_run(self) -> int:
        """How many positions are run."""
        return self.length - self.start

    def before(self, inputs: Given) -> Given:
        """Return the inputs of the positions that stay as they are."""
        return Given(tuple(one[:, : self.start] if self._is_long(one) else one for one in inputs.tensors), inputs.names)

    def after(self, inputs: Given) -> Given:
        """Return the inputs of the positions that are run; a mask stays whole, as it is about the kept ones too."""
        cut = (
            one[:, self.start :] if self._is_long(one) and name != MASK else one
            for name, one in zip(inputs.names, inputs.tensors, strict=True)
        )
        return Given(tuple(cut), inputs.names)

    def shifted(self, one: Intervention | None) -> Intervention | None:
        """Return an edit (bound to its rows) with its positions counted from ``start``."""
        if isinstance(one, Together):
            return Together(tuple(self.shifted(each) for each in one.edits))
        if not isinstance(one, Within) or one.positions is None:
            return one
        return replace(one, positions=one.positions.remainder(self.length) - self.start)

    def _is_long(self, tensor: Tensor) -> bool:
        return tensor.ndim >= 2 and tensor.shape[1] == self.length


def keys_argument(model: nn.Module) -> str | None:
    """Return the name of a model's argument for the key-value cache of earlier positions; None: it takes none."""
    parameters = inspect.signature(model.forward).parameters
    further = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    if "use_cache" not in parameters and not further:
        return None
    return next((name for name in KEYS if name in parameters), None)


@contextlib.contextmanager
def without_keys(model: nn.Module) -> Iterator[None]:
    """Switch off a key-value cache that is not used (``config.use_cache``); the setting is restored afterwards."""
    config = getattr(model, "config", None)
    if getattr(config, "use_cache", None) is not True:
        yield
        return
    config.use_cache = False  # type: ignore[union-attr]
    try:
        yield
    finally:
        config.use_cache = True  # type: ignore[union-attr]


def tail_of(interventions: Sequence[Intervention], inputs: Given) -> Tail | None:
    """Return the tail from the first position that any edit of a call changes; None where one edits position 0."""
    length = next((one.shape[1] for one in inputs.tensors if one.ndim >= 2), 0)
    starts = [_start(edit, length) for one in interventions for edit in _sites(one)]
    start = min((one for one in starts if one is not None), default=0)
    return Tail(start, length) if 0 < start < length else None


def kept_keys(model: nn.Module, inputs: Given) -> Any:
    """Return the keys and values that a model keeps of ``inputs``, or None where it keeps none."""
    found = inputs.call(model, use_cache=True)
    if not isinstance(found, Mapping):
        return None
    return next((found[name] for name in KEYS if found.get(name) is not None), None)


def cut_to(keys: Any, length: int) -> Any:
    """Return kept keys and values of the first ``length`` positions alone, or None where they cannot be cut.

    They are cut in place.
    """
    if not hasattr(keys, "crop") or not hasattr(keys, "get_seq_length"):
        return None
    try:
        if (further := keys.get_seq_length() - length) > 0:
            keys.crop(-further)  # how many are taken off: transformers refuses the length that is left
        return keys if keys.get_seq_length() == length else None
    except Exception:  # caches of other kinds (of a sliding window) fail in their own ways
        return None


def repeated(keys: Any, rows: int, times: int) -> Any:
    """Return a copy of kept keys and values with all ``rows`` rows ``times`` times, one copy after the other."""
    own = copy.deepcopy(keys)
    own.batch_select_indices(torch.arange(rows).repeat(times))
    return own


def call(model: nn.Module, inputs: Given, keys: Any) -> Any:
    """Return what a model returns for positions that follow those of ``keys``."""
    name = keys_argument(model)
    assert name is not None
    return inputs.call(model, **{name: keys}, use_cache=True)


def _sites(one: Intervention) -> tuple[Intervention, ...]:
    if isinstance(one, Together):
        return tuple(edit for edit in one.edits if edit is not None)
    return (one,)


def _start(one: Intervention, length: int) -> int | None:
    """Return the first position that an edit changes; None for one that changes nothing."""
    if isinstance(one, Identity):
        return None
    if not isinstance(one, Within) or one.positions is None:
        return 0
    return int(one.positions.remainder(length).min()) if one.positions.numel() else None
