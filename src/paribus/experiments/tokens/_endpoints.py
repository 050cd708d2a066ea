"""The endpoints of the token study: what comparisons over trainings may be about."""

from __future__ import annotations

from paribus.results.endpoint import ANY, SHARE, Endpoint


def _number(name: str, label: str, table: str, unit: str, bounds: tuple[float, float] = ANY) -> Endpoint:
    """Return an endpoint that is exact for a network: all inputs are measured, so it has no interval of its own."""
    return Endpoint(name, label, table, name, "", "", unit, False, bounds)


CIRCUIT = (
    _number("distance_irrelevance", "distance irrelevance", "circuit_metrics", "ratio of sds"),
    _number("gradient_symmetricity", "gradient symmetricity", "circuit_metrics", "cosine", (-1.0, 1.0)),
    _number("circularity", "circularity of the embedding", "circuit_metrics", "share of power", SHARE),
)

ISOLATION = (
    _number("kept_accuracy", "accuracy with one circle alone", "isolation_summary", "accuracy", SHARE),
    _number("all_kept_accuracy", "accuracy with all circles alone", "isolation_summary", "accuracy", SHARE),
    _number("removed_accuracy", "accuracy without one circle", "isolation_summary", "accuracy", SHARE),
)
