"""Evaluating interventions at one site of one model."""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paribus.engine.batches import Batches, number_format, to_device
from paribus.engine.cache import FeatureCache, InputDigests
from paribus.engine.hooks import Reached, at_rest, visiting
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.plan import Inputs, Plan, Planner, Readout, Strategy, agrees, difference, tolerance
from paribus.engine.readout import LinearReadout
from paribus.engine.sites import Site
from paribus.errors import ConfigError, DataError, ExperimentError, nearest

log = logging.getLogger(__name__)

# Bytes of outputs (and of pulled-back weights) held at once while streaming.
OUTPUT_BUDGET = 64 << 20
PARITY_ROWS = 4
PARITY_INTERVENTIONS = 3

_FORMATS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_private_keys = itertools.count()


@dataclass(frozen=True)
class EvaluationReport:
    """How an evaluation was done.

    Attributes:
        strategy: ``closed_form``, ``suffix`` or ``hooks``.
        n_requested: Interventions times examples.
        n_unique: Of these, the ones computed.
        parity_max_abs_diff: Largest difference from the plain model with a hook, on a sample.
    """

    strategy: str
    n_requested: int
    n_unique: int
    parity_max_abs_diff: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Outputs under interventions.

    Attributes:
        outputs: ``[n_interventions, n, *output]``.
        report: How they were computed.
    """

    outputs: np.ndarray
    report: EvaluationReport


class Engine:
    """Evaluates interventions at one site of one model, in evaluation mode, without gradients, leaving no trace.

    Activations have their channels on axis 1: ``[n, d]`` or ``[n, d, *positions]``, also for token sites.

    Attributes:
        site: Where.
        report: How the last :meth:`evaluate` or :meth:`reduce` was done; None before.
    """

    def __init__(
        self,
        model: nn.Module,
        site: Site | str,
        *,
        device: str | torch.device = "cpu",
        batch_limit: int = 512,
        dtype: str | torch.dtype | None = None,
        cache: FeatureCache | None = None,
        key: str | None = None,
        readout: Readout | None = None,
        strategy: Strategy | None = None,
    ) -> None:
        """Prepare; nothing is run yet.

        Args:
            model: The network; moved to ``device`` in place.
            site: A site or its text.
            device: Where to compute.
            batch_limit: The most examples in one forward pass; halved when memory runs out.
            dtype: Number format, a name or a torch one; None for the model's own. Half formats go through autocast.
            cache: Where site values are kept; None for the process's shared cache if ``key`` is given, else a private one.
            key: What identifies the weights (a checkpoint's digest or path and epoch): engines with the same key, site
                and inputs share what was computed.
            readout: The tensor ``[n, ...]`` in what the model returns; None where it returns a tensor.
            strategy: Only this way, or :class:`ConfigError`; None for the cheapest exact one.

        Raises:
            ConfigError: If the model has no such module or the number format is unknown.
        """
        self.site = Site.parse(site) if isinstance(site, str) else site
        self.device = torch.device(device)
        self._model = model.to(self.device)
        self.site.validate(model)
        own = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
        if isinstance(dtype, str) and dtype not in _FORMATS:
            raise ConfigError(f"dtype: no such number format {dtype!r}; {nearest(dtype, _FORMATS)}")
        self._dtype = own if dtype is None else _FORMATS[dtype] if isinstance(dtype, str) else dtype
        self._weights_dtype = self._dtype if self._dtype in (torch.float32, torch.float64) else own
        self._readout: Readout = readout or (lambda output: output)
        self._wanted = strategy
        self._key = key
        self._cache = cache or (FeatureCache.shared() if key is not None else FeatureCache())
        self._digests = InputDigests()
        self._batches = Batches(batch_limit)
        self._allowed = tolerance(self._dtype, self.device)
        self._stamp: tuple[Any, ...] | None = None
        self.report: EvaluationReport | None = None
        self._refresh()

    # ---------------------------------------------------------------- what users ask

    def features(self, inputs: Any) -> Tensor:
        """Return the activations at the site ``[n, d, *positions]``, on the engine's device (do not write to them)."""
        with self._ready(inputs) as (plan, given):
            return self._all_features(plan, given)

    def pooled(self, inputs: Any) -> np.ndarray:
        """Return the channel vectors ``[n, d]``: the activations' means over positions."""
        h = self.features(inputs)
        return _numpy(h.flatten(2).mean(2) if h.ndim > 2 else h)

    def logits(self, inputs: Any) -> np.ndarray:
        """Return the model's outputs ``[n, *output]`` without any intervention."""
        found: list[Tensor] = []
        with self._ready(inputs) as (plan, given):
            self._stream(plan, given, [Identity()], lambda index, output: found.append(output.clone()))
        return _numpy(found[0])

    def evaluate(self, inputs: Any, interventions: Sequence[Intervention]) -> Evaluation:
        """Return the outputs ``[n_interventions, n, *output]`` under each intervention.

        Raises:
            DataError: If there are no inputs, or they differ in length.
            ExperimentError: If an intervention does not fit the site.
        """
        outputs: list[np.ndarray] = []

        def keep(index: int, output: Tensor) -> None:
            if not outputs:
                outputs.append(np.empty((len(interventions), *output.shape), _numpy(output[:0]).dtype))
            outputs[0][index] = _numpy(output)

        report = self._evaluate(inputs, interventions, keep)
        return Evaluation(outputs[0], report)

    def reduce(self, inputs: Any, interventions: Sequence[Intervention], fn: Callable[[Tensor], Any]) -> list[Any]:
        """Return ``fn(outputs [n, *output])`` for each intervention; never holds the outputs of all.

        ``fn`` gets a tensor on the engine's device, valid during the call only.
        """
        results: list[Any] = [None] * len(interventions)

        def keep(index: int, output: Tensor) -> None:
            results[index] = fn(output)

        self._evaluate(inputs, interventions, keep)
        return results

    def plan(self, inputs: Any) -> Plan:
        """Return how inputs of this shape are evaluated."""
        with self._ready(inputs) as (plan, _):
            return plan

    @property
    def linear_readout(self) -> LinearReadout | None:
        """The affine map from channel vectors to outputs, or None where what follows the site is not affine.

        Where the site has positions it maps their mean, and is None if they weigh differently.

        Raises:
            ExperimentError: Before any inputs were seen, because the map can depend on their shape.
        """
        if not self._plans:
            raise ExperimentError("linear_readout is known after features(inputs), logits(inputs) or plan(inputs)")
        closed = next(reversed(self._plans.values())).closed
        return None if closed is None else closed.linear

    # ---------------------------------------------------------------- preparation

    def _refresh(self) -> None:
        """Notice changed weights: cached values and folded copies would be stale."""
        state = itertools.chain(self._model.parameters(), self._model.buffers())
        stamp = tuple((tensor.data_ptr(), tensor._version) for tensor in state)
        if stamp == self._stamp:
            return
        if self._stamp is not None and self._key is not None:
            raise ExperimentError(
                f"the weights changed under the engine of key {self._key!r}; make a new engine with a key of its own"
            )
        self._stamp = stamp
        self._cache_key = self._key if self._key is not None else f"private {next(_private_keys)}"
        self._plans: dict[tuple[Any, ...], Plan] = {}
        own = next((p.dtype for p in self._model.parameters() if p.is_floating_point()), self._weights_dtype)
        self._running = (
            self._model if own == self._weights_dtype else copy.deepcopy(self._model).to(self._weights_dtype)
        )

    @contextlib.contextmanager
    def _ready(self, inputs: Any) -> Iterator[tuple[Plan, Inputs]]:
        given = _as_inputs(inputs)
        self._refresh()
        with at_rest(self._model, self._running), number_format(self.device, self._dtype):
            yield self._plan(given), given

    def _plan(self, inputs: Inputs) -> Plan:
        signature = tuple((tuple(one.shape[1:]), one.dtype) for one in inputs)
        if signature not in self._plans:
            planner = Planner(self._running, self.site, self._readout, self._wanted, self._allowed)
            self._plans[signature] = planner.plan(self._rows(inputs, slice(0, 3)))
        return self._plans[signature]

    def _rows(self, inputs: Inputs, rows: slice) -> Inputs:
        moved = tuple(to_device(one[rows], self.device) for one in inputs)
        return tuple(one.to(self._weights_dtype) if one.is_floating_point() else one for one in moved)

    # ---------------------------------------------------------------- values at the site

    def _blocks(self, plan: Plan, n: int) -> list[slice]:
        size = max(self._batches.limit, self._cache.limit_bytes // 4 // max(1, plan.row_bytes))
        if n * plan.row_bytes <= self._cache.limit_bytes:
            size = n
        return [slice(start, min(n, start + size)) for start in range(0, n, size)]

    def _values(self, plan: Plan, inputs: Inputs, block: slice) -> tuple[Tensor, ...]:
        """Return the raw site values of ``block`` and the boundary values by rows, cached."""
        kind = "hooks" if plan.split is None else "split"
        names = (self._cache_key, str(self.site), kind, len(plan.boundary), str(self._dtype), str(self.device))
        key = (*names, self._digests.of(inputs), block.start, block.stop)
        found = self._cache.get(key)
        if found is None:
            found = self._computed(plan, inputs, block)
            self._cache.put(key, found)
        return found

    def _computed(self, plan: Plan, inputs: Inputs, block: slice) -> tuple[Tensor, ...]:
        kept: list[Tensor] = []

        def step(rows: slice) -> None:
            batch = self._rows(inputs, rows)
            values = (self._seen(batch),) if plan.split is None else plan.before(batch)
            if not kept:
                kept.extend(one.new_empty((block.stop - block.start, *one.shape[1:])) for one in values)
            for whole, part in zip(kept, values, strict=True):
                whole[rows.start - block.start : rows.stop - block.start] = part

        self._batches.run(block.start, block.stop, step)
        return tuple(kept)

    def _seen(self, batch: Inputs) -> Tensor:
        with visiting(self._running, self.site, stop=True) as visitor, contextlib.suppress(Reached):
            self._running(*batch)
        assert visitor.value is not None
        return visitor.value

    def _all_features(self, plan: Plan, inputs: Inputs) -> Tensor:
        parts = [self._values(plan, inputs, block)[0] for block in self._blocks(plan, len(inputs[0]))]
        h = plan.channels_second(parts[0] if len(parts) == 1 else torch.cat(parts))
        return h.float() if h.dtype in (torch.bfloat16, torch.float16) else h

    # ---------------------------------------------------------------- outputs under interventions

    def _evaluate(
        self, inputs: Any, interventions: Sequence[Intervention], keep: Callable[[int, Tensor], None]
    ) -> EvaluationReport:
        if not interventions:
            raise ExperimentError("no interventions to evaluate")
        with self._ready(inputs) as (plan, given):
            n = len(given[0])
            for one in interventions:
                one.check(plan.feature_shape[0], n)
            moved = [one.to(self.device, self._weights_dtype) for one in interventions]
            rows, chosen = _parity_sample(n, interventions)
            sampled: dict[int, Tensor] = {}

            def watch(index: int, output: Tensor) -> None:
                if index in chosen:
                    sampled[index] = output[rows].clone()
                keep(index, output)

            self._stream(plan, given, moved, watch)
            expected = self._reference(plan, given, rows, [moved[index] for index in chosen])
            got = torch.stack([sampled[index] for index in chosen])
            if not agrees(got, expected, self._allowed) and plan.strategy != "hooks":
                off = difference(got, expected)
                log.warning("site %s: %s is off by %.3g; using hooks instead", self.site, plan.strategy, off)
                planner = Planner(self._running, self.site, self._readout, "hooks", self._allowed)
                signature = next(reversed([name for name, kept in self._plans.items() if kept is plan]))
                plan = self._plans[signature] = planner.plan(self._rows(given, slice(0, 3)))
                self._stream(plan, given, moved, watch)
                got = torch.stack([sampled[index] for index in chosen])
            total = n * len(interventions)
            self.report = EvaluationReport(plan.strategy, total, total, difference(got, expected))
        return self.report

    def _stream(
        self, plan: Plan, inputs: Inputs, interventions: Sequence[Intervention], keep: Callable[[int, Tensor], None]
    ) -> None:
        """Hand the outputs ``[n, *output]`` of every intervention to ``keep``, in any order."""
        n = len(inputs[0])
        per_output = max(1, n * int(np.prod(plan.output_shape)) * self._weights_dtype.itemsize)
        todo = list(range(len(interventions)))
        if plan.closed is not None:
            families: dict[tuple[Any, ...], list[int]] = {}
            for index in todo:
                family = interventions[index].family
                if family is not None:
                    families.setdefault((type(interventions[index]), *family), []).append(index)
            readout_bytes = plan.closed.weight.numel() * self._weights_dtype.itemsize
            at_once = max(1, OUTPUT_BUDGET // max(per_output, readout_bytes))
            for members in families.values():
                for group in _groups(members, at_once):
                    outputs = self._pulled_back(plan, inputs, [interventions[index] for index in group])
                    for index, output in zip(group, outputs, strict=True):
                        keep(index, output.reshape(n, *plan.output_shape))
            todo = [index for index in todo if interventions[index].family is None]
        for group in _groups(todo, max(1, OUTPUT_BUDGET // per_output)):
            outputs = self._one_by_one(plan, inputs, [interventions[index] for index in group])
            for index, output in zip(group, outputs, strict=True):
                keep(index, output)

    def _pulled_back(self, plan: Plan, inputs: Inputs, family: Sequence[Intervention]) -> Tensor:
        assert plan.closed is not None
        parts = []
        for block in self._blocks(plan, len(inputs[0])):
            value = self._values(plan, inputs, block)[0]
            parts.append(plan.closed.outputs(plan.closed.compact(plan.channels_second(value)), family))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _one_by_one(self, plan: Plan, inputs: Inputs, interventions: Sequence[Intervention]) -> Tensor:
        n = len(inputs[0])
        outputs = torch.empty(
            (len(interventions), n, *plan.output_shape), dtype=self._weights_dtype, device=self.device
        )
        for block in self._blocks(plan, n):
            values = () if plan.strategy == "hooks" else self._values(plan, inputs, block)

            def step(rows: slice, values: tuple[Tensor, ...] = values, start: int = block.start) -> None:
                local = slice(rows.start - start, rows.stop - start)
                batch = self._rows(inputs, rows) if plan.strategy == "hooks" else tuple(one[local] for one in values)
                for index, one in enumerate(interventions):
                    bound = one.at(rows, lambda: self._all_features(plan, inputs)) if one.needs_rows else one
                    outputs[index, rows] = self._output(plan, batch, bound)

            self._batches.run(block.start, block.stop, step)
        return outputs

    def _output(self, plan: Plan, batch: tuple[Tensor, ...], intervention: Intervention) -> Tensor:
        """Return the output of one batch: of inputs for hooks, of values at the site otherwise."""
        if plan.strategy == "hooks":
            with visiting(self._running, self.site, lambda value: self._edited(plan, value, intervention)):
                return self._readout(self._running(*batch))
        value, *by_rows = batch
        if plan.closed is not None:
            edited = intervention.forward(plan.channels_second(value).to(plan.closed.weight))
            return plan.closed.direct(edited).reshape(len(value), *plan.output_shape)
        return self._readout(plan.after(self._edited(plan, value, intervention), tuple(by_rows)))

    def _edited(self, plan: Plan, value: Tensor, intervention: Intervention) -> Tensor:
        h = plan.channels_second(value)
        half = h.dtype in (torch.bfloat16, torch.float16)
        return plan.raw(intervention.forward(h.float() if half else h).to(value.dtype))

    def _reference(self, plan: Plan, inputs: Inputs, rows: slice, interventions: Sequence[Intervention]) -> Tensor:
        """Return ``[n_interventions, n_rows, *output]`` from one plain forward pass with a hook."""
        bound = [one.at(rows, lambda: self._all_features(plan, inputs)) for one in interventions]
        batch = tuple(torch.cat([one] * len(bound)) for one in self._rows(inputs, rows))

        def edit(value: Tensor) -> Tensor:
            parts = zip(value.chunk(len(bound)), bound, strict=True)
            return torch.cat([self._edited(plan, part, one) for part, one in parts])

        with visiting(self._running, self.site, edit):
            output = self._readout(self._running(*batch))
        return output.to(self._weights_dtype).reshape(len(bound), rows.stop - rows.start, *plan.output_shape)


def _as_inputs(inputs: Any) -> Inputs:
    given = tuple(torch.as_tensor(one) for one in (inputs if isinstance(inputs, tuple | list) else (inputs,)))
    if not given or any(one.ndim == 0 for one in given) or len({len(one) for one in given}) != 1:
        raise DataError(
            f"inputs must be tensors of equally many rows, got shapes {[tuple(one.shape) for one in given]}"
        )
    if not len(given[0]):
        raise DataError("inputs have no rows; there is nothing to evaluate")
    return given


def _parity_sample(n: int, interventions: Sequence[Intervention]) -> tuple[slice, list[int]]:
    """Choose a few rows from the middle, and of every kind of intervention the last one."""
    size = min(n, PARITY_ROWS)
    start = (n - size) // 2
    kinds = {type(one): index for index, one in enumerate(interventions)}
    return slice(start, start + size), sorted(kinds.values())[:PARITY_INTERVENTIONS]


def _groups(members: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(members), size):
        yield members[start : start + size]


def _numpy(tensor: Tensor) -> np.ndarray:
    plain = tensor.detach().cpu()
    return (plain.float() if plain.dtype in (torch.bfloat16, torch.float16) else plain).numpy()
