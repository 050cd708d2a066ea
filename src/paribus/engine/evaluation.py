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

from paribus.engine.batches import Batches, number_format
from paribus.engine.cache import FeatureCache
from paribus.engine.hooks import at_rest
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.plan import Inputs, Plan, Planner, Readout, Strategy, agrees, difference, tolerance
from paribus.engine.readout import LinearReadout
from paribus.engine.site_values import SiteValues
from paribus.engine.sites import Site
from paribus.engine.streaming import OutputStream
from paribus.errors import ConfigError, DataError, ExperimentError, nearest

log = logging.getLogger(__name__)

# Rows and interventions of the parity check: few, because each costs a plain forward pass.
PARITY_ROWS = (2, 8)
ROWS_PER_PARITY_ROW = 1000
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
            cache: Where site values are kept; None for the process's shared cache if ``key`` is given, else a
                private one.
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
        if cache is None:
            cache = FeatureCache.shared() if key is not None else FeatureCache()
        self._cache = cache
        self._batches = Batches(batch_limit)
        self._allowed = tolerance(self._dtype, self.device)
        self._stamp: tuple[Any, ...] | None = None
        self.report: EvaluationReport | None = None
        self._refresh()

    # ---------------------------------------------------------------- what users ask

    def features(self, inputs: Any) -> Tensor:
        """Return the activations at the site ``[n, d, *positions]``, on the engine's device (do not write to them)."""
        with self._ready(inputs) as (plan, given):
            return self._values.features(plan, given)

    def pooled(self, inputs: Any) -> np.ndarray:
        """Return the channel vectors ``[n, d]``: the activations' means over positions."""
        h = self.features(inputs)
        return _numpy(h.flatten(2).mean(2) if h.ndim > 2 else h)

    def logits(self, inputs: Any) -> np.ndarray:
        """Return the model's outputs ``[n, *output]`` without any intervention."""
        found: list[Tensor] = []
        with self._ready(inputs) as (plan, given):
            self._stream.run(plan, given, [Identity()], lambda index, output: found.append(output.clone()))
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
        self._plans: dict[tuple[Any, ...], Plan] = {}
        own = next((p.dtype for p in self._model.parameters() if p.is_floating_point()), self._weights_dtype)
        same = own == self._weights_dtype
        self._running = self._model if same else copy.deepcopy(self._model).to(self._weights_dtype)
        key = self._key if self._key is not None else f"private {next(_private_keys)}"
        names = (str(self._dtype), str(self.device))
        self._values = SiteValues(self._running, self.site, self._cache, key, self._batches, names)
        self._stream = OutputStream(self._values, self._readout)

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
            self._plans[signature] = planner.plan(self._values.rows(inputs, slice(0, 3)))
        return self._plans[signature]

    # ---------------------------------------------------------------- evaluation

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

            self._stream.run(plan, given, moved, watch)
            expected = self._stream.reference(plan, given, rows, [moved[index] for index in chosen])
            got = torch.stack([sampled[index] for index in chosen])
            if not agrees(got, expected, self._allowed) and plan.strategy != "hooks":
                off = difference(got, expected)
                log.warning("site %s: %s is off by %.3g; using hooks instead", self.site, plan.strategy, off)
                planner = Planner(self._running, self.site, self._readout, "hooks", self._allowed)
                signature = next(reversed([name for name, kept in self._plans.items() if kept is plan]))
                plan = self._plans[signature] = planner.plan(self._values.rows(given, slice(0, 3)))
                self._stream.run(plan, given, moved, watch)
                got = torch.stack([sampled[index] for index in chosen])
            total = n * len(interventions)
            self.report = EvaluationReport(plan.strategy, total, total, difference(got, expected))
        return self.report


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
    least, most = PARITY_ROWS
    size = min(n, max(least, min(most, n // ROWS_PER_PARITY_ROW)))
    start = (n - size) // 2
    kinds = {type(one): index for index, one in enumerate(interventions)}
    return slice(start, start + size), sorted(kinds.values())[:PARITY_INTERVENTIONS]


def _numpy(tensor: Tensor) -> np.ndarray:
    plain = tensor.detach().cpu()
    return (plain.float() if plain.dtype in (torch.bfloat16, torch.float16) else plain).numpy()
