"""Outputs under interventions, a bounded part of them at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from paribus.engine.batches import full_precision, widened
from paribus.engine.course import Course, Score
from paribus.engine.given import Given
from paribus.engine.hooks import Edit
from paribus.engine.intervention import Intervention
from paribus.engine.late_pass import LatePass, upto_of
from paribus.engine.parts import edits_of
from paribus.engine.plan import Layout, Plan
from paribus.engine.site_values import SiteValues
from paribus.errors import ExperimentError

# Bytes of outputs (and of pulled-back weights) held at once.
OUTPUT_BUDGET = 64 << 20
Keep = Callable[[int, Tensor], None]
SHORT_PASS = 32
"""Tokens up to which a pass is as long as reading the weights takes, however few there are."""
_LATE = ("resume", "tail")
_WHOLE = ("hooks", *_LATE)


class OutputStream:
    """Computes outputs under interventions by a given plan. Use it in evaluation mode without gradients."""

    def __init__(self, values: SiteValues, course: Course, score: Score | None) -> None:
        """Take site values from ``values``, follow ``course``, and keep of the outputs what ``score`` says."""
        self.values, self.course, self.score = values, course, score
        self._owner = type(values.model).__name__

    def run(self, plan: Plan, inputs: Given, interventions: Sequence[Intervention], keep: Keep) -> None:
        """Hand what is kept ``[n, *kept]`` of every intervention to ``keep(index, output)``, in any order."""
        n, size = len(inputs), self.values.dtype.itemsize

        def work(way: Callable[..., Tensor], members: Sequence[int], output_bytes: int) -> None:
            for group in _groups(members, max(1, OUTPUT_BUDGET // max(1, output_bytes))):
                outputs = way(plan, inputs, [interventions[index] for index in group])
                for index, output in zip(group, outputs, strict=True):
                    keep(index, output)

        todo = list(range(len(interventions)))
        if plan.closed is not None:
            at_least = plan.closed.weight.numel() * size
            for members in _families(interventions).values():
                work(self._pulled_back, members, max(n * math.prod(plan.output_shape) * size, at_least))
            todo = [index for index in todo if interventions[index].family is None]
        work(self._one_by_one, todo, n * math.prod(plan.kept_shape) * size)

    def reference(self, plan: Plan, inputs: Given, rows: slice, interventions: Sequence[Intervention]) -> Tensor:
        """Return ``[n_interventions, n_rows, *kept]`` from one plain forward pass with hooks."""
        bound = [self._bound(plan, inputs, rows, one) for one in interventions]
        output = self._hooked(plan, self.values.rows(inputs, rows).repeated(len(bound)), bound)
        return self._kept(plan, output.reshape(len(bound), rows.stop - rows.start, *plan.output_shape), rows)

    def _kept(self, plan: Plan, outputs: Tensor, rows: slice) -> Tensor:
        """Return of outputs ``[F, n_rows, *output]`` what is kept, ``[F, n_rows, *kept]``."""
        outputs = outputs.to(self.values.dtype)
        if self.score is None:
            return outputs
        with full_precision(outputs.device):
            scored = torch.stack([self.score(one, rows) for one in outputs])
        if scored.shape[1:] != (outputs.shape[1], *plan.kept_shape):
            raise ExperimentError(
                f"score: gave shape {tuple(scored.shape[1:])} for {outputs.shape[1]} rows, and {plan.kept_shape} a row "
                "before; it must give the same for every row"
            )
        return scored

    def _pulled_back(self, plan: Plan, inputs: Given, family: Sequence[Intervention]) -> Tensor:
        assert plan.closed is not None
        parts = []
        for block in self.values.blocks(plan, len(inputs)):
            value = self.values.values(plan, inputs, block)[0]
            with full_precision(value.device):
                found = plan.closed.outputs(plan.closed.compact(plan.channels_second(value)), family)
                parts.append(self._kept(plan, found.reshape(len(family), len(value), *plan.output_shape), block))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _one_by_one(self, plan: Plan, inputs: Given, interventions: Sequence[Intervention]) -> Tensor:
        n = len(inputs)
        shape = (len(interventions), n, *plan.kept_shape)
        outputs = torch.empty(shape, dtype=self.values.dtype, device=self.values.device)
        for block in self.values.blocks(plan, n):
            self._fill(plan, inputs, block, interventions, outputs)
        return outputs

    def _fill(
        self, plan: Plan, inputs: Given, block: slice, interventions: Sequence[Intervention], outputs: Tensor
    ) -> None:
        """Compute the rows of ``block`` for all ``interventions`` while their values are at hand."""
        values = () if plan.strategy in _WHOLE else self.values.values(plan, inputs, block)
        at_most = self.values.rows_at_once(values or inputs.tensors)
        if plan.strategy in _LATE:
            length = 0 if plan.tail is None else plan.tail.length
            at_most = min(self.values.rows_within(plan.row_bytes), self.values.rows_out(plan, length))

        def step(rows: slice) -> None:
            local = slice(rows.start - block.start, rows.stop - block.start)
            late = self._late_pass(plan, inputs, rows, interventions) if plan.strategy in _LATE else None
            batch = self.values.rows(inputs, rows) if plan.strategy == "hooks" else inputs
            for upto, group in self._together(plan, interventions, rows, at_most):
                bound = [self._bound(plan, inputs, rows, interventions[index]) for index in group]
                if late is not None:
                    found = late.outputs(upto, bound)
                elif plan.strategy == "hooks":
                    found = self._hooked(plan, batch, bound)
                else:
                    found = self._continued(plan, tuple(one[local] for one in values), bound)
                found = found.reshape(len(bound), -1, *plan.output_shape)
                outputs[list(group), rows] = self._kept(plan, found, rows)

        self.values.batches.run(block.start, block.stop, step, at_most=at_most)

    def _together(
        self, plan: Plan, interventions: Sequence[Intervention], rows: slice, at_most: int
    ) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield which interventions fill one pass, and how many layers are passed over for them."""
        if plan.strategy not in ("suffix", *_LATE):
            yield from ((0, [index]) for index in range(len(interventions)))
            return
        fits = at_most if plan.tail is None else at_most * plan.tail.length // plan.tail.n_run
        out = self.values.rows_out(plan, 0 if plan.tail is None else plan.tail.n_run)
        together = max(1, min(fits, out, self.values.batches.limit) // (rows.stop - rows.start))
        by_upto: dict[int, list[int]] = {}
        for index, one in enumerate(interventions):
            by_upto.setdefault(0 if plan.resume is None else upto_of(plan.resume, one), []).append(index)
        if plan.tail is not None:
            by_upto = _merged(by_upto, max(1, SHORT_PASS // ((rows.stop - rows.start) * plan.tail.n_run)))
        for upto, members in by_upto.items():
            yield from ((upto, group) for group in _groups(members, together))

    def _late_pass(self, plan: Plan, inputs: Given, rows: slice, interventions: Sequence[Intervention]) -> LatePass:
        assert plan.resume is not None
        uptos = {upto_of(plan.resume, one) for one in interventions}
        if plan.tail is not None:
            uptos.add(max(plan.resume.upto))  # for outputs of earlier positions, which no edit changes
        layers, wanted = plan.resume.layers, tuple(sorted(uptos - {0}))
        batch = self.values.rows(inputs, rows)
        values, keys = self.values.after_layers(inputs, rows, layers, wanted, keys=plan.tail is not None)
        return LatePass(self.values.model, self.course, plan, batch, values, self._edits, keys)

    def _bound(self, plan: Plan, inputs: Given, rows: slice, intervention: Intervention) -> Intervention:
        if not intervention.needs_rows:
            return intervention
        return intervention.at(rows, lambda: self.values.features(plan, inputs))

    def _continued(self, plan: Plan, values: tuple[Tensor, ...], interventions: Sequence[Intervention]) -> Tensor:
        """Return the outputs for a batch of site values, one intervention after another."""
        value, *by_rows = values
        edits = self._edits(plan, interventions)
        edits.pop(0, None)
        if plan.closed is not None and not edits:
            (one,) = interventions
            with full_precision(value.device):
                return plan.closed.direct(one.forward(plan.channels_second(value).to(plan.closed.weight)))
        n = len(interventions)
        first = [_edited(plan.layouts[0], value, edits_of(one, len(plan.layouts))[0]) for one in interventions]
        edited = first[0] if n == 1 else torch.cat(first)
        rest = tuple(by_rows) if n == 1 else tuple(torch.cat([one] * n) for one in by_rows)
        return self.course.output(plan.after(edited, rest, edits), len(edited), self._owner)

    def _hooked(self, plan: Plan, batch: Given, interventions: Sequence[Intervention]) -> Tensor:
        """Return the outputs of plain forward passes of ``batch``, which holds the rows of one after another."""
        edits = {self.course.sites[index]: edit for index, edit in self._edits(plan, interventions).items()}
        model = self.values.model
        return self.course.output(self.course.follow(model, lambda: batch.call(model), edits), len(batch), self._owner)

    def _edits(self, plan: Plan, interventions: Sequence[Intervention]) -> dict[int, Edit]:
        """Return what is done at each site (by its place in the course) to the rows of one after another."""
        by_site = list(zip(*(edits_of(one, len(self.course.sites)) for one in interventions), strict=True))
        return {
            index: _edit(plan.layouts[index], here)
            for index, here in enumerate(by_site)
            if any(one is not None for one in here)
        }


def _edit(layout: Layout, interventions: Sequence[Intervention | None]) -> Edit:
    """Return an edit of a raw value that holds the rows of one intervention after another."""

    def edit(value: Tensor) -> Tensor:
        if len(interventions) == 1:
            return _edited(layout, value, interventions[0])
        parts = zip(value.chunk(len(interventions)), interventions, strict=True)
        return torch.cat([_edited(layout, part, one) for part, one in parts])

    return edit


def _edited(layout: Layout, value: Tensor, intervention: Intervention | None) -> Tensor:
    """Return a raw value under an intervention; half formats are edited in single precision."""
    if intervention is None:
        return value
    h = layout.channels_second(value)
    with full_precision(h.device):
        return layout.raw(intervention.forward(widened(h)).to(value.dtype))


def _families(interventions: Sequence[Intervention]) -> dict[tuple[Any, ...], list[int]]:
    """Return the indices of the affine interventions, those that can be pulled back together in one list."""
    families: dict[tuple[Any, ...], list[int]] = {}
    for index, one in enumerate(interventions):
        if one.family is not None:
            families.setdefault((type(one), *one.family), []).append(index)
    return families


def _merged(by_upto: dict[int, list[int]], together: int) -> dict[int, list[int]]:
    """Return members by how many layers are passed over, small groups joined to those that pass over fewer.

    A pass of a few tokens costs what reading the weights costs: one that runs some layers more for all of them is
    cheaper than two.

    Example:
        >>> _merged({2: [5], 0: [1, 2], 1: [3]}, 3)
        {0: [1, 2, 3], 2: [5]}
    """
    found: dict[int, list[int]] = {}
    last = None
    for upto in sorted(by_upto):
        if last is not None and len(found[last]) + len(by_upto[upto]) <= together:
            found[last] = [*found[last], *by_upto[upto]]
        else:
            found[upto], last = by_upto[upto], upto
    return found


def _groups(members: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(members), size):
        yield members[start : start + size]
