"""Measures what erasing the domain does at one checkpoint after the other: the rows of the ablation table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.experiments.shortcut._concentration_report import concentration_aggregates
from paribus.experiments.shortcut._domain_swap import Swap, signed_shift
from paribus.experiments.shortcut._margin import margin
from paribus.experiments.shortcut._probe_scores import FrozenProbes, Refit, fit_frozen
from paribus.experiments.shortcut._shortcut_readout import ShortcutReadout, SplitView, distortion
from paribus.experiments.shortcut._split_effects import auroc_change
from paribus.experiments.shortcut._subspace_nulls import KINDS, NullDraws, null_columns, score_draws
from paribus.stats.scores import auroc, balanced_accuracy
from paribus.stats.shares import shares

if TYPE_CHECKING:
    from paribus.engine.intervention import Intervention
    from paribus.experiments.base import Recorder
    from paribus.experiments.setup_images import ImageSetup
    from paribus.experiments.shortcut.subspace_ablation import SubspaceAblation
    from paribus.subspace.erasers import Eraser

NULL_PREFIX = {"isotropic": "null", "covariance": "null_covariance"}
NAN = float("nan")


def as_intervention(eraser: Eraser) -> Intervention:
    """Return the engine's intervention that does what ``eraser`` does."""
    from paribus.engine.interventions import AffineErase, ProjectOut

    if eraser.basis is not None:
        return ProjectOut(eraser.basis, eraser.center)  # type: ignore[arg-type]
    return AffineErase(eraser.removed(), eraser.center)  # type: ignore[arg-type]


class AblationRows:
    """Collects the rows of all checkpoints.

    Attributes:
        site: Where the edits are made, as it was found.
        rows: One mapping per checkpoint x method x split, without effects.
        differences: For each row, the change of correctness of each context (-1, 0, 1).
        clusters: Cluster ids by split.
        concentration: The concentration measures by epoch.
        refused: Reason by method, for erasers that refused.
    """

    def __init__(self, experiment: SubspaceAblation, setup: ImageSetup, recorder: Recorder, swap: Swap | None) -> None:
        """Start without rows."""
        self.experiment, self.setup, self.recorder, self.swap = experiment, setup, recorder, swap
        self.site = ""
        self.rows: list[dict[str, Any]] = []
        self.differences: list[Floats] = []
        self.clusters: dict[str, Ints] = {}
        self.concentration: dict[int, dict[str, Any]] = {}
        self.refused: dict[str, str] = {}
        self._isotropic: dict[tuple[int, int], Floats] = {}

    def measure(self, readout: ShortcutReadout) -> None:
        """Add the rows of one checkpoint."""
        self.site = str(readout.site)
        frozen = fit_frozen(readout, balance=self.experiment.fit_balance, rng=self.setup.rng("probes"))
        self.concentration[readout.checkpoint.epoch] = concentration_aggregates(readout, frozen)
        erasers = self._erasers(readout, frozen)
        edits = [as_intervention(eraser) for eraser in erasers]
        if not edits:
            return
        swapped = self._swaps(readout, edits)
        nulls = self._nulls(readout, frozen, sorted({eraser.rank for eraser in erasers}))
        for split, outputs in readout.held_out_outputs(edits).items():
            view = readout.view(split)
            self.clusters[split] = view.clusters
            own = {kind: draws[split] for kind, draws in nulls.items()}
            self._split_rows(readout, view, frozen, erasers, outputs, own, swapped)

    def _erasers(self, readout: ShortcutReadout, frozen: FrozenProbes) -> list[Eraser]:
        from paribus.subspace.erasers import OBLIQUE, ErasureRefused, fit_eraser

        train, found = readout.view("train"), []
        for method in self.experiment.methods:
            try:
                eraser = fit_eraser(
                    method,
                    train.h,
                    train.domains,
                    train.labels,
                    clusters=train.clusters,
                    rng=self.setup.rng(f"eraser/{method}"),
                    weights=frozen.weights,
                    rank=None if method in OBLIQUE else self.experiment.rank,
                    domain_probe=frozen.domain,
                )
            except ErasureRefused as refusal:
                self.refused[method] = str(refusal)
                self.recorder.warn(f"epoch {readout.checkpoint.epoch}: {refusal}")
                continue
            found.append(eraser)
        return found

    def _nulls(
        self, readout: ShortcutReadout, frozen: FrozenProbes, ranks: list[int]
    ) -> dict[tuple[str, int], dict[str, NullDraws]]:
        """Return by kind and rank, by split, the scores under random subspaces."""
        from paribus.engine.interventions import ProjectOut
        from paribus.subspace.bases import covariance_root, random_subspaces
        from paribus.subspace.moments import as_weights

        train, n = readout.view("train").h, self.setup.stats.n_null
        root = covariance_root(train, frozen.weights)
        center = as_weights(frozen.weights, len(train)) @ train
        found = {}
        for kind in KINDS if n else ():
            for rank in ranks:
                # Isotropic subspaces are the same for every checkpoint of one width.
                known = (train.shape[1], rank)
                bases = self._isotropic.get(known) if kind == "isotropic" else None
                if bases is None:
                    rng = self.setup.rng(f"null/{kind}/{rank}")
                    bases = random_subspaces(n, train.shape[1], rank, kind=kind, rng=rng, root=root)
                if kind == "isotropic":
                    self._isotropic[known] = bases
                draws: list[Intervention] = [ProjectOut(basis, center) for basis in bases]  # type: ignore[arg-type]
                found[kind, rank] = score_draws(readout, readout.held_out, draws)
        return found

    def _swaps(self, readout: ShortcutReadout, edits: list[Intervention]) -> Floats | None:
        """Return the mean signed domain-swap effect without and with each edit [1 + edits]; None without renderings."""
        from paribus.engine.interventions import Identity

        if self.swap is None:
            return None
        outputs = [readout.outputs(rendering, [Identity(), *edits]) for rendering in self.swap.inputs]
        return np.asarray(signed_shift(np.stack(outputs, axis=1), self.swap).mean(axis=-1))

    def _split_rows(
        self,
        readout: ShortcutReadout,
        view: SplitView,
        frozen: FrozenProbes,
        erasers: list[Eraser],
        outputs: Floats,
        nulls: dict[tuple[str, int], NullDraws],
        swapped: Floats | None,
    ) -> None:
        truth = (view.labels == readout.positive).astype(np.int64)
        correct = view.logits.argmax(axis=1) == view.labels
        raw_margin, edited_margin = margin(view.logits, readout.positive), margin(outputs, readout.positive)
        change, low, high, method = auroc_change(
            raw_margin, edited_margin, truth, view.clusters, spec=self.setup.stats, rng=self.setup.rng("auroc")
        )
        raw_auroc = float(auroc(raw_margin, truth)) if len(np.unique(truth)) > 1 else NAN
        around_raw = shares(correct[:, None], view.clusters, spec=self.setup.stats)
        probes = _ProbeColumns(view, frozen, self.experiment.refit_probes, self.setup.rng(f"halves/{view.name}"))
        for number, eraser in enumerate(erasers):
            predicted = outputs[number].argmax(axis=1)
            difference = (predicted == view.labels).astype(np.float64) - correct
            edited = eraser.apply(view.h)
            row = {
                **self.experiment.head(readout),
                "method": eraser.method,
                "kind": eraser.kind,
                "rank": eraser.rank,
                "split": view.name,
                "n": len(view.labels),
                "head_acc_raw": float(correct.mean()),
                "head_acc_raw_ci_low": float(around_raw.low[0]),
                "head_acc_raw_ci_high": float(around_raw.high[0]),
                "head_acc_raw_ci_method": str(around_raw.method[0]),
                "head_acc_ablated": float((predicted == view.labels).mean()),
                "balanced_acc_raw": float(balanced_accuracy(view.logits.argmax(axis=1), view.labels)),
                "balanced_acc_ablated": float(balanced_accuracy(predicted, view.labels)),
                "auroc_raw": raw_auroc,
                "auroc_ablated": raw_auroc + float(change[number]),
                "auroc_delta": float(change[number]),
                "auroc_ci_low": float(low[number]),
                "auroc_ci_high": float(high[number]),
                "auroc_ci_method": str(method[number]),
                "margin_shift": float((edited_margin[number] - raw_margin).mean()),
                **probes.of(edited),
                "distortion": distortion(view.h, edited),
            }
            if swapped is not None:
                row["swap_effect_raw"], row["swap_effect_ablated"] = float(swapped[0]), float(swapped[1 + number])
                row["swap_remaining"] = _share(swapped[1 + number], swapped[0], raw_margin)
            else:
                row.update(dict.fromkeys(("swap_effect_raw", "swap_effect_ablated", "swap_remaining"), NAN))
            for kind in KINDS:
                draws = nulls.get((kind, eraser.rank), NullDraws(np.empty(0), np.empty(0), np.empty(0)))
                accuracy = draws.accuracy - correct.mean()
                row.update(null_columns(float(difference.mean()), accuracy, NULL_PREFIX[kind]))
                ranked = null_columns(float(change[number]), draws.auroc - raw_auroc, "auroc")["auroc_percentile"]
                row[f"{NULL_PREFIX[kind]}_auroc_percentile"] = ranked
            self.rows.append(row)
            self.differences.append(difference)


def _share(left: float, whole: float, margins: Floats) -> float:
    """Return ``left / whole``; NaN where there was nothing to begin with (rounding of the margins)."""
    return float(left / whole) if abs(whole) > 1e-6 * float(margins.std()) else NAN


class _ProbeColumns:
    """The eight probe columns of a row; what does not depend on the edit is computed once."""

    def __init__(self, view: SplitView, frozen: FrozenProbes, refit: bool, rng: np.random.Generator) -> None:
        self.view, self.frozen = view, frozen
        # Only held-out rows of the training domains have domains that the probe knows.
        self.with_domain = view.name in ("train", "id_val")
        self.refit = Refit(view, frozen, rng) if refit else None
        self.raw = self._scores(view.h)

    def of(self, edited: Floats) -> dict[str, float]:
        """Return the columns for edited features [n, d]."""
        ablated = self._scores(edited)
        columns = {}
        for name, value in self.raw.items():
            columns[f"{name}_raw"], columns[f"{name}_ablated"] = value, ablated[name]
        return columns

    def _scores(self, h: Floats) -> dict[str, float]:
        refit = self.refit
        return {
            "domain_probe_frozen": self.frozen.domain_score(h, self.view) if self.with_domain else NAN,
            "domain_probe_refit": refit.domain_score(h) if refit is not None and self.with_domain else NAN,
            "label_probe_frozen": self.frozen.label_score(h, self.view),
            "label_probe_refit": refit.label_score(h) if refit is not None else NAN,
        }
