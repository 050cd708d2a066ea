"""Evaluating interventions at one site of one model."""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paribus.engine.batches import FORMATS, Batches, number_format, widened
from paribus.engine.cache import FeatureCache
from paribus.engine.course import Course, Score, TensorOf
from paribus.engine.given import Given, given
from paribus.engine.hooks import at_rest
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.parts import edits_of
from paribus.engine.plan import Plan, Planner, Strategy, agrees, difference, tolerance
from paribus.engine.site_values import SiteValues
from paribus.engine.sites import Site
from paribus.engine.streaming import OutputStream
from paribus.engine.tail import tail_of, without_keys
from paribus.errors import ConfigError, ExperimentError, nearest

log = logging.getLogger(__name__)

# Rows of the parity check: few, because each costs a plain forward pass for every kind of edit in a call.
PARITY_ROWS = (2, 8)
ROWS_PER_PARITY_ROW = 1000

_private_keys = itertools.count()


@dataclass(frozen=True)
class EvaluationReport:
    """How an evaluation was done.

    Attributes:
        strategy: ``closed_form``, ``suffix``, ``tail``, ``resume`` or ``hooks``.
        n_requested: Interventions times examples.
        n_unique: Of these, the ones computed.
        parity_max_abs_diff: Largest difference from the plain model with a hook, on a sample.

    Example:
        >>> EvaluationReport("closed_form", n_requested=100, n_unique=100, parity_max_abs_diff=2e-7).strategy
        'closed_form'
    """

    strategy: str
    n_requested: int
    n_unique: int
    parity_max_abs_diff: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Outputs under interventions.

    Attributes:
        outputs: ``[n_interventions, n, *output]``, of each output what the engine's score keeps.
        report: How they were computed.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> found = Engine(net, "1").evaluate(torch.ones(5, 3), [Identity()])
        >>> found.outputs.shape, found.report.n_requested
        ((1, 5, 2), 5)
    """

    outputs: np.ndarray
    report: EvaluationReport


class Engine:
    """Evaluates interventions at one or several sites of one model, in evaluation mode, without gradients or trace.

    Activations have their channels on axis 1: ``[n, d]`` or ``[n, d, *positions]``, also for token sites. Inputs are a
    tensor, a tuple of them (passed by position) or a mapping (passed by keyword).

    Attributes:
        site: Where; the first of the sites.
        course: All sites that are edited and the one that is read.

    Example:
        >>> from paribus.engine.interventions import AblateUnits
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> found = Engine(net, "1").evaluate(torch.ones(5, 3), [Identity(), AblateUnits([0, 2])])
        >>> found.outputs.shape, found.report.strategy
        ((2, 5, 2), 'closed_form')
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
        tensor_of: TensorOf | None = None,
        strategy: Strategy | None = None,
        also: Sequence[Site | str] = (),
        read: Site | str | None = None,
        score: Score | None = None,
        positions: Sequence[int] | None = None,
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
            tensor_of: Returns the tensor ``[n, ...]`` in what the model returns; None where it returns a tensor, one
                called ``logits`` or only one.
            strategy: Only this way, or :class:`ConfigError`; None for the cheapest exact one.
            also: Further sites that :class:`~paribus.engine.parts.Together` edits in the same pass, all after ``site``.
            read: The site whose value is the output, in its own layout, with all edits; the pass ends there. None for
                what the model returns.
            score: What is kept of the outputs ``[n_rows, *output]`` of the rows of a slice: ``[n_rows, ...]``, such as
                the loss at their targets, so that whole outputs of large vocabularies are never held.
            positions: Which positions (axis 1) of what the model returns, or of what is read, are the output; None for
                all. Negative ones count from the end.

        Raises:
            ConfigError: If the model has no such module, a site is named twice or the number format is unknown.
        """
        there = None if read is None else _site(read)
        kept = None if positions is None else tuple(positions)
        self.course = Course(_site(site), tuple(map(_site, also)), there, tensor_of, kept)
        self.site = self.course.site
        self.device = torch.device(device)
        self._model = model.to(self.device)
        self.course.modules(model)
        own = _format_of(model, torch.float32)
        if isinstance(dtype, str) and dtype not in FORMATS:
            raise ConfigError(f"dtype: no such number format {dtype!r}; {nearest(dtype, FORMATS)}")
        self._dtype = own if dtype is None else FORMATS[dtype] if isinstance(dtype, str) else dtype
        self._weights_dtype = self._dtype if self._dtype in (torch.float32, torch.float64) else own
        self._score = score
        self._wanted = strategy
        self._key = key
        if cache is None:
            cache = FeatureCache.shared() if key is not None else FeatureCache()
        self._cache = cache
        self._batches = Batches(batch_limit)
        self._allowed = tolerance(self._dtype, self.device)
        self._stamp: tuple[Any, ...] | None = None
        self._refresh()

    # ---------------------------------------------------------------- what users ask

    def features(self, inputs: Any) -> Tensor:
        """Return the activations at the site ``[n, d, *positions]``, on the engine's device (do not write to them)."""
        with self._ready(inputs) as (plan, passed):
            return self._values.features(plan, passed)

    def pooled(self, inputs: Any) -> np.ndarray:
        """Return the channel vectors ``[n, d]``: the activations' means over positions."""
        with self._ready(inputs) as (plan, passed):
            return _numpy(self._values.pooled(plan, passed))

    def logits(self, inputs: Any) -> np.ndarray:
        """Return the outputs ``[n, *output]`` without any intervention."""
        found: list[Tensor] = []
        with self._ready(inputs) as (plan, passed):
            self._stream.run(plan, passed, [Identity()], lambda index, output: found.append(output.clone()))
        return _numpy(found[0])

    def evaluate(self, inputs: Any, interventions: Sequence[Intervention]) -> Evaluation:
        """Return the outputs ``[n_interventions, n, *output]`` under each intervention.

        Raises:
            DataError: If there are no inputs, or they differ in length.
            ExperimentError: If an intervention does not fit the site, or equal inputs do not give equal outputs.
        """
        if not interventions:
            raise ExperimentError("no interventions to evaluate")
        with self._ready(inputs) as (plan, passed):
            n = len(passed)
            for one in interventions:
                for layout, edit in zip(plan.layouts, edits_of(one, len(plan.layouts)), strict=True):
                    if edit is not None:
                        edit.check(layout.shape[0], n)
            moved = [one.to(self.device, self._weights_dtype) for one in interventions]
            plan = self._of_call(plan, passed, moved)
            rows, chosen = _parity_sample(n, interventions, self.course.sites)
            outputs: list[np.ndarray] = []
            sampled: dict[int, Tensor] = {}

            def keep(index: int, output: Tensor) -> None:
                if index in chosen:
                    sampled[index] = output[rows].clone()
                if not outputs:
                    outputs.append(np.empty((len(interventions), *output.shape), _numpy(output[:0]).dtype))
                outputs[0][index] = _numpy(output)

            self._stream.run(plan, passed, moved, keep)
            expected = self._stream.reference(plan, passed, rows, [moved[index] for index in chosen])
            got = torch.stack([sampled[index] for index in chosen])
            while not agrees(got, expected, self._allowed) and plan.strategy != "hooks":
                off, refused = difference(got, expected), plan.strategy
                plan = self._instead(plan, passed)
                log.warning("site %s: %s is off by %.3g; using %s instead", self.site, refused, off, plan.strategy)
                self._stream.run(plan, passed, moved, keep)
                got = torch.stack([sampled[index] for index in chosen])
            if not agrees(got, expected, self._allowed):
                raise ExperimentError(
                    f"site {self.site}: a plain pass of the same examples is off by {difference(got, expected):.3g}: "
                    "their outputs change from pass to pass, or with the examples beside them"
                )
        total = n * len(interventions)
        return Evaluation(outputs[0], EvaluationReport(plan.strategy, total, total, difference(got, expected)))

    def plan(self, inputs: Any) -> Plan:
        """Return how inputs of this shape are evaluated."""
        with self._ready(inputs) as (plan, _):
            return plan

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
        same = _format_of(self._model, self._weights_dtype) == self._weights_dtype
        self._running = self._model if same else copy.deepcopy(self._model).to(self._weights_dtype)
        key = self._key if self._key is not None else f"private {next(_private_keys)}"
        rest = (*map(str, self.course.also), str(self.course.read))
        names = (str(self._dtype), str(self.device), rest)
        self._values = SiteValues(self._running, self.site, self._cache, key, self._batches, names)
        self._stream = OutputStream(self._values, self.course, self._score)

    @contextlib.contextmanager
    def _ready(self, inputs: Any) -> Iterator[tuple[Plan, Given]]:
        passed = given(inputs)
        self._refresh()
        quiet = without_keys(self._running)
        with at_rest(self._model, self._running), quiet, number_format(self.device, self._dtype):
            yield self._plan(passed), passed

    def _plan(self, inputs: Given) -> Plan:
        if inputs.signature not in self._plans:
            self._plans[inputs.signature] = self._planned(inputs, self._wanted)
        return self._plans[inputs.signature]

    def _planned(self, inputs: Given, wanted: Strategy | None) -> Plan:
        planner = Planner(self._running, self.course, self._score, wanted, self._allowed)
        return planner.plan(self._values.rows(inputs, slice(0, 3)))

    def _of_call(self, plan: Plan, inputs: Given, interventions: Sequence[Intervention]) -> Plan:
        """Return the plan of one call: edits of late positions alone need only these, where the model keeps keys."""
        if plan.resume is None or not plan.resume.keeps_keys or self._wanted == "resume":
            return plan
        # of a value with several axes of positions (an attention pattern) none is that of the sequence alone
        by_sequence = all(len(layout.shape) == 2 for layout in plan.layouts)
        tail = tail_of(interventions, inputs) if by_sequence else None
        if tail is None and self._wanted == "tail":
            raise ExperimentError(f"site {self.site}: an edit reaches back to the first position, so there is no tail")
        return plan if tail is None else replace(plan, strategy="tail", tail=tail)

    def _instead(self, plan: Plan, inputs: Given) -> Plan:
        """Return the next strategy after one failed the parity check; these inputs use it from then on."""
        if plan.tail is not None and plan.resume is not None:
            resume = replace(plan.resume, keeps_keys=False)
            plan = replace(plan, strategy="resume" if any(resume.upto) else "hooks", tail=None, resume=resume)
        else:
            plan = self._planned(inputs, "hooks")
        self._plans[inputs.signature] = plan
        return plan


def _format_of(model: nn.Module, otherwise: torch.dtype) -> torch.dtype:
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), otherwise)


def _site(site: Site | str) -> Site:
    return Site.parse(site) if isinstance(site, str) else site


def _parity_sample(n: int, interventions: Sequence[Intervention], sites: Sequence[Site]) -> tuple[slice, list[int]]:
    """Choose a few rows from the middle, and of every kind of edit and place the last one.

    The same module of several layers is one kind of place; of it, the first and the last one are taken.
    """
    least, most = PARITY_ROWS
    size = min(n, max(least, min(most, n // ROWS_PER_PARITY_ROW)))
    start = (n - size) // 2
    of_site: dict[Any, int] = {}
    for index, one in enumerate(interventions):
        of_site[one.kind] = index
    kinds: dict[Any, list[int]] = {}
    for index in of_site.values():
        kinds.setdefault(_kind_of_place(interventions[index], sites), []).append(index)
    return slice(start, start + size), sorted({members[end] for members in kinds.values() for end in (0, -1)})


def _kind_of_place(one: Intervention, sites: Sequence[Site]) -> Any:
    if len(sites) == 1:
        return one.kind
    edits = zip(sites, edits_of(one, len(sites)), strict=True)
    return tuple((re.sub(r"\d+", "N", str(site)), edit.kind) for site, edit in edits if edit is not None)


def _numpy(tensor: Tensor) -> np.ndarray:
    plain = tensor.detach().cpu()
    return widened(plain).numpy()
