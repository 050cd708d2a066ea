"""One checkpoint at one site: features by split, outputs under edits, and the gradient of the margin."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.engine.auto_site import resolve_site
from paribus.experiments.shortcut._margin import margin, margin_weights, positive_class
from paribus.results.schema import EngineReport

if TYPE_CHECKING:
    import torch

    from paribus.engine.intervention import Intervention
    from paribus.experiments.base import Recorder
    from paribus.experiments.checkpoints import Checkpoint
    from paribus.experiments.setup_images import ImageSetup
    from paribus.experiments.shortcut._shortcut_experiment import ShortcutExperiment
    from paribus.subjects.images.data import ImageData


_GRADIENT_ROWS = 512
_OUTPUTS_AT_ONCE = 1 << 24


class SplitInputs:
    """The images of splits, taken once and shared by all checkpoints."""

    def __init__(self, data: ImageData) -> None:
        """Hold nothing yet."""
        self.data = data
        self._taken: dict[tuple[str, ...], torch.Tensor] = {}

    def of(self, *splits: str) -> torch.Tensor:
        """Return the images of ``splits``, one split after the other."""
        if splits not in self._taken:
            rows = np.concatenate([self.data.rows(split) for split in splits])
            self._taken[splits] = self.data.take(rows)
        return self._taken[splits]


@dataclass(frozen=True)
class SplitView:
    """What an experiment knows of one split at one site.

    Attributes:
        name: The split.
        h: Features (position means) [n, d].
        logits: Outputs of the unedited model [n, k].
        labels: Class of each row [n].
        domains: Domain of each row [n].
        clusters: Cluster of each row [n].
    """

    name: str
    h: Floats
    logits: Floats
    labels: Ints
    domains: Ints
    clusters: Ints


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
            dtype=setup.dtype,
            cache=setup.cache,
            key=checkpoint.key,
        )
        self.positive = positive_class(experiment.positive, setup.data.n_classes)
        self.held_out = tuple(split for split in experiment.held_out() if split in setup.data.splits)
        self._inputs = inputs
        self._views: dict[str, SplitView] = {}

    def view(self, split: str) -> SplitView:
        """Return what is known of ``split``."""
        if split not in self._views:
            # The held-out splits go through the network together: what is per call is paid once.
            together = self.held_out if split in self.held_out else (split,)
            inputs = self._inputs.of(*together)
            h, logits = self.engine.pooled(inputs), self.engine.logits(inputs)
            data = self.setup.data
            for name, part in self._parts(together).items():
                rows = data.rows(name)
                self._views[name] = SplitView(
                    name=name,
                    h=np.asarray(h[part], dtype=np.float64),
                    logits=np.asarray(logits[part], dtype=np.float64),
                    labels=np.asarray(data.labels[rows]),
                    domains=np.asarray(data.domains[rows]),
                    clusters=np.asarray(data.clusters[rows]),
                )
        return self._views[split]

    def outputs(self, inputs: torch.Tensor, interventions: Sequence[Intervention]) -> Floats:
        """Return the outputs [i, n, k] under each intervention; the engine's report goes into the diagnostics."""
        evaluation = self.engine.evaluate(inputs, interventions)
        self.recorder.diagnose(engine=EngineReport(**dataclasses.asdict(evaluation.report)))
        return np.asarray(evaluation.outputs)

    def held_out_outputs(self, interventions: Sequence[Intervention]) -> dict[str, Floats]:
        """Return the outputs [i, n, k] under each intervention for every held-out split."""
        outputs = self.outputs(self._inputs.of(*self.held_out), interventions)
        return {split: outputs[:, part] for split, part in self._parts(self.held_out).items()}

    def scores(
        self, splits: tuple[str, ...], interventions: Sequence[Intervention]
    ) -> dict[str, tuple[Floats, Floats]]:
        """Return by split, for each intervention, the accuracy [i] and the margins [i, n]; outputs are not kept."""
        inputs, parts = self._inputs.of(*splits), self._parts(splits)
        step = max(1, _OUTPUTS_AT_ONCE // max(1, len(inputs) * self.setup.data.n_classes))
        found: dict[str, list[tuple[Floats, Floats]]] = {split: [] for split in splits}
        for start in range(0, len(interventions), step):
            outputs = self.outputs(inputs, interventions[start : start + step])
            margins, predicted = margin(outputs, self.positive), outputs.argmax(axis=-1)
            for split, part in parts.items():
                right = (predicted[:, part] == self.view(split).labels).mean(axis=1)
                found[split].append((right, margins[:, part]))
        return {
            split: (np.concatenate([a for a, _ in pieces]), np.concatenate([m for _, m in pieces]))
            for split, pieces in found.items()
        }

    def _parts(self, splits: Sequence[str]) -> dict[str, slice]:
        ends = np.cumsum([0, *(len(self.setup.data.rows(split)) for split in splits)]).tolist()
        return {split: slice(ends[i], ends[i + 1]) for i, split in enumerate(splits)}

    @property
    def is_affine(self) -> bool:
        """Whether everything after the site is affine: then a constant shift of features shifts every margin alike."""
        return self.engine.plan(self._inputs.of("train")).closed is not None

    @cached_property
    def gradient(self) -> Floats:
        """Mean gradient [d] of the margin with respect to the features, over (at most 512) training rows."""
        view = self.view("train")
        readout = self.engine.linear_readout
        if readout is not None:
            weight = np.asarray(readout.weight.detach().cpu(), dtype=np.float64)
            return np.asarray(margin_weights(len(weight), self.positive) @ weight)
        chosen = self.setup.rng("margin_gradient").permutation(len(view.labels))[:_GRADIENT_ROWS]
        return self._backward(self._inputs.of("train")[np.sort(chosen)])

    def _backward(self, inputs: torch.Tensor) -> Floats:
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


def distortion(h: Floats, edited: Floats) -> float:
    """Return the mean over rows of ``|h' - h| / |h|``; rows of zeros are left out."""
    size = np.linalg.norm(h, axis=1)
    some = size > 0
    return float((np.linalg.norm(edited - h, axis=1)[some] / size[some]).mean()) if some.any() else float("nan")
