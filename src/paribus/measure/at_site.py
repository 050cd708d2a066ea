"""A network at one of its sites: the values there, the outputs with and without edits there, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Floats
from paribus.engine.batches import Batches
from paribus.engine.closed_form import ClosedForm
from paribus.engine.course import output_tensor
from paribus.engine.evaluation import Engine
from paribus.engine.given import Given
from paribus.engine.hooks import at_rest, check_visited, visiting
from paribus.engine.intervention import Intervention
from paribus.engine.sites import Site
from paribus.measure.subject import Subject
from paribus.results.schema import EngineReport

Score = Callable[[Tensor], Tensor]
"""From outputs ``[m, *output]`` to one number per row ``[m]``."""


class AtSite:
    """A network at one site, for cells of one subject; computes on demand, and nothing twice.

    All cells of a call go together, through :class:`~paribus.engine.evaluation.Engine`. The value at the site is kept
    by the engine's cache, so a second call about the same cells costs only what follows the site. Inputs that are at
    hand already (:class:`~paribus.engine.given.Given`) may be given for cells.

    Attributes:
        site: The site.

    Example:
        >>> from paribus.engine.interventions import AblateUnits, Identity
        >>> from paribus.measure import ArraySubject, Contexts, Executor
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> subject = ArraySubject(Contexts(inputs=torch.ones(5, 3)))
        >>> here, cells = Executor(net, subject).at("1"), subject.cells(np.arange(5))
        >>> here.vectors(cells).shape, here.outputs(cells).shape
        ((5, 4), (5, 2))
        >>> outputs, report = here.edited(cells, [Identity(), AblateUnits([0])])
        >>> outputs.shape, report.strategy
        ((2, 5, 2), 'closed_form')
    """

    def __init__(
        self, engine: Engine, network: nn.Module, subject: Subject, *, moved: Callable[[Given], Given], batches: Batches
    ) -> None:
        """Prepare.

        Args:
            engine: The engine at the site.
            network: The network, on its device.
            subject: Makes cells inputs.
            moved: Brings inputs to the network's device and number format.
            batches: How many rows at once go through the network for gradients.
        """
        self.site: Site = engine.site
        self._engine, self._network, self._subject = engine, network, subject
        self._moved, self._batches = moved, batches

    def _inputs(self, cells: Any) -> Given:
        return cells if isinstance(cells, Given) else self._subject.held(cells)

    def vectors(self, cells: Any) -> Floats:
        """Return the vectors ``[m, d]`` of cells ``[m]`` at the site: means over positions."""
        return np.asarray(self._engine.pooled(self._inputs(cells)), dtype=np.float64)

    def outputs(self, cells: Any) -> Floats:
        """Return what the unedited network gives for cells ``[m]``: ``[m, *output]``."""
        return np.asarray(self._engine.logits(self._inputs(cells)), dtype=np.float64)

    def edited(self, cells: Any, acts: Sequence[Intervention]) -> tuple[np.ndarray, EngineReport]:
        """Return the outputs ``[acts, m, *output]`` of cells ``[m]`` under each intervention, and how they were made.

        Raises:
            ExperimentError: If an intervention does not fit the site.
        """
        found = self._engine.evaluate(self._inputs(cells), acts)
        how = found.report
        return found.outputs, EngineReport(how.strategy, how.n_requested, how.n_unique, how.parity_max_abs_diff)

    def closed_form(self, cells: Any) -> ClosedForm | None:
        """Return the affine map from the site to the outputs of inputs like ``cells``; None if it is not affine."""
        return self._engine.plan(self._inputs(cells)).closed

    def gradient(self, cells: Any, score: Score) -> Floats:
        """Return the mean gradient ``[d]`` of a score of the output with respect to the vector at the site.

        Where the site has positions, a change of the vector is the same change at every one of them.

        Args:
            cells: Flat cells ``[m]``.
            score: From outputs to one number per row.
        """
        passed = cells if isinstance(cells, Given) else self._subject.inputs(cells)
        seen: list[Tensor] = []
        parts: dict[int, Floats] = {}

        def keep(value: Tensor) -> Tensor:
            leaf = value.detach().requires_grad_(True)
            seen.append(leaf)
            return leaf.clone()

        def step(rows: slice) -> None:
            seen.clear()
            batch = self._moved(passed.take(rows))
            with visiting(self._network, self.site, keep) as visitor:
                output = output_tensor(batch.call(self._network), type(self._network).__name__)
            check_visited(self.site, visitor.calls)
            (gradient,) = torch.autograd.grad(score(output).sum(), seen[0])
            axis = self.site.channel_axis(self._network, gradient.shape)
            others = [each for each in range(gradient.ndim) if each != axis]
            parts[rows.start] = np.asarray(gradient.sum(dim=others).cpu(), dtype=np.float64)

        with at_rest(self._network), torch.enable_grad():
            self._batches.run(0, len(passed), step)
        return np.asarray(sum(parts.values()) / len(passed))
