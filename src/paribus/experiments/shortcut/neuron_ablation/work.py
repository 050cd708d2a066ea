"""Ablates units at one checkpoint after the other: the rows of the K sweep."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import AblateUnits
from paribus.engine.replacements import Resample
from paribus.experiments.base import Recorder
from paribus.experiments.fitting import fitted, offers_of
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.shortcut._edited_site import EditedSite, SplitView, edited_sites
from paribus.experiments.shortcut._margin import aurocs, margin
from paribus.experiments.shortcut._nulls import score_draws
from paribus.experiments.shortcut._probes import FrozenProbes, Refit
from paribus.experiments.shortcut.neuron_ablation.report import Pruned, report
from paribus.experiments.shortcut.neuron_ablation.spec import NeuronAblation
from paribus.experiments.shortcut.neuron_ablation.units import UnitScores, matched_sets, random_sets, score_units
from paribus.results.schema import Aggregates
from paribus.stats.nulls import null_columns

NAN = float("nan")


def run(experiment: NeuronAblation, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Run on every chosen checkpoint; hand over the tables ``k_sweep`` and ``units``, their figures and curves.

    Raises:
        ConfigError: If site, class or checkpoint do not exist.
        DataError: If the training split has fewer than two domains, or nothing is held out.
    """
    experiment = fitted(experiment, offers_of(setup.contexts), recorder)
    measuring = _Measuring(experiment, setup, recorder)
    for site in edited_sites(experiment, setup, recorder):
        measuring.add(site)
    return report(experiment, setup, recorder, measuring.found)


class _Measuring:
    """Adds up the rows of all checkpoints in ``found``."""

    def __init__(self, experiment: NeuronAblation, setup: NetworkSetup, recorder: Recorder) -> None:
        """Start without rows."""
        self.experiment, self.setup, self.recorder = experiment, setup, recorder
        self.found = Pruned()

    def add(self, site: EditedSite) -> None:
        """Add the rows of one checkpoint."""
        experiment = self.experiment
        frozen = self.found.begin(site, balance=experiment.fit_balance)
        self.found.chance = frozen.chance
        scores = score_units(site, frozen, self.setup.rng("units"))
        orders = {ranking: scores.order(ranking, self.setup.rng("random ranking")) for ranking in experiment.rankings}
        self._keep_units(site, scores, orders)
        self.found.width = len(scores.shortcut)
        levels = experiment.levels(self.found.width)
        plan = [(r, a, k) for r in experiment.rankings for a in experiment.ablations for k in levels]
        refit = self._refits(site, frozen, orders, levels)
        means = site.view("train").h.mean(axis=0)
        donors = self._donors(site)
        together = np.concatenate([donors[split] + start for split, start in site.starts().items()])
        edits = [_edit(ablation, orders[ranking][:k], means, together) for ranking, ablation, k in plan]
        for split, outputs in site.held_out_outputs(edits).items():
            view = site.view(split)
            self.found.clusters[split] = view.clusters
            nulls = (
                self._nulls(site, view, scores, orders, levels, donors[split])
                if split in experiment.null_splits
                else {}
            )
            margins, correct = margin(outputs, site.positive), view.correct
            areas = aurocs(margins, view.logits, view.positive)
            for number, (ranking, ablation, k) in enumerate(plan):
                right = outputs[number].argmax(axis=1) == view.labels
                edited = _apply(view.h, ablation, orders[ranking][:k], means, donors[split])
                known = split in ("train", "id_val")
                row = {
                    **site.head,
                    "ranking": ranking,
                    "ablation": ablation,
                    "k": k,
                    "split": split,
                    "n": len(view.labels),
                    "head_acc": float(right.mean()),
                    "head_acc_raw": float(correct.mean()),
                    "auroc": float(areas[number]),
                    "margin_shift": float((margins[number] - margin(view.logits, site.positive)).mean()),
                    "domain_probe_frozen": frozen.domain_score(edited, view) if known else NAN,
                    "domain_probe_refit": refit[ranking, k]["domain"] if split == "id_val" else NAN,
                    "label_probe_frozen": frozen.label_score(edited, view),
                    "label_probe_refit": refit[ranking, k]["label"] if split == "id_val" else NAN,
                }
                difference = right.astype(np.float64) - correct
                for prefix, kind in (("null", "random"), ("null_matched", f"matched {ranking}")):
                    draws = nulls.get((kind, ablation, k), np.empty(0)) - correct.mean()
                    row.update(null_columns(float(difference.mean()), draws, prefix))
                self.found.rows.append(row)
                self.found.differences.append(difference)

    def _keep_units(self, site: EditedSite, scores: UnitScores, orders: dict[str, Ints]) -> None:
        places = {f"{ranking}_rank": np.argsort(order) for ranking, order in orders.items() if ranking != "random"}
        columns = {
            "unit": np.arange(len(scores.shortcut)),
            "shortcut_score": scores.shortcut,
            "label_score": scores.label,
            "mean_activation": scores.mean_activation,
            "readout_norm": scores.readout_norm,
        }
        self.found.units.append(pd.DataFrame({"epoch": site.checkpoint.epoch, **columns, **places}))

    def _refits(
        self, site: EditedSite, frozen: FrozenProbes, orders: dict[str, Ints], levels: list[int]
    ) -> dict[tuple[str, int], dict[str, float]]:
        """Return refit probes on id_val without the top K: what is no longer there cannot be read, however it went.

        NaN in data without id_val: only its rows are held out and of domains that the probe knows.
        """
        if "id_val" not in self.setup.contexts.splits:
            nothing = {"domain": NAN, "label": NAN}
            return {(ranking, k): nothing for ranking in orders for k in levels}
        view = site.view("id_val")
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

    def _donors(self, site: EditedSite) -> dict[str, Ints]:
        """Return for every held-out split which of its rows each row takes values from."""
        return {
            split: np.asarray(self.setup.rng(f"donors/{split}").permutation(len(site.view(split).labels)))
            for split in site.held_out
        }

    def _nulls(
        self,
        site: EditedSite,
        view: SplitView,
        scores: UnitScores,
        orders: dict[str, Ints],
        levels: list[int],
        donors: Ints,
    ) -> dict[tuple[str, str, int], Floats]:
        """Return accuracies [n_null] by kind of random set, ablation and K."""
        n, d = self.setup.stats.n_null, len(scores.shortcut)
        means = site.view("train").h.mean(axis=0)
        found: dict[tuple[str, str, int], Floats] = {}
        # There is only one set of all units, and random ones need no match.
        for k in (level for level in levels if 0 < level < d and n):
            sets = {"random": random_sets(d, k, n, self.setup.rng(f"null/random/{k}"))}
            for ranking in (each for each in orders if each != "random"):
                order, rng = orders[ranking], self.setup.rng(f"null/matched/{ranking}/{k}")
                sets[f"matched {ranking}"] = matched_sets(scores, order[:k], n, rng)
            for ablation in self.experiment.ablations:
                draws = [_edit(ablation, units, means, donors) for drawn in sets.values() for units in drawn]
                scored = score_draws(site, (view.name,), draws, with_auroc=False)[view.name]
                accuracy = scored.accuracy.reshape(len(sets), n)
                for number, kind in enumerate(sets):
                    found[kind, ablation, k] = accuracy[number]
        return found


def _edit(ablation: str, units: Ints, means: Floats, donors: Ints) -> Intervention:
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
