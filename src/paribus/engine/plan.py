"""Choosing how interventions at a site are evaluated: the cheapest way that is exact."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from paribus.engine.affine import is_affine
from paribus.engine.batches import full_precision
from paribus.engine.closed_form import ClosedForm, closed_form
from paribus.engine.course import Course, Score
from paribus.engine.given import Given
from paribus.engine.hooks import Edit, check_visited, visiting
from paribus.engine.layers import Layers, Trail, TrailWatch, trail
from paribus.engine.sites import Site
from paribus.engine.split import Split, last_module_split, run_suffix, split_at
from paribus.engine.tail import Tail, keys_argument
from paribus.errors import ConfigError

log = logging.getLogger(__name__)

Strategy = Literal["closed_form", "suffix", "tail", "resume", "hooks"]


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
class Layout:
    """How a site's value is laid out.

    Attributes:
        axis: The axis of the channels.
        shape: ``(d, *positions)``.
    """

    axis: int
    shape: tuple[int, ...]

    def channels_second(self, value: Tensor) -> Tensor:
        """Return a raw value as ``[n, d, *positions]``."""
        return value if self.axis == 1 else value.movedim(self.axis, 1)

    def raw(self, h: Tensor) -> Tensor:
        """Return ``[n, d, *positions]`` in the site's own layout."""
        return h if self.axis == 1 else h.movedim(1, self.axis)


@dataclass(frozen=True)
class Resume:
    """Where a pass is resumed.

    Attributes:
        layers: The layers of the network.
        upto: How many of them are done before each site that is edited.
        keeps_keys: Whether the network also takes the keys and values of earlier positions.
    """

    layers: Layers
    upto: tuple[int, ...]
    keeps_keys: bool


@dataclass(frozen=True)
class Plan:
    """How to evaluate interventions for inputs of one shape.

    Attributes:
        strategy: The way chosen.
        split: The two parts of the network, where it can be split.
        closed: The matrix of the part after the site, where that is affine.
        boundary: What else the suffix needs.
        layouts: Of each site that is edited: the axis of the channels in its raw value, and ``(d, *positions)``.
        output_shape: The axes of the output after the first.
        kept_shape: The same of what is kept of it.
        row_bytes: Bytes of cached values per example.
        resume: Where a pass is resumed, for a network of consecutive layers that cannot be split.
        tail: From which position on it is run; None for all.
    """

    strategy: Strategy
    split: Split | None
    closed: ClosedForm | None
    boundary: tuple[Boundary, ...]
    layouts: tuple[Layout, ...]
    output_shape: tuple[int, ...]
    kept_shape: tuple[int, ...]
    row_bytes: int
    resume: Resume | None = None
    tail: Tail | None = None

    def channels_second(self, value: Tensor) -> Tensor:
        """Return a raw value of the first site as ``[n, d, *positions]``."""
        return self.layouts[0].channels_second(value)

    def before(self, inputs: Given) -> tuple[Tensor, ...]:
        """Return the site's raw value and the boundary values that go by rows."""
        assert self.split is not None
        value, *rest = self.split.prefix(*inputs.tensors)
        return (value, *(one for one, kind in zip(rest, self.boundary, strict=True) if kind.kind == "rows"))

    def after(self, value: Tensor, by_rows: tuple[Tensor, ...], edits: Mapping[int, Edit] | None = None) -> Any:
        """Return what the pass gives in the end for a raw value of the first site.

        Args:
            value: The value.
            by_rows: The boundary values that go by rows.
            edits: What is done at further sites, by their place in the course (from 1).
        """
        assert self.split is not None
        rows = iter(by_rows)
        needed = [
            next(rows) if one.kind == "rows" else len(value) if one.kind == "batch" else one.value
            for one in self.boundary
        ]
        with contextlib.ExitStack() as stack:
            for index, edit in (edits or {}).items():
                stack.enter_context(visiting(self.split.suffix, self.split.also[index - 1], edit))
            return run_suffix(self.split, value, tuple(needed))


def tolerance(dtype: torch.dtype, device: torch.device) -> float:
    """Return how far two exact ways may differ, relative to the largest output (at least 1).

    Kernels on CUDA add up in an order that depends on the batch.

    Example:
        >>> tolerance(torch.float64, torch.device("cpu")) < tolerance(torch.float32, torch.device("cpu"))
        True
    """
    if dtype == torch.float64:
        return 1e-9
    if dtype == torch.float32:
        return 1e-4 if device.type == "cpu" else 1e-3
    return 5e-2


def difference(a: Tensor, b: Tensor) -> float:
    """Return the largest absolute difference; two NaN count as equal, NaN against a number as infinite.

    Example:
        >>> nan = float("nan")
        >>> difference(torch.tensor([1.0, nan]), torch.tensor([1.5, nan]))
        0.5
        >>> difference(torch.tensor([nan]), torch.zeros(1))
        inf
    """
    if a.shape != b.shape:
        return float("inf")
    if not a.numel():
        return 0.0
    gap = (a.double() - b.double()).abs()
    both_odd = (a.isnan() & b.isnan()) | (a == b)
    return float(gap.masked_fill(both_odd, 0.0).nan_to_num(nan=float("inf")).max())


def agrees(a: Tensor, b: Tensor, allowed: float) -> bool:
    """Return whether two outputs differ by at most ``allowed`` relative to the largest (at least 1).

    Example:
        >>> agrees(torch.tensor([100.0]), torch.tensor([100.1]), 1e-2)
        True
        >>> agrees(torch.tensor([0.0]), torch.tensor([0.1]), 1e-2)
        False
    """
    finite = b[b.isfinite()]
    scale = max(1.0, float(finite.abs().max())) if finite.numel() else 1.0
    return difference(a, b) <= allowed * scale


class Planner:
    """Makes plans for one model and course; to be called in evaluation mode without gradients."""

    def __init__(
        self, model: nn.Module, course: Course, score: Score | None, wanted: Strategy | None, allowed: float
    ) -> None:
        """Prepare.

        Args:
            model: The network.
            course: Where to intervene, and where to read.
            score: What is kept of the outputs; None for all of them.
            wanted: Use this way only; None for the cheapest exact one.
            allowed: Relative difference from the plain model that still counts as rounding.
        """
        self.model, self.course, self.score, self.wanted, self.allowed = model, course, score, wanted, allowed
        self.site = course.site
        self.owner = type(model).__name__
        self.modules = course.modules(model)

    def plan(self, inputs: Given) -> Plan:
        """Choose for inputs shaped like ``inputs`` (1 row or more).

        Raises:
            ConfigError: If a site is not passed as it says, has no feature axis, does not go by rows, is reached before
                the first one, or the wanted way is not possible.
        """
        two, three = (inputs.take(torch.arange(size) % len(inputs)) for size in (2, 3))
        output, values, is_last, passed = self._reference(three)
        if any(value.shape[1:2] == (3,) for value in values):  # positions first would look like three examples
            self._refuse_positions_first(two)
        layouts = tuple(self._layout(site, value) for site, value in zip(self.course.sites, values, strict=True))
        row_bytes = values[0][0].numel() * values[0].element_size()
        n = min(3, len(inputs))
        kept = output if self.score is None else self.score(output[:n], slice(0, n))
        base = Plan("hooks", None, None, (), layouts, tuple(output.shape[1:]), tuple(kept.shape[1:]), row_bytes)
        if self.wanted == "hooks":
            return base
        if self.wanted in ("resume", "tail"):
            resumed = self._resumed(base, three, passed)
            keeps = resumed is not None and resumed.resume is not None and resumed.resume.keeps_keys
            if resumed is None or (not keeps if self.wanted == "tail" else resumed.strategy == "hooks"):
                raise ConfigError(f"site {self.site}: {self.owner} cannot be evaluated by {self.wanted}")
            return resumed
        best = None
        for split in self._splits(three.names, is_last):
            best = self._tried(base, split, two, three)
            if best is not None:
                break
        if self.wanted is not None and (best is None or best.strategy != self.wanted):
            if best is None or self.wanted == "closed_form":
                raise ConfigError(f"site {self.site}: {self.owner} cannot be evaluated by {self.wanted}")
            best = replace(best, strategy="suffix", closed=None)
        return best or self._resumed(base, three, passed) or base

    def _resumed(self, base: Plan, inputs: Given, found: Trail | None) -> Plan | None:
        """Return the plan that passes over the layers before the site, or can run late positions alone."""
        if self.course.read is not None:  # the reference ended where it was read
            found = trail(self.model, self.course.sites, inputs.take(slice(0, 1)))
        keeps = keys_argument(self.model) is not None
        if found is None or not (any(found.upto) or keeps):
            return None
        strategy: Strategy = "resume" if any(found.upto) else "hooks"
        return replace(base, strategy=strategy, resume=Resume(found.layers, found.upto, keeps))

    def _layout(self, site: Site, value: Tensor) -> Layout:
        axis = site.channel_axis(self.model, value.shape)
        _check_rows(site, value, 3)
        return Layout(axis, tuple(value.movedim(axis, 1).shape[1:]))

    def _reference(self, inputs: Given) -> tuple[Tensor, list[Tensor], bool, Trail | None]:
        """Run the plain model and look at the sites and, where it runs to its end, at the layers.

        Say also whether the model returns the first site's module's output.
        """
        outputs: list[Any] = []
        order: list[Site] = []
        with contextlib.ExitStack() as stack:
            visitors = [stack.enter_context(visiting(self.model, site)) for site in self.course.sites]
            for visitor in visitors:
                visitor.log = order
            handle = self.modules[0].register_forward_hook(lambda module, args, output: outputs.append(output))
            stack.callback(handle.remove)
            watch = stack.enter_context(TrailWatch(self.model, self.course.sites))
            raw = self.course.follow(self.model, lambda: inputs.call(self.model), {})
        for visitor in visitors:
            check_visited(visitor.site, visitor.calls)
        if order[0] != self.site:
            raise ConfigError(f"site {self.site}: the forward pass comes to {order[0]} first; name that site first")
        if any(visitor.written_over for visitor in visitors):
            self._refuse_aliased(raw, inputs)
        values = [visitor.value for visitor in visitors if visitor.value is not None]
        is_last = bool(outputs) and outputs[-1] is raw and self.site.call is None
        return self._read(raw, len(inputs)), values, is_last, watch.found()

    def _refuse_positions_first(self, inputs: Given) -> None:
        for site, value in zip(self.course.sites, self._reference(inputs)[1], strict=True):
            _check_rows(site, value, len(inputs))

    def _refuse_aliased(self, raw: Any, inputs: Given) -> None:
        """Refuse a site whose value the network changes through another tensor that shares its memory.

        What goes on after an edit is a tensor of its own, which such a change would miss.
        """
        edits = dict.fromkeys(self.course.sites, torch.clone)
        copied = self.course.follow(self.model, lambda: inputs.call(self.model), edits)
        if not agrees(self._read(copied, len(inputs)), self._read(raw, len(inputs)), self.allowed):
            raise ConfigError(
                f"site {self.site}: {self.owner} changes this value in place through another tensor that shares its "
                "memory, which no edit of it can follow; choose the module before it"
            )

    def _read(self, raw: Any, n_rows: int) -> Tensor:
        return self.course.output(raw, n_rows, self.owner)

    def _splits(self, names: tuple[str | None, ...], is_last: bool) -> Iterator[Split]:
        """Yield ways to cut the model, each made when those before it did not do: tracing takes most of a plan."""
        for coarse in (False, True):
            if (split := split_at(self.model, self.course, names, coarse=coarse)) is not None:
                yield split
        ends = is_last and not self.course.also and self.course.read is None
        if ends and (split := last_module_split(self.model, self.site, names)) is not None:
            yield split

    def _tried(self, base: Plan, split: Split, two: Given, three: Given) -> Plan | None:
        """Return the plan of ``split`` if it does what the plain model does, as it is and under edits."""
        try:
            first, second = split.prefix(*two.tensors), split.prefix(*three.tensors)
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
                further = dict.fromkeys(range(1, len(self.course.sites)), edit)
                edits = dict.fromkeys(self.course.sites, edit)
                raw = self.course.follow(self.model, partial(three.call, self.model), edits)
                got = self._read(plan.after(edit(value), by_rows, further), 3)
                if not agrees(got, self._read(raw, 3), self.allowed):
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
            return self._read(plan.after(plan.layouts[0].raw(h), ()), len(h))

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


def _check_rows(site: Site, value: Tensor, n: int) -> None:
    if len(value) != n:
        raise ConfigError(
            f"site {site}: its value has shape {tuple(value.shape)} for {n} examples; axis 0 must hold the examples"
        )


def _stirred(value: Tensor) -> Tensor:
    """Return a value unrelated to ``value`` but of its scale: a mixture of other rows and features."""
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
