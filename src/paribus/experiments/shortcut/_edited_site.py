"""One checkpoint at the site that is edited: features by split, outputs under edits, and the margin's gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from paribus.arrays import Bools, Floats, Ints
from paribus.engine.auto_site import resolve_site
from paribus.engine.closed_form import ClosedForm
from paribus.engine.given import Given
from paribus.engine.intervention import Intervention
from paribus.experiments.base import Recorder
from paribus.experiments.checkpoints import Checkpoint, say_choice
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut._margin import margin, margin_weights, positive_class, refuse_other_outputs
from paribus.experiments.shortcut._spec import ShortcutExperiment

_GRADIENT_ROWS = 512
_OUTPUTS_AT_ONCE = 1 << 24


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
        positive: Whether its label is the class that the margin leans to, 0 or 1 [n].
    """

    name: str
    h: Floats
    logits: Floats
    labels: Ints
    domains: Ints
    clusters: Ints
    positive: Ints

    @property
    def correct(self) -> Bools:
        """Whether the unedited network predicts the label of each row [n]."""
        return np.asarray(self.logits.argmax(axis=1) == self.labels)


class EditedSite:
    """A checkpoint of the model at the site that an experiment edits; everything is computed on demand.

    Attributes:
        setup: What the experiment works on.
        checkpoint: The checkpoint.
        at: The network with the checkpoint's weights at the site.
        positive: The class that the margin leans to.
        held_out: The splits that edits are evaluated on. They go through the network together, which saves the cost per
            call.
    """

    def __init__(
        self, setup: NetworkSetup, checkpoint: Checkpoint, experiment: ShortcutExperiment, recorder: Recorder
    ) -> None:
        """Load the checkpoint and look the experiment's site up."""
        self.setup, self.checkpoint, self.recorder = setup, checkpoint, recorder
        executor = setup.executor(checkpoint)
        self.at = executor.at(resolve_site(experiment.site, executor.network))
        self.positive = positive_class(experiment.positive, setup.contexts.n_classes)
        self.held_out = tuple(split for split in experiment.held_out() if split in setup.contexts.splits)
        self._given: dict[tuple[str, ...], Given] = {}
        self._views: dict[str, SplitView] = {}

    @property
    def name(self) -> str:
        """The site, as text."""
        return str(self.at.site)

    @property
    def head(self) -> dict[str, Any]:
        """The columns that every row of a checkpoint starts with."""
        return {"epoch": self.checkpoint.epoch, "selected_on_ood": self.checkpoint.on_reported_split}

    def view(self, split: str) -> SplitView:
        """Return what is known of ``split``."""
        if split not in self._views:
            together = self.held_out if split in self.held_out else (split,)
            inputs, contexts = self._inputs(together), self.setup.contexts
            h, logits = self.at.vectors(inputs), self.at.outputs(inputs)
            refuse_other_outputs(logits, contexts.label)
            for name, part in self._parts(together).items():
                rows = contexts.splits[name]
                self._views[name] = SplitView(
                    name=name,
                    h=h[part],
                    logits=logits[part],
                    labels=np.asarray(contexts.label[rows]),
                    domains=np.asarray(contexts.domain[rows]),
                    clusters=np.asarray(contexts.cluster[rows]),
                    positive=np.asarray(contexts.label[rows] == self.positive, dtype=np.int64),
                )
        return self._views[split]

    def outputs(self, cells: Any, interventions: Sequence[Intervention]) -> np.ndarray:
        """Return the outputs [i, n, k] under each intervention; the engine's report goes into the diagnostics."""
        outputs, report = self.at.edited(cells, interventions)
        self.recorder.diagnose(engine=report)
        return outputs

    def held_out_outputs(self, interventions: Sequence[Intervention]) -> dict[str, np.ndarray]:
        """Return the outputs [i, n, k] under each intervention for every held-out split."""
        outputs = self.outputs(self._inputs(self.held_out), interventions)
        return {split: outputs[:, part] for split, part in self._parts(self.held_out).items()}

    def scores(
        self, splits: tuple[str, ...], interventions: Sequence[Intervention]
    ) -> dict[str, tuple[Floats, Floats]]:
        """Return by split, for each intervention, the accuracy [i] and the margins [i, n]; outputs are not kept."""
        inputs, parts = self._inputs(splits), self._parts(splits)
        step = max(1, _OUTPUTS_AT_ONCE // max(1, len(inputs) * self.view(splits[0]).logits.shape[1]))
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

    def starts(self) -> dict[str, int]:
        """Return where each held-out split begins when they are evaluated together."""
        return {split: part.start for split, part in self._parts(self.held_out).items()}

    def _inputs(self, splits: tuple[str, ...]) -> Given:
        """Return the inputs of splits, one after the other; the same object whenever it is asked for."""
        if splits not in self._given:
            contexts = self.setup.contexts
            rows = np.concatenate([contexts.splits[split] for split in splits])
            self._given[splits] = contexts.held(contexts.cells(rows))
        return self._given[splits]

    def _parts(self, splits: Sequence[str]) -> dict[str, slice]:
        ends = np.cumsum([0, *(len(self.setup.contexts.splits[split]) for split in splits)]).tolist()
        return {split: slice(ends[i], ends[i + 1]) for i, split in enumerate(splits)}

    @cached_property
    def _closed_form(self) -> ClosedForm | None:
        return self.at.closed_form(self._inputs(("train",)))

    @property
    def is_affine(self) -> bool:
        """Whether everything after the site is affine: then a constant shift of features shifts every margin alike."""
        return self._closed_form is not None

    @cached_property
    def head_weight(self) -> Floats | None:
        """Weight [k, d] of the affine map from features to outputs; None where what follows the site is not that."""
        linear = None if self._closed_form is None else self._closed_form.linear
        return None if linear is None else np.asarray(linear.weight.detach().cpu(), dtype=np.float64)

    @cached_property
    def gradient(self) -> Floats:
        """Mean gradient [d] of the margin with respect to the features, over (at most 512) training rows."""
        view = self.view("train")
        weights = margin_weights(view.logits.shape[1], self.positive)
        if self.head_weight is not None:
            return np.asarray(weights @ self.head_weight)
        chosen = self.setup.rng("margin_gradient").permutation(len(view.labels))[:_GRADIENT_ROWS]
        contexts, u = self.setup.contexts, torch.as_tensor(weights)
        cells = contexts.cells(contexts.splits["train"][np.sort(chosen)])
        return self.at.gradient(cells, lambda logits: logits @ u.to(logits))


def edited_sites(experiment: ShortcutExperiment, setup: NetworkSetup, recorder: Recorder) -> Iterator[EditedSite]:
    """Yield the site of every chosen checkpoint, one after the other: the network is one object.

    Raises:
        ConfigError: If site, class or checkpoint do not exist.
    """
    chosen, splits = setup.selected(), setup.contexts.splits
    recorder.diagnose(n_contexts_tested=sum(len(splits[one]) for one in experiment.held_out() if one in splits))
    say_choice(chosen, experiment.held_out(), recorder)
    for checkpoint in recorder.progress(chosen, total=len(chosen), description=experiment.type):
        yield EditedSite(setup, checkpoint, experiment, recorder)


def distortion(h: Floats, edited: Floats) -> float:
    """Return the mean over rows of ``|h' - h| / |h|``; rows of zeros are left out."""
    size = np.linalg.norm(h, axis=1)
    some = size > 0
    return float((np.linalg.norm(edited - h, axis=1)[some] / size[some]).mean()) if some.any() else float("nan")
