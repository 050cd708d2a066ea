"""Erases the domain at one checkpoint after the other: the rows of the ablation table."""

from __future__ import annotations

import numpy as np

from paribus.arrays import Floats
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import AffineErase, Identity, ProjectOut
from paribus.experiments.base import Recorder
from paribus.experiments.fitting import fitted, offers_of
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut._edited_site import EditedSite, SplitView, distortion, edited_sites
from paribus.experiments.shortcut._effects import auroc_change, ends_at
from paribus.experiments.shortcut._margin import aurocs, margin, ranking
from paribus.experiments.shortcut._nulls import KINDS, NULL_PREFIX, NullDraws, score_draws
from paribus.experiments.shortcut._probes import FrozenProbes, Refit
from paribus.experiments.shortcut._styles import Restyled, restyled, signed_shift
from paribus.experiments.shortcut.subspace_ablation.report import Ablated, report
from paribus.experiments.shortcut.subspace_ablation.spec import SubspaceAblation
from paribus.results.schema import Aggregates
from paribus.stats.nulls import null_columns
from paribus.stats.scores import balanced_accuracy
from paribus.stats.shares import shares
from paribus.subspace.bases import covariance_root, random_subspaces
from paribus.subspace.erasers import OBLIQUE, Eraser, ErasureRefused, fit_eraser
from paribus.subspace.moments import as_weights

NAN = float("nan")


def run(experiment: SubspaceAblation, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Run on every chosen checkpoint; hand over the table ``ablation`` and its figures.

    Raises:
        ConfigError: If site, class or checkpoint do not exist.
        DataError: If the training split has fewer than two domains, or nothing is held out.
    """
    experiment = fitted(experiment, offers_of(setup.contexts), recorder)
    contexts = setup.contexts
    shown = restyled(contexts, contexts.splits[experiment.swap_split], contexts.train_domains)
    measuring = _Measuring(experiment, setup, recorder, shown if shown is not None and shown.is_signed else None)
    for site in edited_sites(experiment, setup, recorder):
        measuring.add(site)
    return report(experiment, setup, recorder, measuring.found)


def as_intervention(eraser: Eraser) -> Intervention:
    """Return the engine's intervention that does what ``eraser`` does."""
    if eraser.basis is not None:
        return ProjectOut(eraser.basis, eraser.center)  # type: ignore[arg-type]
    return AffineErase(eraser.removed(), eraser.center)  # type: ignore[arg-type]


class _Measuring:
    """Adds up the rows of all checkpoints in ``found``."""

    def __init__(
        self, experiment: SubspaceAblation, setup: NetworkSetup, recorder: Recorder, shown: Restyled | None
    ) -> None:
        """Start without rows; ``shown`` are the contents whose domain swap is measured, if they can be shown."""
        self.experiment, self.setup, self.recorder, self.shown = experiment, setup, recorder, shown
        self.found = Ablated()
        self._isotropic: dict[tuple[int, int], Floats] = {}

    def add(self, site: EditedSite) -> None:
        """Add the rows of one checkpoint."""
        frozen = self.found.begin(site, balance=self.experiment.fit_balance)
        erasers = self._erasers(site, frozen)
        edits = [as_intervention(eraser) for eraser in erasers]
        if not edits:
            return
        swapped = self._swaps(site, edits)
        nulls = self._nulls(site, frozen, sorted({eraser.rank for eraser in erasers}))
        for split, outputs in site.held_out_outputs(edits).items():
            view = site.view(split)
            self.found.clusters[split] = view.clusters
            own = {kind: draws[split] for kind, draws in nulls.items()}
            self._split_rows(site, view, frozen, erasers, outputs, own, swapped)

    def _erasers(self, site: EditedSite, frozen: FrozenProbes) -> list[Eraser]:
        train, found = site.view("train"), []
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
                self.found.refused[method] = str(refusal)
                self.recorder.warn(f"epoch {site.checkpoint.epoch}: {refusal}")
                continue
            found.append(eraser)
        return found

    def _nulls(
        self, site: EditedSite, frozen: FrozenProbes, ranks: list[int]
    ) -> dict[tuple[str, int], dict[str, NullDraws]]:
        """Return by kind and rank, by split, the scores under random subspaces."""
        train, n = site.view("train").h, self.setup.stats.n_null
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
                found[kind, rank] = score_draws(site, site.held_out, draws)
        return found

    def _swaps(self, site: EditedSite, edits: list[Intervention]) -> Floats | None:
        """Return the mean signed domain-swap effect without and with each edit [1 + edits]; None without renderings."""
        if self.shown is None:
            return None
        outputs = [site.outputs(cells, [Identity(), *edits]) for cells in self.shown.cells]
        return np.asarray(signed_shift(np.stack(outputs, axis=1), self.shown).mean(axis=-1))

    def _split_rows(
        self,
        site: EditedSite,
        view: SplitView,
        frozen: FrozenProbes,
        erasers: list[Eraser],
        outputs: Floats,
        nulls: dict[tuple[str, int], NullDraws],
        swapped: Floats | None,
    ) -> None:
        truth, correct = view.positive, view.correct
        raw_margin, edited_margin = margin(view.logits, site.positive), margin(outputs, site.positive)
        change, low, high, method = auroc_change(
            ranking(raw_margin, view.logits),
            ranking(edited_margin, view.logits),
            truth,
            view.clusters,
            spec=self.setup.stats,
            rng=self.setup.rng("auroc"),
        )
        raw_auroc = float(aurocs(raw_margin[None], view.logits, truth)[0])
        around_raw = shares(correct[:, None], view.clusters, spec=self.setup.stats)
        probes = _ProbeColumns(view, frozen, self.experiment.refit_probes, self.setup.rng(f"halves/{view.name}"))
        for number, eraser in enumerate(erasers):
            predicted = outputs[number].argmax(axis=1)
            difference = (predicted == view.labels).astype(np.float64) - correct
            edited = eraser.apply(view.h)
            row = {
                **site.head,
                "method": eraser.method,
                "kind": eraser.kind,
                "rank": eraser.rank,
                "split": view.name,
                "n": len(view.labels),
                "head_acc_raw": float(correct.mean()),
                **ends_at(around_raw, 0, "head_acc_raw_ci"),
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
                draws = nulls.get((kind, eraser.rank), NullDraws())
                accuracy = draws.accuracy - correct.mean()
                row.update(null_columns(float(difference.mean()), accuracy, NULL_PREFIX[kind]))
                ranked = null_columns(float(change[number]), draws.auroc - raw_auroc, "auroc")["auroc_percentile"]
                row[f"{NULL_PREFIX[kind]}_auroc_percentile"] = ranked
            self.found.rows.append(row)
            self.found.differences.append(difference)


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
