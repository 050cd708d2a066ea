"""Domain and label probes of one checkpoint: kept as fitted on training features, or fitted again on edited ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.experiments.shortcut._edited_site import EditedSite, SplitView
from paribus.stats.scores import balanced_accuracy
from paribus.subspace.concentration import concentration
from paribus.subspace.probes import LinearProbe, balance_weights, fit_probe, grouped_folds


@dataclass(frozen=True)
class FrozenProbes:
    """Probes fitted on unedited training features.

    Attributes:
        domain: The domain probe.
        label: The label probe.
        weights: Weights of the training rows they were fitted with; None for equal ones.
        chance: Balanced accuracy of guessing the domain.

    Scores are balanced accuracies. If the probes were fitted with domain x class weights, rows are also weighed so
    when scoring: on confounded rows the label alone would tell the domain.
    """

    domain: LinearProbe
    label: LinearProbe
    weights: Floats | None
    chance: float

    def domain_score(self, h: Floats, view: SplitView) -> float:
        """Return the balanced accuracy of the domain probe on features of ``view``; NaN where there is one domain."""
        return _score(self.domain, h, view.domains, self.scoring(view.domains, view.labels))

    def label_score(self, h: Floats, view: SplitView) -> float:
        """Return the balanced accuracy of the label probe; NaN where there is one class."""
        return _score(self.label, h, view.labels, self.scoring(view.domains, view.labels))

    def scoring(self, domains: Ints, labels: Ints) -> Floats | None:
        """Return the weights of rows when scoring; None for equal ones."""
        return None if self.weights is None else balance_weights(domains, labels)


def fit_frozen(site: EditedSite, *, balance: bool, rng: np.random.Generator) -> FrozenProbes:
    """Fit both probes on the training features at ``site``."""
    train = site.view("train")
    weights = balance_weights(train.domains, train.labels) if balance else None
    fitted = [
        fit_probe(train.h, target, clusters=train.clusters, rng=rng, weights=weights)
        for target in (train.domains, train.labels)
    ]
    return FrozenProbes(fitted[0], fitted[1], weights, 1.0 / len(fitted[0].classes))


@dataclass
class Measured:
    """What an experiment adds up over checkpoints.

    Attributes:
        site: The site that is edited.
        rows: Rows of its main table.
        differences: Paired differences of each row [n].
        clusters: Clusters of each split.
        concentration: How concentrated the domain is in the training features, as plain values by epoch.
    """

    site: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    differences: list[Floats] = field(default_factory=list)
    clusters: dict[str, Ints] = field(default_factory=dict)
    concentration: dict[int, dict[str, Any]] = field(default_factory=dict)

    def begin(self, site: EditedSite, *, balance: bool) -> FrozenProbes:
        """Fit the probes of the next checkpoint, and keep what they say of its features."""
        self.site = site.name
        frozen = fit_frozen(site, balance=balance, rng=site.setup.rng("probes"))
        train = site.view("train")
        found = concentration(train.h, train.domains, train.labels, weights=frozen.weights)
        self.concentration[site.checkpoint.epoch] = {**asdict(found), "principal_angles": list(found.principal_angles)}
        return frozen


class Refit:
    """Fits probes on one half of a split's clusters and scores them on the other; the halves stay the same."""

    def __init__(self, view: SplitView, frozen: FrozenProbes, rng: np.random.Generator) -> None:
        """Halve the clusters of ``view`` within domain x class."""
        self.view, self.frozen = view, frozen
        _, cell = np.unique(view.domains * (int(view.labels.max()) + 1) + view.labels, return_inverse=True)
        self.first = grouped_folds(np.asarray(cell, dtype=np.int64), view.clusters, 2, rng) == 0
        self.weights, self.scoring = (
            frozen.scoring(view.domains[half], view.labels[half]) if half.any() else None
            for half in (self.first, ~self.first)
        )

    def domain_score(self, h: Floats) -> float:
        """Return the held-out balanced accuracy of a domain probe fitted again on features ``h`` of the split."""
        return self._score(h, self.view.domains, self.frozen.domain.l2)

    def label_score(self, h: Floats) -> float:
        """Return the held-out balanced accuracy of a label probe fitted again on features ``h`` of the split."""
        return self._score(h, self.view.labels, self.frozen.label.l2)

    def _score(self, h: Floats, y: Ints, l2: float) -> float:
        inside, outside = self.first, ~self.first
        if len(np.unique(y[inside])) < 2 or len(np.unique(y[outside])) < 2:
            return float("nan")
        # Nothing is drawn at a given penalty, so the generator does not matter.
        unused = np.random.default_rng(0)
        probe = fit_probe(
            h[inside],
            y[inside],
            clusters=self.view.clusters[inside],
            rng=unused,
            weights=self.weights,
            l2=l2,
            tolerance=1e-4,
        )
        return _score(probe, h[outside], y[outside], self.scoring)


def _score(probe: LinearProbe, h: Floats, y: Ints, weights: Floats | None) -> float:
    if len(np.unique(y)) < 2:
        return float("nan")
    return float(balanced_accuracy(probe.predict(h), y, weights=weights))
