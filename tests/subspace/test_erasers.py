"""Erasers: what they must remove, what they must keep, and the defects of simpler ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from paribus.errors import ConfigError, ExperimentError
from paribus.subspace.erasers import ERASERS, PROJECTIONS, ErasureRefused, fit_eraser
from paribus.subspace.moments import balance_weights
from paribus.subspace.probes import fit_probe


def fit(method, made, weights=None, **more):
    return fit_eraser(
        method,
        made.h,
        made.domains,
        made.labels,
        clusters=made.clusters,
        rng=np.random.default_rng(0),
        weights=weights,
        **more,
    )


def onehot(names):
    return np.eye(int(max(names)) + 1)[names]


def cross(h, names, weights=None):
    share = np.full(len(h), 1 / len(h)) if weights is None else weights / weights.sum()
    z = onehot(names)
    return ((h - share @ h) * share[:, None]).T @ (z - share @ z)


def skewed(plant, seed=0, **more):
    """Correlated features with unequal variances: where oblique and orthogonal erasers differ."""
    r = np.random.default_rng(seed + 99)
    return plant(seed, noise=r.standard_normal((12, 12)) * np.geomspace(2, 0.1, 12)[:, None], **more)


@pytest.mark.parametrize("method", PROJECTIONS)
def test_projecting_twice_is_projecting_once_and_the_center_stays(plant, method):
    eraser = fit(method, plant(n_domains=3))
    assert eraser.kind == "projection"
    q = eraser.basis
    assert np.allclose(q.T @ q, np.eye(eraser.rank))
    h = np.random.default_rng(3).standard_normal((20, 12)) * 4
    assert np.allclose(eraser.apply(eraser.apply(h)), eraser.apply(h))
    assert np.allclose(eraser.apply(eraser.center[None]), eraser.center)
    assert np.allclose((eraser.apply(h) - eraser.center) @ q, 0)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.sampled_from(["leace", "splince"]), st.integers(2, 4), st.booleans())
def test_oblique_erasers_leave_no_covariance_with_the_domain(plant, seed, method, n_domains, weighted):
    made = plant(seed, n=300, n_domains=n_domains, confounding=0.3)
    weights = balance_weights(made.domains, made.labels) if weighted else None
    eraser = fit(method, made, weights)
    edited = eraser.apply(made.h)
    assert np.abs(cross(edited, made.domains, weights)).max() < 1e-9
    assert np.allclose(eraser.apply(edited), edited)
    if method == "splince":
        assert np.allclose(cross(edited, made.labels, weights), cross(made.h, made.labels, weights), atol=1e-9)


@pytest.mark.parametrize("n_domains", [2, 3])
def test_leace_equals_concept_erasure(plant, n_domains):
    torch = pytest.importorskip("torch")
    concept_erasure = pytest.importorskip("concept_erasure")
    made = skewed(plant, n=800, n_domains=n_domains, confounding=0.4)
    fitter = concept_erasure.LeaceFitter(12, n_domains, method="leace", shrinkage=False, dtype=torch.float64)
    fitter.update(torch.from_numpy(made.h), torch.from_numpy(onehot(made.domains)))
    oracle = fitter.eraser(torch.from_numpy(made.h)).numpy()
    assert np.allclose(fit("leace", made).apply(made.h), oracle, atol=1e-8)


def test_weights_mean_what_repeated_rows_mean(plant):
    made = skewed(plant, n=300, n_domains=3)
    counts = np.random.default_rng(4).integers(1, 4, 300)
    again = type(made)(
        *(np.repeat(part, counts, axis=0) for part in (made.h, made.domains, made.labels)),
        made.domain_axis,
        made.label_axis,
    )
    for method in ("leace", "splince", "mean_difference", "lda", "between_domain_pc"):
        weighted, repeated = fit(method, made, counts), fit(method, again)
        assert np.allclose(weighted.apply(made.h), repeated.apply(made.h), atol=1e-8), method


def test_leace_moves_features_least_in_the_metric_it_minimises(plant):
    # LEACE is the least-squares eraser: on average it moves features less than the orthogonal projection does.
    made = skewed(plant, n=3000, n_domains=3)
    moved = {m: np.mean(((fit(m, made).apply(made.h) - made.h) ** 2).sum(axis=1)) for m in ("leace", "mean_difference")}
    assert moved["leace"] < moved["mean_difference"]


def test_leace_leaves_dead_features_as_they_are(plant):
    made = plant(n=400)
    made.h = np.column_stack([made.h, np.zeros(400)])
    eraser = fit("leace", made)
    new = np.random.default_rng(0).standard_normal((5, 13))
    assert np.allclose(eraser.apply(new)[:, -1], new[:, -1])


def test_splince_refuses_where_domain_and_label_coincide(plant):
    nearly = plant(n=4000, angle=4.0, confounding=0.0)
    with pytest.raises(ErasureRefused, match="smallest eigenvalue"):
        fit("splince", nearly)
    clear = plant(n=4000, angle=60.0)
    eraser = fit("splince", clear)
    assert np.linalg.norm(eraser.removed(), 2) < 3


def test_the_refused_edit_would_have_distorted_the_features(plant, monkeypatch):
    from paribus.subspace import erasers

    nearly = plant(n=4000, angle=2.0)
    monkeypatch.setattr(erasers, "SPLINCE_LEAST_EIGENVALUE", 0.0)
    assert np.linalg.norm(fit("splince", nearly).removed(), 2) > 11


@pytest.mark.parametrize("method", ["probe", "mean_difference", "inlp", "lda"])
def test_the_domain_of_three_lies_in_two_directions(plant, method):
    rng = np.random.default_rng(0)
    made = plant(n=6000, n_domains=3, domain_gap=0.0)
    places = np.linalg.qr(rng.standard_normal((12, 3))).Q.T * 3
    made.h = made.h + places[made.domains]
    eraser = fit(method, made)
    assert eraser.rank >= 2 if method == "inlp" else eraser.rank == 2
    left = fit_probe(eraser.apply(made.h), made.domains, clusters=made.clusters, rng=rng, l2=0.01)
    assert (left.predict(eraser.apply(made.h)) == made.domains).mean() < 0.45


def test_one_step_of_a_probes_rows_is_not_erasure_but_inlp_and_leace_are(plant):
    made = skewed(plant, n=6000, domain_gap=4.0)
    rng = np.random.default_rng(0)

    def leak(method):
        edited = fit(method, made).apply(made.h)
        probe = fit_probe(edited[::2], made.domains[::2], clusters=made.clusters[::2], rng=rng, l2=1e-3)
        return (probe.predict(edited[1::2]) == made.domains[1::2]).mean()

    assert leak("probe") > 0.6
    assert leak("inlp") < 0.55
    assert leak("leace") < 0.53


def test_an_unbalanced_basis_erases_the_label_and_a_balanced_one_does_not(plant):
    made = plant(n=6000, confounding=0.9, domain_gap=2.0, label_gap=2.5)
    fresh = plant(n=6000, confounding=0.0, domain_gap=2.0, label_gap=2.5)

    def loss_of_auroc(weights):
        eraser = fit("mean_difference", made, weights)
        raw = roc_auc_score(fresh.labels, fresh.h @ made.label_axis)
        return raw - roc_auc_score(fresh.labels, eraser.apply(fresh.h) @ made.label_axis)

    assert loss_of_auroc(None) > 0.1
    assert abs(loss_of_auroc(balance_weights(made.domains, made.labels))) < 0.01


def test_without_centring_the_margin_would_shift_by_a_constant(plant):
    made = plant(n=5000)
    head = made.domain_axis + made.label_axis
    eraser = fit("mean_difference", made)
    shift = (eraser.apply(made.h) - made.h).mean(axis=0) @ head
    uncentred = -((made.h @ eraser.basis) @ eraser.basis.T).mean(axis=0) @ head
    assert abs(shift) < 1e-10
    assert abs(uncentred) > 1


def test_rank_is_the_methods_own_unless_asked(plant):
    made = plant(n=500, n_domains=4)
    made.h = made.h + np.random.default_rng(1).standard_normal((4, 12))[made.domains]
    assert fit("between_domain_pc", made).rank == 1
    assert fit("between_domain_pc", made, rank=3).rank == 3
    assert fit("mean_difference", made).rank == 3
    assert fit("probe", made, rank=1).rank == 1
    assert fit("random", made).rank == 3
    assert fit("inlp", made, rank=4).rank == 4
    with pytest.raises(ConfigError, match="rank cannot be chosen"):
        fit("leace", made, rank=1)


@pytest.mark.parametrize("method", [m for m in ERASERS if m != "random"])
def test_domains_that_nothing_tells_apart_are_refused(method):
    h = np.tile([[1.0, 2.0], [3.0, -1.0]], (6, 1))
    domains = np.repeat([0, 1, 0, 1, 0, 1], 2)
    with pytest.raises(ExperimentError):
        fit_eraser(
            method, h, domains, np.tile([0, 1], 6), clusters=np.arange(12), rng=np.random.default_rng(0), weights=None
        )


def test_an_unknown_method_names_the_nearest(plant):
    with pytest.raises(ConfigError, match="did you mean 'leace'"):
        fit("lace", plant(n=50))
