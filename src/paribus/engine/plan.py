"""Choosing how interventions at a site are evaluated: the cheapest way that is exact."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from paribus.engine.affine import is_affine
from paribus.engine.batches import full_precision
from paribus.engine.hooks import Visitor, check_visited_once, visiting
from paribus.engine.readout import ClosedForm, closed_form
from paribus.engine.sites import Site
from paribus.engine.split import Split, last_module_split, run_suffix, split_at
from paribus.errors import ConfigError

log = logging.getLogger(__name__)

Strategy = Literal["closed_form", "suffix", "hooks"]
Inputs = tuple[Tensor, ...]
Readout = Callable[[Any], Tensor]


@dataclass(frozen=True)
class Boundary:
    """A value besides the site's that the suffix needs.

    Attributes:
        kind: ``rows``: a tensor with one row per example, cached; ``batch``: the number of rows; ``constant``: the same
            for all inputs.
        value: The constant.
    """

    kind: Literal["rows", "batch", "constant"]
    value: Any = None


@dataclass(frozen=True)
class Plan:
    """How to evaluate interventions for inputs of one shape.

    Attributes:
        strategy: The way chosen.
        split: The two parts of the network, where it can be split.
        closed: The matrix of the part after the site, where that is affine.
        boundary: What else the suffix needs.
        axis: The axis of the channels in the raw site value.
        feature_shape: ``(d, *positions)``.
        output_shape: The axes of the output after the first.
        row_bytes: Bytes of cached values per example.
    """

    strategy: Strategy
    split: Split | None
    closed: ClosedForm | None
    boundary: tuple[Boundary, ...]
    axis: int
    feature_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    row_bytes: int

    def channels_second(self, value: Tensor) -> Tensor:
        """Return a raw site value as ``[n, d, *positions]``."""
        return value if self.axis == 1 else value.movedim(self.axis, 1)

    def raw(self, h: Tensor) -> Tensor:
        """Return ``[n, d, *positions]`` in the site's own layout."""
        return h if self.axis == 1 else h.movedim(1, self.axis)

    def before(self, inputs: Inputs) -> tuple[Tensor, ...]:
        """Return the site's raw value and the boundary values that go by rows."""
        assert self.split is not None
        value, *rest = self.split.prefix(*inputs)
        return (value, *(one for one, kind in zip(rest, self.boundary, strict=True) if kind.kind == "rows"))

    def after(self, value: Tensor, by_rows: tuple[Tensor, ...]) -> Any:
        """Return the model's output for a raw site value."""
        assert self.split is not None
        rows = iter(by_rows)
        needed = [
            next(rows) if one.kind == "rows" else len(value) if one.kind == "batch" else one.value
            for one in self.boundary
        ]
        return run_suffix(self.split, value, tuple(needed))


def tolerance(dtype: torch.dtype, device: torch.device) -> float:
    """Return how far two exact ways may differ, relative to the largest output (at least 1).

    Convolutions on CUDA use TensorFloat-32 by default, whose rounding depends on the batch.
    """
    if dtype == torch.float64:
        return 1e-9
    if dtype == torch.float32:
        return 1e-4 if device.type == "cpu" else 5e-3
    return 5e-2


def difference(a: Tensor, b: Tensor) -> float:
    """Return the largest absolute difference; two NaN count as equal, NaN against a number as infinite."""
    if a.shape != b.shape:
        return float("inf")
    if not a.numel():
        return 0.0
    gap = (a.double() - b.double()).abs()
    both_odd = (a.isnan() & b.isnan()) | (a == b)
    return float(gap.masked_fill(both_odd, 0.0).nan_to_num(nan=float("inf")).max())


def agrees(a: Tensor, b: Tensor, allowed: float) -> bool:
    """Return whether two outputs differ by at most ``allowed`` relative to the largest (at least 1)."""
    finite = b[b.isfinite()]
    scale = max(1.0, float(finite.abs().max())) if finite.numel() else 1.0
    return difference(a, b) <= allowed * scale


class Planner:
    """Makes plans for one model and site; to be called in evaluation mode without gradients."""

    def __init__(self, model: nn.Module, site: Site, readout: Readout, wanted: Strategy | None, allowed: float) -> None:
        """Prepare.

        Args:
            model: The network.
            site: Where to intervene.
            readout: The tensor ``[n, ...]`` in what the model returns.
            wanted: Use this way only; None for the cheapest exact one.
            allowed: Relative difference from the plain model that still counts as rounding.
        """
        self.model, self.site, self.readout, self.wanted, self.allowed = model, site, readout, wanted, allowed
        self.module = site.validate(model)

    def plan(self, inputs: Inputs) -> Plan:
        """Choose for inputs shaped like ``inputs`` (1 row or more).

        Raises:
            ConfigError: If the site is not passed exactly once, has no feature axis, does not go by rows, or the
                wanted way is not possible.
        """
        two, three = (tuple(one[torch.arange(size) % len(one)] for one in inputs) for size in (2, 3))
        output, visitor, is_last = self._reference(three)
        value = visitor.value
        assert value is not None
        axis = self.site.channel_axis(self.module, value.ndim)
        if len(value) != 3:
            raise ConfigError(
                f"site {self.site}: its value has shape {tuple(value.shape)} for 3 examples; axis 0 must be theirs"
            )
        shape = tuple(value.movedim(axis, 1).shape[1:])
        row_bytes = value[0].numel() * value.element_size()
        base = Plan("hooks", None, None, (), axis, shape, tuple(output.shape[1:]), row_bytes)
        if self.wanted == "hooks":
            return base
        best = None
        for split in self._splits(len(inputs), is_last):
            best = self._tried(base, split, two, three)
            if best is not None:
                break
        if self.wanted is not None and (best is None or best.strategy != self.wanted):
            if best is None or self.wanted == "closed_form":
                raise ConfigError(f"site {self.site}: {type(self.model).__name__} cannot be evaluated by {self.wanted}")
            best = replace(best, strategy="suffix", closed=None)
        return best or base

    def _reference(self, inputs: Inputs) -> tuple[Tensor, Visitor, bool]:
        """Run the plain model and look at the site; say whether the model returns its module's output."""
        outputs: list[Any] = []
        handle = self.module.register_forward_hook(lambda module, args, output: outputs.append(output))
        try:
            with visiting(self.model, self.site) as visitor:
                raw = self.model(*inputs)
        finally:
            handle.remove()
        check_visited_once(self.site, visitor.calls)
        return self._read(raw, len(inputs[0])), visitor, bool(outputs) and outputs[-1] is raw

    def _read(self, raw: Any, n_rows: int) -> Tensor:
        output = self.readout(raw)
        if not isinstance(output, Tensor):
            raise ConfigError(
                f"{type(self.model).__name__} returns a {type(output).__name__}; name its tensor with the readout"
            )
        if not output.ndim or len(output) != n_rows:
            raise ConfigError(
                f"{type(self.model).__name__} returns shape {tuple(output.shape)} for {n_rows} examples; "
                "the first axis must be theirs"
            )
        return output

    def _splits(self, n_inputs: int, is_last: bool) -> list[Split]:
        found = [split_at(self.model, self.site, n_inputs, coarse=coarse) for coarse in (False, True)]
        if is_last:
            found.append(last_module_split(self.model, self.site))
        return [split for split in found if split is not None]

    def _tried(self, base: Plan, split: Split, two: Inputs, three: Inputs) -> Plan | None:
        """Return the plan of ``split`` if it does what the plain model does, as it is and under an edit."""
        try:
            first, second = split.prefix(*two), split.prefix(*three)
            kinds = tuple(map(_boundary, first[1:], second[1:]))
            if any(kind is None for kind in kinds):
                return None
            boundary = tuple(kind for kind in kinds if kind is not None)
            value = second[0]
            row_bytes = sum(
                one[0].numel() * one.element_size()
                for one, kind in zip(second[1:], boundary, strict=True)
                if kind.kind == "rows"
            )
            plan = replace(
                base, strategy="suffix", split=split, boundary=boundary, row_bytes=base.row_bytes + row_bytes
            )
            by_rows = plan.before(three)[1:]
            for edit in (torch.clone, _stirred):
                with visiting(self.model, self.site, edit):
                    expected = self._read(self.model(*three), 3)
                got = self._read(plan.after(edit(value), by_rows), 3)
                if not agrees(got.float(), expected.float(), self.allowed):
                    return None
        except Exception as error:  # a wrong trace can fail in any way; the plain forward remains
            log.debug("site %s: split refused: %s", self.site, error)
            return None
        closed = self._closed(plan, value)
        return plan if closed is None else replace(plan, strategy="closed_form", closed=closed)

    def _closed(self, plan: Plan, value: Tensor) -> ClosedForm | None:
        assert plan.split is not None
        if self.wanted == "suffix" or not is_affine(plan.split.suffix):
            return None

        def suffix(h: Tensor) -> Tensor:
            return self._read(plan.after(plan.raw(h), ()), len(h))

        h = plan.channels_second(value).to(next(self.model.parameters(), value).dtype)
        try:
            with full_precision(h.device):
                closed = closed_form(suffix, h, plan.output_shape)
                for one in (h, _stirred(h)):
                    if not agrees(closed.direct(one).reshape(suffix(one).shape), suffix(one), self.allowed):
                        return None
        except Exception as error:
            log.debug("site %s: closed form refused: %s", self.site, error)
            return None
        return closed


def _stirred(value: Tensor) -> Tensor:
    """Return a value quite unlike ``value``, of the same scale, rows and features mixed."""
    return 0.6 * value.roll(1, 0) - 0.8 * value.roll(1, -1) + value.abs().mean()


def _boundary(two: Any, three: Any) -> Boundary | None:
    """Tell from its values for 2 and for 3 examples how a boundary value depends on the examples."""
    if isinstance(two, Tensor) and isinstance(three, Tensor):
        if two.shape == three.shape and torch.equal(two, three):
            return Boundary("constant", three)
        by_rows = two.ndim > 0 and (len(two), len(three)) == (2, 3) and two.shape[1:] == three.shape[1:]
        return Boundary("rows") if by_rows else None
    if isinstance(two, Tensor) or isinstance(three, Tensor):
        return None
    if two == 2 and three == 3 and type(two) is int:
        return Boundary("batch")
    return Boundary("constant", three) if type(two) is type(three) and two == three else None
