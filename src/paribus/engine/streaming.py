"""Outputs under interventions, a bounded part of them at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from paribus.engine.batches import full_precision
from paribus.engine.hooks import visiting
from paribus.engine.intervention import Intervention
from paribus.engine.plan import Inputs, Plan, Readout
from paribus.engine.site_values import SiteValues

# Bytes of outputs (and of pulled-back weights) held at once.
OUTPUT_BUDGET = 64 << 20
Keep = Callable[[int, Tensor], None]


class OutputStream:
    """Computes outputs under interventions by a given plan. Use it in evaluation mode without gradients."""

    def __init__(self, values: SiteValues, readout: Readout) -> None:
        """Take site values from ``values`` and the output tensor by ``readout``."""
        self.values, self.readout = values, readout

    def run(self, plan: Plan, inputs: Inputs, interventions: Sequence[Intervention], keep: Keep) -> None:
        """Hand the output ``[n, *output]`` of every intervention to ``keep(index, output)``, in any order."""
        n = len(inputs[0])
        size = self.values.dtype.itemsize
        per_output = max(1, n * math.prod(plan.output_shape) * size)
        todo = list(range(len(interventions)))
        if plan.closed is not None:
            at_once = max(1, OUTPUT_BUDGET // max(per_output, plan.closed.weight.numel() * size))
            for members in _families(interventions).values():
                for group in _groups(members, at_once):
                    outputs = self._pulled_back(plan, inputs, [interventions[index] for index in group])
                    for index, output in zip(group, outputs, strict=True):
                        keep(index, output.reshape(n, *plan.output_shape))
            todo = [index for index in todo if interventions[index].family is None]
        for group in _groups(todo, max(1, OUTPUT_BUDGET // per_output)):
            outputs = self._one_by_one(plan, inputs, [interventions[index] for index in group])
            for index, output in zip(group, outputs, strict=True):
                keep(index, output)

    def reference(self, plan: Plan, inputs: Inputs, rows: slice, interventions: Sequence[Intervention]) -> Tensor:
        """Return ``[n_interventions, n_rows, *output]`` from one plain forward pass with a hook."""
        bound = [self._bound(plan, inputs, rows, one) for one in interventions]
        batch = tuple(torch.cat([one] * len(bound)) for one in self.values.rows(inputs, rows))

        def edit(value: Tensor) -> Tensor:
            parts = zip(value.chunk(len(bound)), bound, strict=True)
            return torch.cat([self._edited(plan, part, one) for part, one in parts])

        output = self._hooked(batch, edit).to(self.values.dtype)
        return output.reshape(len(bound), rows.stop - rows.start, *plan.output_shape)

    def _pulled_back(self, plan: Plan, inputs: Inputs, family: Sequence[Intervention]) -> Tensor:
        assert plan.closed is not None
        parts = []
        for block in self.values.blocks(plan, len(inputs[0])):
            value = self.values.values(plan, inputs, block)[0]
            with full_precision(value.device):
                parts.append(plan.closed.outputs(plan.closed.compact(plan.channels_second(value)), family))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _one_by_one(self, plan: Plan, inputs: Inputs, interventions: Sequence[Intervention]) -> Tensor:
        n = len(inputs[0])
        shape = (len(interventions), n, *plan.output_shape)
        outputs = torch.empty(shape, dtype=self.values.dtype, device=self.values.device)
        for block in self.values.blocks(plan, n):
            self._fill(plan, inputs, block, interventions, outputs)
        return outputs

    def _fill(
        self, plan: Plan, inputs: Inputs, block: slice, interventions: Sequence[Intervention], outputs: Tensor
    ) -> None:
        """Compute the rows of ``block`` for all ``interventions`` while their values are at hand."""
        values = () if plan.strategy == "hooks" else self.values.values(plan, inputs, block)
        at_most = self.values.rows_at_once(inputs if plan.strategy == "hooks" else values)

        def step(rows: slice) -> None:
            local = slice(rows.start - block.start, rows.stop - block.start)
            batch = self.values.rows(inputs, rows) if plan.strategy == "hooks" else tuple(one[local] for one in values)
            together = 1
            if plan.strategy == "suffix":  # few rows: several interventions fill one pass
                together = max(1, min(at_most, self.values.batches.limit) // (rows.stop - rows.start))
            for group in _groups(range(len(interventions)), together):
                bound = [self._bound(plan, inputs, rows, interventions[index]) for index in group]
                found = self._outputs(plan, batch, bound)
                outputs[group[0] : group[-1] + 1, rows] = found.reshape(len(bound), -1, *plan.output_shape)

        self.values.batches.run(block.start, block.stop, step, at_most=at_most)

    def _bound(self, plan: Plan, inputs: Inputs, rows: slice, intervention: Intervention) -> Intervention:
        if not intervention.needs_rows:
            return intervention
        return intervention.at(rows, lambda: self.values.features(plan, inputs))

    def _outputs(self, plan: Plan, batch: tuple[Tensor, ...], interventions: Sequence[Intervention]) -> Tensor:
        """Return the outputs of a batch (of inputs for hooks, else of site values), one intervention after another."""
        if plan.strategy == "hooks":
            (one,) = interventions
            return self._hooked(batch, lambda value: self._edited(plan, value, one))
        value, *by_rows = batch
        if plan.closed is not None:
            (one,) = interventions
            with full_precision(value.device):
                return plan.closed.direct(one.forward(plan.channels_second(value).to(plan.closed.weight)))
        edited = [self._edited(plan, value, one) for one in interventions]
        if len(edited) == 1:
            return self.readout(plan.after(edited[0], tuple(by_rows)))
        repeated = tuple(torch.cat([one] * len(edited)) for one in by_rows)
        return self.readout(plan.after(torch.cat(edited), repeated))

    def _hooked(self, batch: Inputs, edit: Callable[[Tensor], Tensor]) -> Tensor:
        with visiting(self.values.model, self.values.site, edit):
            return self.readout(self.values.model(*batch))

    def _edited(self, plan: Plan, value: Tensor, intervention: Intervention) -> Tensor:
        """Return a raw site value under an intervention; half formats are edited in single precision."""
        h = plan.channels_second(value)
        half = h.dtype in (torch.bfloat16, torch.float16)
        with full_precision(h.device):
            return plan.raw(intervention.forward(h.float() if half else h).to(value.dtype))


def _families(interventions: Sequence[Intervention]) -> dict[tuple[Any, ...], list[int]]:
    """Return the indices of the affine interventions, those that can be pulled back together in one list."""
    families: dict[tuple[Any, ...], list[int]] = {}
    for index, one in enumerate(interventions):
        if one.family is not None:
            families.setdefault((type(one), *one.family), []).append(index)
    return families


def _groups(members: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(members), size):
        yield members[start : start + size]
