"""Linear probes, directions and erasers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.subspace.bases import orthonormal_basis, random_subspaces
    from paribus.subspace.concentration import Concentration, participation_ratio, principal_angles
    from paribus.subspace.directions import (
        between_domain_pc,
        find_direction,
        lda,
        mean_difference,
        orient,
        projected_sd,
        random_directions,
    )
    from paribus.subspace.erasers import Eraser, ErasureRefused, fit_eraser
    from paribus.subspace.moments import balance_weights
    from paribus.subspace.probes import LinearProbe, fit_probe

__all__ = [
    "Concentration",
    "Eraser",
    "ErasureRefused",
    "LinearProbe",
    "balance_weights",
    "between_domain_pc",
    "find_direction",
    "fit_eraser",
    "fit_probe",
    "lda",
    "mean_difference",
    "orient",
    "orthonormal_basis",
    "participation_ratio",
    "principal_angles",
    "projected_sd",
    "random_directions",
    "random_subspaces",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
