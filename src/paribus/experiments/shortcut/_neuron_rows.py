"""Measures what ablating units does at one checkpoint after the other: the rows of the K sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.experiments.shortcut._concentration_report import concentration_aggregates
from paribus.experiments.shortcut._margin import margin
from paribus.experiments.shortcut._probe_scores import FrozenProbes, Refit, fit_frozen
from paribus.experiments.shortcut._shortcut_readout import ShortcutReadout, SplitView
from paribus.experiments.shortcut._subspace_nulls import null_columns, score_draws
from paribus.experiments.shortcut._unit_rankings import UnitScores, matched_sets, random_sets, score_units
from paribus.stats.scores import auroc

if TYPE_CHECKING:
    from paribus.engine.intervention import Intervention
    from paribus.experiments.base import Recorder
    from paribus.experiments.setup_images import ImageSetup
    from paribus.experiments.shortcut.neuron_ablation import NeuronAblation

NAN = float("nan")


class NeuronRows:
    """Collects the rows of all checkpoints.

    Attributes:
        site: Where the edits are made, as it was found.
        rows: One mapping per checkpoint x ranking x ablation x K x split, without effects.
        differences: For each row, the change of correctness of each context.
        clusters: Cluster ids by split.
        units: One mapping per checkpoint x unit: its scores and ranks.
        concentration: The concentration measures by epoch.
        chance: Balanced accuracy of guessing the domain.
        width: How many units the site has.
    """

    def __init__(self, experiment: NeuronAblation, setup: ImageSetup, recorder: Recorder) -> None:
        """Start without rows."""
        self.experiment, self.setup, self.recorder = experiment, setup, recorder
        self.site = ""
        self.rows: list[dict[str, Any]] = []
        self.differences: list[Floats] = []
        self.clusters: dict[str, Ints] = {}
        self.units: list[dict[str, Any]] = []
        self.concentration: dict[int, dict[str, Any]] = {}
        self.chance, self.width = NAN, 0

    def measure(self, readout: ShortcutReadout) -> None:
        """Add the rows of one checkpoint."""
        self.site = str(readout.site)
        experiment = self.experiment
        frozen = fit_frozen(readout, balance=experiment.fit_balance, rng=self.setup.rng("probes"))
        self.chance = frozen.chance
        self.concentration[readout.checkpoint.epoch] = concentration_aggregates(readout, frozen)
        scores = score_units(readout, frozen, self.setup.rng("units"))
        orders = {ranking: scores.order(ranking, self.setup.rng("random ranking")) for ranking in experiment.rankings}
        self._keep_units(readout, scores, orders)
        self.width = len(scores.shortcut)
        levels = experiment.levels(self.width)
        plan = [(r, a, k) for r in experiment.rankings for a in experiment.ablations for k in levels]
        refit = self._refits(readout, frozen, orders, levels)
        means = readout.view("train").h.mean(axis=0)
        donors = self._donors(readout)
        together = np.concatenate([donors[split] + start for split, start in self._starts(readout).items()])
        edits = [_edit(ablation, orders[ranking][:k], means, together) for ranking, ablation, k in plan]
        for split, outputs in readout.held_out_outputs(edits).items():
            view = readout.view(split)
            self.clusters[split] = view.clusters
            nulls = (
                self._nulls(readout, view, scores, orders, levels, donors[split])
                if split in experiment.null_splits
                else {}
            )
            truth = (view.labels == readout.positive).astype(np.int64)
            margins = margin(outputs, readout.positive)
            areas = np.asarray(auroc(margins.T, truth)) if len(np.unique(truth)) > 1 else np.full(len(plan), NAN)
            correct = view.logits.argmax(axis=1) == view.labels
            for number, (ranking, ablation, k) in enumerate(plan):
                right = outputs[number].argmax(axis=1) == view.labels
                edited = _apply(view.h, ablation, orders[ranking][:k], means, donors[split])
                known = split in ("train", "id_val")
                row = {
                    **experiment.head(readout),
                    "ranking": ranking,
                    "ablation": ablation,
                    "k": k,
                    "split": split,
                    "n": len(view.labels),
                    "head_acc": float(right.mean()),
                    "head_acc_raw": float(correct.mean()),
                    "auroc": float(areas[number]),
                    "margin_shift": float((margins[number] - margin(view.logits, readout.positive)).mean()),
                    "domain_probe_frozen": frozen.domain_score(edited, view) if known else NAN,
                    "domain_probe_refit": refit[ranking, k]["domain"] if split == "id_val" else NAN,
                    "label_probe_frozen": frozen.label_score(edited, view),
                    "label_probe_refit": refit[ranking, k]["label"] if split == "id_val" else NAN,
                }
                difference = right.astype(np.float64) - correct
                for prefix, kind in (("null", "random"), ("null_matched", f"matched {ranking}")):
                    draws = nulls.get((kind, ablation, k), np.empty(0)) - correct.mean()
                    row.update(null_columns(float(difference.mean()), draws, prefix))
                self.rows.append(row)
                self.differences.append(difference)

    def _keep_units(self, readout: ShortcutReadout, scores: UnitScores, orders: dict[str, Ints]) -> None:
        places = {f"{ranking}_rank": np.argsort(order) for ranking, order in orders.items() if ranking != "random"}
        for unit in range(len(scores.shortcut)):
            self.units.append(
                {
                    "epoch": readout.checkpoint.epoch,
                    "unit": unit,
                    "shortcut_score": float(scores.shortcut[unit]),
                    "label_score": float(scores.label[unit]),
                    "mean_activation": float(scores.mean_activation[unit]),
                    "readout_norm": float(scores.readout_norm[unit]),
                    **{name: int(place[unit]) for name, place in places.items()},
                }
            )

    def _refits(
        self, readout: ShortcutReadout, frozen: FrozenProbes, orders: dict[str, Ints], levels: list[int]
    ) -> dict[tuple[str, int], dict[str, float]]:
        """Return refit probes on id_val without the top K: what is no longer there cannot be read, however it went.

        NaN in data without id_val: only its rows are held out and of domains that the probe knows.
        """
        if "id_val" not in self.setup.data.splits:
            nothing = {"domain": NAN, "label": NAN}
            return {(ranking, k): nothing for ranking in orders for k in levels}
        view = readout.view("id_val")
        refit = Refit(view, frozen, self.setup.rng("halves/id_val"))
        found: dict[tuple[str, int], dict[str, float]] = {}
        whole = {"domain": refit.domain_score(view.h), "label": refit.label_score(view.h)}
        for ranking, order in orders.items():
            for k in levels:
                if k == 0:
                    found[ranking, k] = whole
                    continue
                left = np.delete(view.h, order[:k], axis=1) if k < view.h.shape[1] else np.zeros((len(view.h), 1))
                found[ranking, k] = {"domain": refit.domain_score(left), "label": refit.label_score(left)}
        return found

    def _donors(self, readout: ShortcutReadout) -> dict[str, Ints]:
        """Return for every held-out split which of its rows each row takes values from."""
        return {
            split: np.asarray(self.setup.rng(f"donors/{split}").permutation(len(readout.view(split).labels)))
            for split in readout.held_out
        }

    @staticmethod
    def _starts(readout: ShortcutReadout) -> dict[str, int]:
        """Return where each held-out split begins when they are evaluated together."""
        sizes = [len(readout.view(split).labels) for split in readout.held_out]
        return dict(zip(readout.held_out, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))

    def _nulls(
        self,
        readout: ShortcutReadout,
        view: SplitView,
        scores: UnitScores,
        orders: dict[str, Ints],
        levels: list[int],
        donors: Ints,
    ) -> dict[tuple[str, str, int], Floats]:
        """Return accuracies [n_null] by kind of random set, ablation and K."""
        n, d = self.setup.stats.n_null, len(scores.shortcut)
        means = readout.view("train").h.mean(axis=0)
        found: dict[tuple[str, str, int], Floats] = {}
        # There is only one set of all units, and random ones need no match.
        for k in (level for level in levels if 0 < level < d and n):
            sets = {"random": random_sets(d, k, n, self.setup.rng(f"null/random/{k}"))}
            for ranking in (each for each in orders if each != "random"):
                order, rng = orders[ranking], self.setup.rng(f"null/matched/{ranking}/{k}")
                sets[f"matched {ranking}"] = matched_sets(scores, order[:k], n, rng)
            for ablation in self.experiment.ablations:
                draws = [_edit(ablation, units, means, donors) for drawn in sets.values() for units in drawn]
                scored = score_draws(readout, (view.name,), draws, with_auroc=False)[view.name]
                accuracy = scored.accuracy.reshape(len(sets), n)
                for number, kind in enumerate(sets):
                    found[kind, ablation, k] = accuracy[number]
        return found


def _edit(ablation: str, units: Ints, means: Floats, donors: Ints) -> Intervention:
    from paribus.engine.interventions import AblateUnits
    from paribus.engine.replacements import Resample

    if ablation == "resample":
        return Resample(units, donors)  # type: ignore[arg-type]
    return AblateUnits(units, means if ablation == "mean" else None)  # type: ignore[arg-type]


def _apply(h: Floats, ablation: str, units: Ints, means: Floats, donors: Ints) -> Floats:
    """Return position means [n, d] under the same edit (it commutes with the mean)."""
    edited = h.copy()
    if ablation == "resample":
        edited[:, units] = h[donors][:, units]
    else:
        edited[:, units] = means[units] if ablation == "mean" else 0.0
    return edited
