"""Shows contents in every domain's style at one checkpoint after the other: the rows of both tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from paribus.arrays import Floats, Ints
from paribus.engine.auto_site import resolve_site
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.checkpoints import Checkpoint, say_choice
from paribus.experiments.fitting import fitted, offers_of
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut._effects import ends_at
from paribus.experiments.shortcut._endpoints import ALL
from paribus.experiments.shortcut._margin import margin, positive_class, refuse_other_outputs
from paribus.experiments.shortcut._responses import in_sd
from paribus.experiments.shortcut._styles import restyled, signed_shift
from paribus.experiments.shortcut.domain_swap.report import Swapped, report
from paribus.experiments.shortcut.domain_swap.spec import DomainSwap
from paribus.results.schema import Aggregates, EngineReport
from paribus.stats.bootstrap import cluster_interval
from paribus.stats.intervals import SHARE_GAP
from paribus.stats.shares import shares


def run(experiment: DomainSwap, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Run on every chosen checkpoint; hand over the tables ``styles`` and ``signed_swap`` and their figures.

    Raises:
        DataError: If the data set cannot show its contents in another style.
        ConfigError: If the class or the checkpoint does not exist.
    """
    positive = positive_class(experiment.positive, setup.contexts.n_classes)
    experiment = fitted(experiment, offers_of(setup.contexts), recorder)
    measuring = _Measuring(experiment, setup, recorder, positive)
    chosen = setup.selected()
    for checkpoint in recorder.progress(chosen, total=len(chosen), description=experiment.type):
        measuring.add(checkpoint)
    say_choice(chosen, experiment.splits, recorder)
    return report(measuring.found, setup, recorder)


class _Measuring:
    """Adds up the rows of all checkpoints in ``found``."""

    def __init__(self, experiment: DomainSwap, setup: NetworkSetup, recorder: Recorder, positive: int) -> None:
        """Put every content into every style, once for all checkpoints."""
        self.setup, self.recorder, self.positive = setup, recorder, positive
        contexts, names = setup.contexts, list(experiment.splits)
        rows = [contexts.splits[name] for name in names]
        members = {
            name: np.arange(start, start + len(part))
            for name, part, start in zip(names, rows, np.cumsum([0, *map(len, rows[:-1])]), strict=True)
        }
        together = np.concatenate(rows)
        if len(names) > 1:
            members[ALL] = np.arange(len(together))
        shown = restyled(contexts, together, range(len(contexts.domain_names)))
        assert shown is not None
        self.shown = shown
        self.trained = [number for number, style in enumerate(shown.styles) if style in contexts.train_domains]
        self.labels = contexts.label[together]
        self.found = Swapped(
            shown=shown,
            pooled_name=ALL if len(names) > 1 else names[0],
            members=members,
            clusters={name: contexts.cluster[together[some]] for name, some in members.items()},
        )

    def add(self, checkpoint: Checkpoint) -> None:
        """Run one checkpoint on all renderings."""
        logits = self._logits(checkpoint)
        margins = margin(logits, self.positive)
        right = (logits.argmax(axis=-1) == self.labels).astype(np.float64)
        predicted = logits.argmax(axis=-1)
        toward = signed_shift(logits[self.trained], self.shown.only(self.trained))
        for name, members in self.found.members.items():
            head = {"epoch": checkpoint.epoch, "selected_on_ood": checkpoint.on_reported_split, "split": name}
            spread = float(margins[self.trained][:, members].std())
            self.found.signed.append({**head, "n": len(members), "margin_sd": spread})
            self.found.signed_shifts.append(toward[members])
            self.found.signed_in_sd.append(self._in_sd(toward[members], margins[self.trained][:, members], name, head))
            if name != ALL:
                self._add_styles(head, members, margins[:, members], right[:, members], predicted[:, members])

    def _in_sd(self, shifts: Floats, margins: Floats, name: str, head: dict[str, Any]) -> dict[str, Any]:
        """Return the interval of the mean shift in sd of the margin, as columns."""
        rng = self.setup.rng(f"domain_swap/in_sd/{head['epoch']}/{name}")
        return in_sd(shifts, margins, self.found.clusters[name], spec=self.setup.stats, rng=rng).ends("in_sd")

    def _add_styles(self, head: dict[str, Any], members: Ints, margins: Floats, right: Floats, predicted: Ints) -> None:
        contexts, stats = self.setup.contexts, self.setup.stats
        against = right - right[self.trained].mean(axis=0)
        rng = self.setup.rng(f"domain_swap/accuracy/{head['epoch']}/{head['split']}")
        clusters = contexts.cluster[self.shown.rows[members]]
        accuracies = shares(right.T, clusters, spec=stats)
        changes = cluster_interval(against.T, clusters, spec=stats, rng=rng, bounds=SHARE_GAP)
        for number, style in enumerate(self.shown.styles):
            paired = self.shown.paired_class.get(style)
            self.found.styles.append(
                {
                    **head,
                    "style": contexts.domain_names[style],
                    "paired_class": "" if paired is None else contexts.output_names[paired],
                    "n": len(members),
                    "head_acc": right[number].mean(),
                    **ends_at(accuracies, number, "head_acc_ci"),
                    "delta_acc": against[number].mean(),
                    **ends_at(changes, number, "delta_acc_ci"),
                    "mean_margin": margins[number].mean(),
                    "flipped": (predicted[number] != predicted[self.trained[0]]).mean(),
                }
            )
            self.found.style_shifts.append(margins[number] - margins[self.trained].mean(axis=0))

    def _logits(self, checkpoint: Checkpoint) -> Floats:
        """Return outputs [styles, n, k] of one checkpoint."""
        executor = self.setup.executor(checkpoint)
        at = executor.at(_any_site(executor.network))
        by_style = [at.outputs(cells) for cells in self.shown.cells]
        refuse_other_outputs(by_style[0], self.setup.contexts.label)
        outputs = np.stack(by_style)
        total = outputs.shape[0] * outputs.shape[1]
        self.recorder.diagnose(engine=EngineReport(strategy="inputs", n_requested=total, n_unique=total))
        return outputs


def _any_site(model: nn.Module) -> Site:
    """Return a site to run the model through: the usual one, or, without a linear layer, the last module."""
    try:
        return resolve_site("auto", model)
    except ConfigError:
        return Site(next(reversed(dict(model.named_modules()))))
