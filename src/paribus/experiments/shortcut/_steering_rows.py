"""Measures what moving along a direction does at one checkpoint after the other: the rows of the steering sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from paribus.arrays import Floats
from paribus.experiments.fitting import headline_split
from paribus.experiments.shortcut._concentration_report import concentration_aggregates
from paribus.experiments.shortcut._margin import margin
from paribus.experiments.shortcut._probe_scores import FrozenProbes, fit_frozen
from paribus.experiments.shortcut._responses import Summed, area, area_interval, in_sd, slopes
from paribus.experiments.shortcut._shortcut_readout import ShortcutReadout, SplitView
from paribus.experiments.shortcut._split_effects import auroc_influence
from paribus.experiments.shortcut._subspace_nulls import KINDS, null_columns, score_draws
from paribus.stats.intervals import ONE_CLASS
from paribus.stats.scores import auroc
from paribus.stats.shares import shares

if TYPE_CHECKING:
    from paribus.engine.intervention import Intervention
    from paribus.experiments.base import Recorder
    from paribus.experiments.setup_images import ImageSetup
    from paribus.experiments.shortcut.activation_steering import ActivationSteering

SPLIT_OF = {"head_ood": "ood", "head_id": "id_val", "head_val": "val"}
PREFIX_OF = {split: prefix for prefix, split in SPLIT_OF.items()}
NULL_PREFIX = {"isotropic": "null", "covariance": "null_covariance"}


@dataclass(frozen=True)
class Sweep:
    """One direction at one checkpoint.

    Attributes:
        epoch: The checkpoint's epoch.
        direction: Name of the direction.
        sigma: Standard deviation of training features along it.
        gradient_along: Mean gradient of the margin along it, after it was turned: not negative.
        cos_head: Cosine with the margin's gradient; at a linear head with ``w_positive - mean of the others``.
        threshold_only: Whether every margin shifts alike.
        margin_shift_per_alpha: Slope of the mean margin on alpha.
        correct: Whether each context of the shown split is classified right at each alpha [n, alphas].
        response: Its row of the table ``responses``.
    """

    epoch: int
    direction: str
    sigma: float
    gradient_along: float
    cos_head: float
    threshold_only: bool
    margin_shift_per_alpha: float
    correct: Floats
    response: dict[str, Any]


@dataclass(frozen=True)
class SweepNull:
    """What random directions do.

    Attributes:
        accuracy: Accuracy on the shown split [alphas, n_null].
        margin: Mean margin there [alphas, n_null].
    """

    accuracy: Floats
    margin: Floats


class SteeringRows:
    """Collects the rows of all checkpoints.

    Attributes:
        site: Where the edits are made, as it was found.
        shown: The split that the sweep is about: ood, or in data without one id_val.
        rows: One mapping per checkpoint x direction x alpha, without effects.
        differences: For each row, the change of correctness of each context of that split against alpha 0.
        sweeps: One entry per checkpoint x direction, in order.
        concentration: The concentration measures by epoch.
    """

    def __init__(self, experiment: ActivationSteering, setup: ImageSetup, recorder: Recorder) -> None:
        """Start without rows."""
        self.experiment, self.setup, self.recorder = experiment, setup, recorder
        self.alphas = experiment.levels()
        held_out = [split for split in experiment.held_out() if split in setup.data.splits]
        self.shown = headline_split(held_out, setup.data.offers)
        self.site = ""
        self.rows: list[dict[str, Any]] = []
        self.differences: list[Floats] = []
        self.sweeps: list[Sweep] = []
        self.concentration: dict[int, dict[str, Any]] = {}

    def measure(self, readout: ShortcutReadout) -> None:
        """Add the rows of one checkpoint."""
        self.site = str(readout.site)
        from paribus.subspace.directions import find_direction, orient, projected_sd

        frozen = fit_frozen(readout, balance=self.experiment.fit_balance, rng=self.setup.rng("probes"))
        self.concentration[readout.checkpoint.epoch] = concentration_aggregates(readout, frozen)
        train, gradient = readout.view("train"), readout.gradient
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
            self._sweep(readout, frozen, name, direction, sigma)

    def _sweep(
        self, readout: ShortcutReadout, frozen: FrozenProbes, name: str, direction: Floats, sigma: float
    ) -> None:
        from paribus.engine.interventions import Steer

        edits: list[Intervention] = [Steer(direction, alpha * sigma) for alpha in self.alphas]  # type: ignore[arg-type]
        there = {prefix: split for prefix, split in SPLIT_OF.items() if split in readout.held_out}
        head_of_shown = PREFIX_OF[self.shown]
        views = {prefix: readout.view(split) for prefix, split in there.items()}
        by_split = readout.held_out_outputs(edits)
        outputs = {prefix: by_split[split] for prefix, split in there.items()}
        shown, margins = views[head_of_shown], margin(outputs[head_of_shown], readout.positive)
        correct = {p: (outputs[p].argmax(axis=-1) == view.labels).astype(np.float64) for p, view in views.items()}
        intervals = {p: shares(correct[p].T, view.clusters, spec=self.setup.stats) for p, view in views.items()}
        truth = (shown.labels == readout.positive).astype(np.int64)
        areas = np.asarray(auroc(margins.T, truth)) if len(np.unique(truth)) > 1 else np.full(len(edits), np.nan)
        nulls = {kind: self._null(readout, shown, kind, sigma) for kind in KINDS}
        size = np.linalg.norm(shown.h, axis=1)
        zero = self.alphas.index(0.0)
        base = outputs[head_of_shown][zero].argmax(axis=-1) == readout.positive
        for number, alpha in enumerate(self.alphas):
            now = outputs[head_of_shown][number].argmax(axis=-1) == readout.positive
            shift = alpha * sigma * direction
            row: dict[str, Any] = {**self.experiment.head(readout), "direction": name, "alpha": alpha, "sigma": sigma}
            for prefix in there:
                row[f"{prefix}_acc"] = float(correct[prefix][number].mean())
                head, found = "" if prefix == head_of_shown else f"{prefix}_", intervals[prefix]
                row[f"{head}ci_low"], row[f"{head}ci_high"] = float(found.low[number]), float(found.high[number])
                row[f"{head}ci_method"] = str(found.method[number])
            row.update(
                n=len(shown.labels),
                auroc=float(areas[number]),
                mean_margin=float(margins[number].mean()),
                flipped_to_positive=float((now & ~base).mean()),
                flipped_to_negative=float((~now & base).mean()),
                domain_probe_frozen=self._domain_score(frozen, views.get("head_id"), shift),
                label_probe_frozen=frozen.label_score(shown.h + shift, shown),
                relative_norm=float(np.mean(abs(alpha) * sigma / size[size > 0])) if (size > 0).any() else float("nan"),
            )
            for kind in KINDS:
                row.update(null_columns(row[f"{head_of_shown}_acc"], nulls[kind].accuracy[number], NULL_PREFIX[kind]))
            self.rows.append(row)
            self.differences.append(correct[head_of_shown][number] - correct[head_of_shown][zero])
        gradient = readout.gradient
        steep = float(np.linalg.norm(gradient))
        self.sweeps.append(
            Sweep(
                epoch=readout.checkpoint.epoch,
                direction=name,
                sigma=sigma,
                gradient_along=float(direction @ gradient),
                cos_head=float(direction @ gradient) / steep if steep > 0 else float("nan"),
                threshold_only=readout.is_affine,
                margin_shift_per_alpha=float(np.polyfit(self.alphas, margins.mean(axis=1), 1)[0]),
                correct=correct[head_of_shown].T,
                response=self._response(readout, name, sigma, correct[head_of_shown], margins, nulls),
            )
        )

    @staticmethod
    def _domain_score(frozen: FrozenProbes, view: SplitView | None, shift: Floats) -> float:
        """Return what the domain probe still reads of shifted id_val features; NaN in data without id_val."""
        return float("nan") if view is None else frozen.domain_score(view.h + shift, view)

    def _response(
        self,
        readout: ShortcutReadout,
        name: str,
        sigma: float,
        correct: Floats,
        margins: Floats,
        nulls: dict[str, SweepNull],
    ) -> dict[str, Any]:
        """Return what sums the curves of one direction up: the slope of the margin, the areas, and their nulls."""
        view, spec, zero = readout.view(self.shown), self.setup.stats, self.alphas.index(0.0)
        steep = slopes(self.alphas, margins)
        rng = self.setup.rng(f"responses/{name}")
        slope = in_sd(steep, margins[zero][None], view.clusters, spec=spec, rng=rng)
        spread = float(margins[zero].std())
        moved = (correct - correct[zero]).T
        found = {
            "accuracy_area": area_interval(
                self.alphas, moved.mean(axis=0), moved - moved.mean(axis=0), view.clusters, spec=spec, rng=rng
            ),
            "auroc_area": self._auroc_area(readout, margins, rng),
        }
        row: dict[str, Any] = {
            **self.experiment.head(readout),
            "direction": name,
            "sigma": sigma,
            "n": len(view.labels),
            "n_clusters": len(np.unique(view.clusters)),
            "threshold_only": readout.is_affine,
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

    def _auroc_area(self, readout: ShortcutReadout, margins: Floats, rng: np.random.Generator) -> Summed:
        view, zero = readout.view(self.shown), self.alphas.index(0.0)
        truth = (view.labels == readout.positive).astype(np.int64)
        if len(np.unique(truth)) < 2:
            return Summed(float("nan"), float("nan"), float("nan"), ONE_CLASS)
        # A shift of all margins alike leaves the AUROC as it is, also where rounding makes or breaks a tie.
        level = margins[zero][None] if readout.is_affine else margins
        level = np.broadcast_to(level, margins.shape)
        areas, influence = np.asarray(auroc(level.T, truth)), auroc_influence(level.T, truth)
        return area_interval(
            self.alphas,
            areas - areas[zero],
            influence - influence[:, [zero]],
            view.clusters,
            spec=self.setup.stats,
            rng=rng,
        )

    def _null(self, readout: ShortcutReadout, view: SplitView, kind: str, sigma: float) -> SweepNull:
        """Return what random directions do that are moved as far as the direction itself is."""
        from paribus.engine.interventions import Steer
        from paribus.subspace.bases import covariance_root
        from paribus.subspace.directions import orient, random_directions

        train, n = readout.view("train").h, self.setup.stats.n_null
        if not n:
            return SweepNull(np.empty((len(self.alphas), 0)), np.empty((len(self.alphas), 0)))
        rng = self.setup.rng(f"null/{kind}")
        drawn = random_directions(n, train.shape[1], kind=kind, rng=rng, root=covariance_root(train))
        turned = orient(drawn, readout.gradient)
        moved = [alpha for alpha in self.alphas if alpha]
        draws: list[Intervention] = [Steer(v, alpha * sigma) for alpha in moved for v in turned]
        scored = score_draws(readout, (view.name,), draws, with_auroc=False)[view.name]
        unmoved = float((view.logits.argmax(axis=1) == view.labels).mean())
        level = float(margin(view.logits, readout.positive).mean())

        def by_alpha(found: Floats, at_zero: float) -> Floats:
            rows = found.reshape(len(moved), n)
            return np.stack([rows[moved.index(alpha)] if alpha else np.full(n, at_zero) for alpha in self.alphas])

        return SweepNull(by_alpha(scored.accuracy, unmoved), by_alpha(scored.margin, level))
