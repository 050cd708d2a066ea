"""On planted features: gate weapons are enriched, counts are right, source builds are the units."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from paribus.errors import ConfigError
from paribus.experiments.builds.weapon_group_analysis import WeaponGroupAnalysis
from paribus.experiments.builds.weapon_group_analysis.work import groups, p_values
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.weapons import Weapons

GATES = {weapon.name for weapon in Weapons.default().weapons if weapon.special == "Zipcaster"}


@pytest.mark.parametrize("test", ["permutation", "fisher"])
def test_only_gate_weapons_are_enriched(planted_run, test):
    result, _ = planted_run(WeaponGroupAnalysis(test=test), "weapon_gate", n_builds=1500)
    custom = result.aggregates.custom
    assert custom["top_weapon"] in GATES
    assert custom["n_enriched"] >= 2
    assert set(custom["enriched"]) <= GATES
    frame = result.tables["weapon_enrichment"].frame
    assert np.isfinite(frame[["odds_ratio", "odds_low", "odds_high", "lift"]]).all(axis=None)
    assert (frame.loc[frame["weapon"].isin(custom["enriched"]), "odds_low"] > 1).all()


def test_counts_and_groups_are_those_of_the_contexts(planted_run):
    result, setup = planted_run(WeaponGroupAnalysis(min_examples=1), "dose", n_builds=150)
    f, weapon = setup.observed.f, setup.contexts.weapon
    cut = np.quantile(f, 0.8)
    high = f >= cut if cut > f.min() else f > cut
    low = (f <= np.quantile(f, 0.5)) & ~high
    frame = result.tables["weapon_enrichment"].frame.set_index("weapon")
    assert frame["n"].sum() == (high | low).sum() == result.aggregates.n_samples
    assert frame["n_high"].sum() == high.sum() == result.aggregates.custom["n_high"]
    name = frame["n"].idxmax()
    own = weapon == setup.weapons.index(name)
    assert frame.loc[name, "share_high"] == pytest.approx(own[high].mean())
    assert frame.loc[name, "share_low"] == pytest.approx(own[low].mean())
    a, b, c, d = (own & high).sum(), (~own & high).sum(), (own & low).sum(), (~own & low).sum()
    assert frame.loc[name, "odds_ratio"] == pytest.approx((a + 0.5) * (d + 0.5) / ((b + 0.5) * (c + 0.5)))


def test_fisher_looks_at_one_context_of_each_build(planted_run):
    experiment = WeaponGroupAnalysis(test="fisher", min_examples=1)
    _, setup = planted_run(experiment, "dose", n_builds=60, data={"contexts_per_build": 1})
    rows, high = groups(experiment, setup)
    present = setup.contexts.weapon[rows, None] == np.arange(setup.weapons.size)
    apart = np.arange(len(rows))
    p, method = p_values(experiment, setup, None, present, high[rows], apart)
    own = int(present.sum(0).argmax())
    table = [[(present[:, own] == w)[high[rows] == h].sum() for w in (True, False)] for h in (True, False)]
    assert p[own] == pytest.approx(fisher_exact(table).pvalue)
    assert set(method) == {"exact"}


@pytest.mark.parametrize("test", ["permutation", "fisher"])
def test_noise_by_build_enriches_no_weapon(planted_run, test):
    experiment = WeaponGroupAnalysis(test=test)
    result, _ = planted_run(experiment, "source", n_builds=300, data={"contexts_per_build": 6})
    assert result.aggregates.custom["n_enriched"] == result.aggregates.custom["n_depleted"] == 0


def test_the_null_feature_has_no_groups(planted_run):
    result, _ = planted_run(WeaponGroupAnalysis(), "null")
    frame = result.tables["weapon_enrichment"].frame
    assert len(frame)
    assert (frame[["odds_ratio", "odds_low", "odds_high", "lift", "p", "p_adj"]] == 1).all(axis=None)
    assert any("constant" in w for w in result.diagnostics.warnings)


def test_too_few_examples_give_an_empty_table_and_a_warning(planted_run):
    result, _ = planted_run(WeaponGroupAnalysis(min_examples=10_000), "dose", n_builds=60)
    assert result.tables["weapon_enrichment"].frame.empty
    assert any("min_examples" in w for w in result.diagnostics.warnings)


def test_a_silent_feature_is_skipped_where_that_is_hard(planted_run):
    constraints = ConstraintsSpec(no_weapon_gating_if_relu_floor="hard")
    result, _ = planted_run(WeaponGroupAnalysis(), "weapon_gate", n_builds=60, constraints=constraints)
    assert not result.tables
    assert result.aggregates.custom["skipped"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"high_quantile": 95}, r"say 0\.95"),
        ({"low_quantile": 0.0}, "fraction"),
        ({"low_quantile": 0.9, "high_quantile": 0.5}, "low_quantile"),
        ({"test": "chi2"}, "fisher"),
    ],
)
def test_wrong_requests_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        WeaponGroupAnalysis(**fields)


def test_the_effect_vector_has_the_same_entries_for_both_halves(planted_run):
    experiment = WeaponGroupAnalysis()
    _, setup = planted_run(experiment, "weapon_gate", n_builds=600)
    rows = np.arange(len(setup.contexts))
    halves = [experiment.effect_vector(setup.restrict(rows[setup.cluster % 2 == h])) for h in (0, 1)]
    assert halves[0].labels == halves[1].labels
    assert np.isfinite(halves[0].values).all()
