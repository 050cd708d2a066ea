"""One checkpoint at one site: features by split, outputs under edits, and the gradient of the margin."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from paribus.experiments._margin import margin, margin_weights, positive_class
from paribus.experiments._site import resolve_site
from paribus.results.schema import EngineReport

if TYPE_CHECKING:
    import torch

    from paribus.engine.intervention import Intervention
    from paribus.experiments._shortcut_experiment import ShortcutExperiment
    from paribus.experiments.base import Recorder
    from paribus.experiments.checkpoints import Checkpoint
    from paribus.experiments.setup_images import ImageSetup
    from paribus.subjects.images.data import ImageData

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_GRADIENT_ROWS = 512
_OUTPUTS_AT_ONCE = 1 << 24


class SplitInputs:
    """The images of each split, taken once and shared by all checkpoints."""

    def __init__(self, data: ImageData) -> None:
        """Hold nothing yet."""
        self.data = data
        self._taken: dict[str, torch.Tensor] = {}

    def of(self, split: str) -> torch.Tensor:
        """Return the images of ``split``."""
        if split not in self._taken:
            self._taken[split] = self.data.take(self.data.rows(split))
        return self._taken[split]


@dataclass(frozen=True)
class SplitView:
    """What an experiment knows of one split at one site.

    Attributes:
        name: The split.
        inputs: Images [n, C, H, W].
        h: Features (position means) [n, d].
        logits: Outputs of the unedited model [n, k].
        labels: Class of each row [n].
        domains: Domain of each row [n].
        clusters: Cluster of each row [n].
    """

    name: str
    inputs: torch.Tensor
    h: FloatArray
    logits: FloatArray
    labels: IntArray
    domains: IntArray
    clusters: IntArray


class ShortcutReadout:
    """A checkpoint of the model with an engine at the site; computes nothing before it is asked.

    Attributes:
        checkpoint: The checkpoint.
        site: The site.
        engine: The engine at the site, with the checkpoint's weights.
        positive: The class that the margin leans to.
    """

    def __init__(
        self,
        setup: ImageSetup,
        checkpoint: Checkpoint,
        inputs: SplitInputs,
        experiment: ShortcutExperiment,
        recorder: Recorder,
    ) -> None:
        """Load the checkpoint and put an engine at the experiment's site."""
        from paribus.engine.evaluation import Engine

        self.setup, self.checkpoint, self.recorder = setup, checkpoint, recorder
        self.model = setup.at(checkpoint)
        self.site = resolve_site(experiment.site, self.model)
        self.engine = Engine(
            self.model,
            self.site,
            device=setup.device,
            batch_limit=setup.batch_limit,
            cache=setup.cache,
            key=checkpoint.key,
        )
        self.positive = positive_class(experiment.positive, setup.data.n_classes)
        self._inputs = inputs
        self._views: dict[str, SplitView] = {}

    def view(self, split: str) -> SplitView:
        """Return what is known of ``split``."""
        if split not in self._views:
            data, inputs = self.setup.data, self._inputs.of(split)
            rows = data.rows(split)
            self._views[split] = SplitView(
                name=split,
                inputs=inputs,
                h=np.asarray(self.engine.pooled(inputs), dtype=np.float64),
                logits=np.asarray(self.engine.logits(inputs), dtype=np.float64),
                labels=np.asarray(data.labels[rows]),
                domains=np.asarray(data.domains[rows]),
                clusters=np.asarray(data.clusters[rows]),
            )
        return self._views[split]

    def outputs(self, inputs: torch.Tensor, interventions: Sequence[Intervention]) -> FloatArray:
        """Return the outputs [i, n, k] under each intervention; the engine's report goes into the diagnostics."""
        evaluation = self.engine.evaluate(inputs, interventions)
        self.recorder.diagnose(engine=EngineReport(**dataclasses.asdict(evaluation.report)))
        return np.asarray(evaluation.outputs, dtype=np.float64)

    def scores(self, view: SplitView, interventions: Sequence[Intervention]) -> tuple[FloatArray, FloatArray]:
        """Return for each intervention the accuracy [i] and the margins [i, n], a bounded part of them at a time."""
        k = view.logits.shape[1]
        step = max(1, _OUTPUTS_AT_ONCE // max(1, len(view.labels) * k))
        accuracies, margins = [], []
        for start in range(0, len(interventions), step):
            outputs = self.outputs(view.inputs, interventions[start : start + step])
            margins.append(margin(outputs, self.positive))
            accuracies.append((outputs.argmax(axis=-1) == view.labels).mean(axis=1))
        if not accuracies:
            return np.empty(0), np.empty((0, len(view.labels)))
        return np.concatenate(accuracies), np.concatenate(margins)

    @property
    def is_affine(self) -> bool:
        """Whether everything after the site is affine: then a constant shift of features shifts every margin alike."""
        return self.engine.plan(self._inputs.of("train")).closed is not None

    @cached_property
    def gradient(self) -> FloatArray:
        """Mean gradient [d] of the margin with respect to the features, over (at most 512) training rows."""
        view = self.view("train")
        readout = self.engine.linear_readout
        if readout is not None:
            weight = np.asarray(readout.weight.detach().cpu(), dtype=np.float64)
            return np.asarray(margin_weights(len(weight), self.positive) @ weight)
        chosen = self.setup.rng("margin_gradient").permutation(len(view.labels))[:_GRADIENT_ROWS]
        return self._backward(view.inputs[np.sort(chosen)])

    def _backward(self, inputs: torch.Tensor) -> FloatArray:
        import torch

        from paribus.engine.hooks import at_rest, visiting

        seen: list[Any] = []

        def keep(value: torch.Tensor) -> torch.Tensor:
            leaf = value.detach().requires_grad_(True)
            seen.append(leaf)
            return leaf.clone()

        weights = torch.as_tensor(margin_weights(self.setup.data.n_classes, self.positive))
        total = np.zeros(self.view("train").h.shape[1])
        with at_rest(self.model), torch.enable_grad(), visiting(self.model, self.site, keep):
            for start in range(0, len(inputs), self.setup.batch_limit):
                seen.clear()
                logits = self.model(inputs[start : start + self.setup.batch_limit].to(self.setup.device))
                (gradient,) = torch.autograd.grad((logits @ weights.to(logits)).sum(), seen[0])
                axis = self.site.channel_axis(self.site.validate(self.model), gradient.ndim)
                others = [each for each in range(gradient.ndim) if each != axis]
                total += np.asarray(gradient.sum(dim=others).cpu(), dtype=np.float64)
        return total / len(inputs)


def distortion(h: FloatArray, edited: FloatArray) -> float:
    """Return the mean over rows of ``|h' - h| / |h|``; rows of zeros are left out."""
    size = np.linalg.norm(h, axis=1)
    some = size > 0
    return float((np.linalg.norm(edited - h, axis=1)[some] / size[some]).mean()) if some.any() else float("nan")
