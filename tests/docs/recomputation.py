"""Numbers of follow-up experiments computed again, from checkpoint and data with plain torch and scikit-learn.

Nothing of Paribus takes part but what reads a kept run, and the function that makes the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, roc_auc_score
from torch import nn

HELD_OUT = ("id_val", "val", "ood")
CLOSE = 1e-6


@dataclass(frozen=True)
class Model:
    """A trained network cut at a place, and its data.

    Attributes:
        before: Returns the activations at the place ``[n, channels, ...]`` of images.
        after: Returns the logits of such activations.
        data: Images with labels, domains and splits.
    """

    before: nn.Module
    after: nn.Module
    data: Any

    def at(self, split: str) -> torch.Tensor:
        """Return the activations of a split."""
        with torch.no_grad():
            found: torch.Tensor = self.before(self.data.take(self.data.splits[split]))
        return found

    def logits(self, hidden: torch.Tensor) -> np.ndarray:
        """Return logits of activations, in float64."""
        with torch.no_grad():
            return self.after(hidden.float()).double().numpy()

    def of(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and domains of a split."""
        rows = self.data.splits[split]
        return self.data.labels[rows], self.data.domains[rows]


def pooled(hidden: torch.Tensor) -> np.ndarray:
    """Return one value per channel."""
    flat: np.ndarray = hidden.double().flatten(2).mean(2).numpy() if hidden.ndim > 2 else hidden.double().numpy()
    return flat


def balanced(labels: np.ndarray, domains: np.ndarray) -> np.ndarray:
    """Return weights that sum to 1 under which every domain x class cell weighs the same."""
    weights = np.zeros(len(labels))
    for domain in np.unique(domains):
        for label in np.unique(labels):
            cell = (domains == domain) & (labels == label)
            if cell.any():
                weights[cell] = 1.0 / cell.sum()
    return weights / weights.sum()


def means(h: np.ndarray, groups: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean of every group, and the groups' shares."""
    found = [np.average(h[groups == g], axis=0, weights=weights[groups == g]) for g in np.unique(groups)]
    return np.stack(found), np.array([weights[groups == g].sum() for g in np.unique(groups)])


def between(h: np.ndarray, groups: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the covariance between the groups' means."""
    found, shares = means(h, groups, weights)
    centred = found - shares @ found
    return (centred * shares[:, None]).T @ centred


def check_ablation(frame: Any, model: Model) -> int:
    """Assert the accuracies of a table ``ablation``, raw and with the domains' means projected out; count them."""
    labels, domains = model.of("train")
    hidden = pooled(model.at("train"))
    weights = balanced(labels, domains)
    values, vectors = np.linalg.eigh(between(hidden, domains, weights))
    basis = vectors[:, values > 1e-10 * values[-1]]
    centre, checked = weights @ hidden, 0
    for split in HELD_OUT:
        h, (truth, _) = pooled(model.at(split)), model.of(split)
        (row,) = frame[(frame["split"] == split) & (frame["method"] == "mean_difference")].to_dict("records")
        raw = model.logits(torch.as_tensor(h))
        edited = model.logits(torch.as_tensor(h - (h - centre) @ basis @ basis.T))
        margins = [logits[:, -1] - logits[:, :-1].mean(1) for logits in (raw, edited)]
        expected = {
            "head_acc_raw": accuracy_score(truth, raw.argmax(1)),
            "head_acc_ablated": accuracy_score(truth, edited.argmax(1)),
            "auroc_raw": roc_auc_score(truth == truth.max(), margins[0]),
            "margin_shift": float(np.mean(margins[1] - margins[0])),
        }
        for name, value in expected.items():
            assert abs(row[name] - value) < CLOSE * max(1.0, abs(value)), (split, name, row[name], value)
            checked += 1
    return checked


def check_steering(frame: Any, model: Model) -> int:
    """Assert accuracy, AUROC and mean margin of a table ``sweep`` along the top direction between domains."""
    labels, domains = model.of("train")
    hidden = model.at("train").requires_grad_(True)
    h = pooled(hidden.detach())
    values, vectors = np.linalg.eigh(between(h, domains, balanced(labels, domains)))
    logits = model.after(hidden)
    (gradient,) = torch.autograd.grad((logits[:, -1] - logits[:, :-1].mean(1)).sum(), hidden)
    slope = gradient.double().flatten(2).sum((0, 2)) if gradient.ndim > 2 else gradient.double().sum(0)
    direction = vectors[:, -1] * (1.0 if float(slope.numpy() @ vectors[:, -1]) >= 0 else -1.0)
    sigma, checked = (h @ direction).std(), 0
    at, truth = model.at("ood"), model.of("ood")[0]
    rows = frame[frame["direction"] == "between_domain_pc"].to_dict("records")
    for row in rows:
        shift = torch.as_tensor(row["alpha"] * sigma * direction).reshape(1, -1, *[1] * (at.ndim - 2))
        found = model.logits(at + shift)
        margin = found[:, -1] - found[:, :-1].mean(1)
        expected = {
            "sigma": sigma,
            "head_ood_acc": accuracy_score(truth, found.argmax(1)),
            "auroc": roc_auc_score(truth == truth.max(), margin),
            "mean_margin": margin.mean(),
        }
        for name, value in expected.items():
            assert abs(row[name] - value) < CLOSE * max(1.0, abs(value)), (row["alpha"], name, row[name], value)
            checked += 1
    return checked


def weights(folder: Path, run_id: str, epoch: int) -> dict[str, torch.Tensor]:
    """Return the weights that a training run kept at an epoch."""
    (file,) = folder.glob(f"mlruns/*/{run_id}/artifacts/checkpoints/checkpoint_e{epoch:05d}.pt")
    state: dict[str, torch.Tensor] = torch.load(file, weights_only=True)["model"]
    return state


def result(folder: Path, experiment: str, where: str) -> tuple[Any, Any]:
    """Return the latest run of a kind in a working folder, and its result."""
    from paribus.tracking.opening import open_store
    from paribus.tracking.spec import TrackingSpec

    store = open_store(TrackingSpec(folder=str(folder), experiment=experiment), writing=False)
    run = store.runs(where=where, limit=1)[0]
    return run, store.result(run.run_id)
