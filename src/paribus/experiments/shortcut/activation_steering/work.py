"""Moves features along directions at one checkpoint after the other: the rows of the steering sweep."""

from __future__ import annotations

from typing import Any

import numpy as np

from paribus.arrays import Floats
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Steer
from paribus.experiments.base import Recorder
from paribus.experiments.fitting import fitted, headline_split, offers_of
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut._edited_site import EditedSite, SplitView, edited_sites
from paribus.experiments.shortcut._effects import auroc_influence, ends_at
from paribus.experiments.shortcut._margin import aurocs, margin, ranking
from paribus.experiments.shortcut._nulls import KINDS, NULL_PREFIX, NullDraws, score_draws
from paribus.experiments.shortcut._probes import FrozenProbes
from paribus.experiments.shortcut._responses import Summed, area, area_interval, in_sd, slopes
from paribus.experiments.shortcut.activation_steering.report import PREFIX_OF, SPLIT_OF, Steered, Sweep, report
from paribus.experiments.shortcut.activation_steering.spec import ActivationSteering
from paribus.results.schema import Aggregates
from paribus.stats.intervals import ONE_CLASS
from paribus.stats.nulls import null_columns
from paribus.stats.scores import auroc
from paribus.stats.shares import shares
from paribus.subspace.bases import covariance_root
from paribus.subspace.directions import find_direction, orient, projected_sd, random_directions


def run(experiment: ActivationSteering, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Run on every chosen checkpoint; hand over the tables ``sweep`` and ``responses``, figure and curves.

    Raises:
        ConfigError: If site, class or checkpoint do not exist.
        DataError: If the training split has fewer than two domains, or nothing is held out.
        ExperimentError: If nothing tells the domains apart at the site.
    """
    experiment = fitted(experiment, offers_of(setup.contexts), recorder)
    measuring = _Measuring(experiment, setup, recorder)
    for site in edited_sites(experiment, setup, recorder):
        measuring.add(site)
    return report(setup, recorder, measuring.found)


class _Measuring:
    """Adds up the rows of all checkpoints in ``found``."""

    def __init__(self, experiment: ActivationSteering, setup: NetworkSetup, recorder: Recorder) -> None:
        """Start without rows."""
        self.experiment, self.setup, self.recorder = experiment, setup, recorder
        self.alphas = experiment.levels()
        held_out = [split for split in experiment.held_out() if split in setup.contexts.splits]
        self.shown = headline_split(held_out, offers_of(setup.contexts))
        self.found = Steered(shown=self.shown, alphas=self.alphas)

    def add(self, site: EditedSite) -> None:
        """Add the rows of one checkpoint."""
        frozen = self.found.begin(site, balance=self.experiment.fit_balance)
        train, gradient = site.view("train"), site.gradient
        for name in self.experiment.directions:
            found = find_direction(
                name,
                train.h,
                train.domains,
                clusters=train.clusters,
                rng=self.setup.rng(f"direction/{name}"),
                weights=frozen.weights,
            )
            direction = orient(found, gradient)
            sigma = float(projected_sd(train.h, direction))
            self._sweep(site, frozen, name, direction, sigma)

    def _sweep(self, site: EditedSite, frozen: FrozenProbes, name: str, direction: Floats, sigma: float) -> None:
        edits: list[Intervention] = [Steer(direction, alpha * sigma) for alpha in self.alphas]  # type: ignore[arg-type]
        there = {prefix: split for prefix, split in SPLIT_OF.items() if split in site.held_out}
        head_of_shown = PREFIX_OF[self.shown]
        views = {prefix: site.view(split) for prefix, split in there.items()}
        by_split = site.held_out_outputs(edits)
        outputs = {prefix: by_split[split] for prefix, split in there.items()}
        shown, margins = views[head_of_shown], margin(outputs[head_of_shown], site.positive)
        correct = {p: (outputs[p].argmax(axis=-1) == view.labels).astype(np.float64) for p, view in views.items()}
        intervals = {p: shares(correct[p].T, view.clusters, spec=self.setup.stats) for p, view in views.items()}
        areas = aurocs(margins, shown.logits, shown.positive)
        nulls = {kind: self._null(site, shown, kind, sigma) for kind in KINDS}
        size = np.linalg.norm(shown.h, axis=1)
        zero, id_val = self.alphas.index(0.0), views.get("head_id")
        base = outputs[head_of_shown][zero].argmax(axis=-1) == site.positive
        for number, alpha in enumerate(self.alphas):
            now = outputs[head_of_shown][number].argmax(axis=-1) == site.positive
            shift = alpha * sigma * direction
            row: dict[str, Any] = {**site.head, "direction": name, "alpha": alpha, "sigma": sigma}
            for prefix in there:
                row[f"{prefix}_acc"] = float(correct[prefix][number].mean())
                row |= ends_at(intervals[prefix], number, "ci" if prefix == head_of_shown else f"{prefix}_ci")
            row.update(
                n=len(shown.labels),
                auroc=float(areas[number]),
                mean_margin=float(margins[number].mean()),
                flipped_to_positive=float((now & ~base).mean()),
                flipped_to_negative=float((~now & base).mean()),
                domain_probe_frozen=frozen.domain_score(id_val.h + shift, id_val) if id_val else float("nan"),
                label_probe_frozen=frozen.label_score(shown.h + shift, shown),
                relative_norm=float(np.mean(abs(alpha) * sigma / size[size > 0])) if (size > 0).any() else float("nan"),
            )
            for kind in KINDS:
                row.update(null_columns(row[f"{head_of_shown}_acc"], nulls[kind].accuracy[number], NULL_PREFIX[kind]))
            self.found.rows.append(row)
            self.found.differences.append(correct[head_of_shown][number] - correct[head_of_shown][zero])
        gradient = site.gradient
        steep = float(np.linalg.norm(gradient))
        self.found.sweeps.append(
            Sweep(
                epoch=site.checkpoint.epoch,
                direction=name,
                sigma=sigma,
                gradient_along=float(direction @ gradient),
                cos_head=float(direction @ gradient) / steep if steep > 0 else float("nan"),
                threshold_only=site.is_affine,
                margin_shift_per_alpha=float(np.polyfit(self.alphas, margins.mean(axis=1), 1)[0]),
                correct=correct[head_of_shown].T,
                response=self._response(site, name, sigma, correct[head_of_shown], margins, nulls),
            )
        )

    def _response(
        self,
        site: EditedSite,
        name: str,
        sigma: float,
        correct: Floats,
        margins: Floats,
        nulls: dict[str, NullDraws],
    ) -> dict[str, Any]:
        """Return what sums the curves of one direction up: the slope of the margin, the areas, and their nulls."""
        view, spec, zero = site.view(self.shown), self.setup.stats, self.alphas.index(0.0)
        steep = slopes(self.alphas, margins)
        rng = self.setup.rng(f"responses/{name}")
        slope = in_sd(steep, margins[zero][None], view.clusters, spec=spec, rng=rng)
        spread = float(margins[zero].std())
        moved = (correct - correct[zero]).T
        found = {
            "accuracy_area": area_interval(
                self.alphas, moved.mean(axis=0), moved - moved.mean(axis=0), view.clusters, spec=spec, rng=rng
            ),
            "auroc_area": self._auroc_area(site, margins, rng),
        }
        row: dict[str, Any] = {
            **site.head,
            "direction": name,
            "sigma": sigma,
            "n": len(view.labels),
            "n_clusters": len(np.unique(view.clusters)),
            "threshold_only": site.is_affine,
            "margin_sd": spread,
            "margin_slope": float(steep.mean()),
            "slope_in_sd": slope.value,
            **slope.ends("slope"),
        }
        for response, summed in found.items():
            row.update({response: summed.value, **summed.ends(response)})
        for kind, null in nulls.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                drawn = slopes(self.alphas, null.margin) / spread if null.margin.size else np.empty(0)
            row.update(null_columns(row["slope_in_sd"], drawn, f"slope_{NULL_PREFIX[kind]}"))
            areas = area(self.alphas, (null.accuracy - null.accuracy[zero]).T) if null.accuracy.size else np.empty(0)
            row.update(null_columns(row["accuracy_area"], areas, f"accuracy_area_{NULL_PREFIX[kind]}"))
        return row

    def _auroc_area(self, site: EditedSite, margins: Floats, rng: np.random.Generator) -> Summed:
        view, zero = site.view(self.shown), self.alphas.index(0.0)
        truth = view.positive
        if len(np.unique(truth)) < 2:
            return Summed(float("nan"), float("nan"), float("nan"), ONE_CLASS)
        # A shift of all margins alike leaves the AUROC as it is, also where rounding makes or breaks a tie.
        level = margins[zero][None] if site.is_affine else margins
        level = np.broadcast_to(level, margins.shape)
        level = ranking(level, view.logits)
        areas, influence = np.asarray(auroc(level.T, truth)), auroc_influence(level.T, truth)
        return area_interval(
            self.alphas,
            areas - areas[zero],
            influence - influence[:, [zero]],
            view.clusters,
            spec=self.setup.stats,
            rng=rng,
        )

    def _null(self, site: EditedSite, view: SplitView, kind: str, sigma: float) -> NullDraws:
        """Return what random directions do that are moved as far as the direction itself is [alphas, n_null]."""
        train, n = site.view("train").h, self.setup.stats.n_null
        if not n:
            return NullDraws(np.empty((len(self.alphas), 0)), np.empty((len(self.alphas), 0)))
        rng = self.setup.rng(f"null/{kind}")
        drawn = random_directions(n, train.shape[1], kind=kind, rng=rng, root=covariance_root(train))
        turned = orient(drawn, site.gradient)
        moved = [alpha for alpha in self.alphas if alpha]
        draws: list[Intervention] = [Steer(v, alpha * sigma) for alpha in moved for v in turned]
        scored = score_draws(site, (view.name,), draws, with_auroc=False)[view.name]
        unmoved = float((view.logits.argmax(axis=1) == view.labels).mean())
        level = float(margin(view.logits, site.positive).mean())

        def by_alpha(found: Floats, at_zero: float) -> Floats:
            rows = found.reshape(len(moved), n)
            return np.stack([rows[moved.index(alpha)] if alpha else np.full(n, at_zero) for alpha in self.alphas])

        return NullDraws(by_alpha(scored.accuracy, unmoved), by_alpha(scored.margin, level))
