"""The concentration measures as aggregates of an experiment on a shortcut."""

from __future__ import annotations

from typing import Any

from paribus.experiments.shortcut._probe_scores import FrozenProbes
from paribus.experiments.shortcut._shortcut_readout import ShortcutReadout


def concentration_aggregates(readout: ShortcutReadout, frozen: FrozenProbes) -> dict[str, Any]:
    """Return top eigenvalue share, participation ratio and angles of the training features, as plain values."""
    from paribus.subspace.concentration import concentration

    train = readout.view("train")
    found = concentration(train.h, train.domains, train.labels, weights=frozen.weights)
    return {
        "top_eigenvalue_share": found.top_eigenvalue_share,
        "participation_ratio": found.participation_ratio,
        "principal_angles": list(found.principal_angles),
        "top_angle": found.top_angle,
    }
