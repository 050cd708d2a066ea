from dataclasses import replace

import numpy as np
import pytest
import torch

from paribus.errors import CheckpointError, ConfigError, DataError
from paribus.experiments.builds.loading import build_setup, load_corpus
from paribus.experiments.builds.minimal_cores import MinimalCores
from paribus.experiments.recording import MemoryRecorder
from paribus.features.direction import Direction
from paribus.features.latent import Latent
from paribus.features.logit import Logit
from paribus.features.margin import Margin
from paribus.features.unit import Unit
from paribus.measure import Contrasts, Design
from paribus.models.sae import SAE
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds import subject
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.contexts import Contexts
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.models.set_completion import SetCompletion
from paribus.subjects.builds.planted_feature import PlantedFeature
from paribus.subjects.builds.slices import SliceSpec
from paribus.subjects.builds.states import stack
from paribus.subjects.builds.tokens import padded_ids

CORPUS = BuildsGenerated(n_builds=150, seed=6).load()
SMALL = SetCompletion(embedding=8, hidden=16, n_layers=1, n_heads=2, n_inducing=2, sae=SAE(n_features=40, clamp=0.5))


def base_states(setup, **held):
    return MinimalCores(**held).hold(setup, setup.contexts.states())


def planted(name="threshold", **options):
    return build_setup(
        data=CORPUS, model=Planted(), feature=PlantedFeature(name), seed=0, stats=StatsSpec(n_null=30), **options
    )


def small(feature=None, **options):
    return build_setup(
        data=CORPUS, model=SMALL, feature=feature or Latent(3), seed=0, stats=StatsSpec(n_null=12), **options
    )


def one_by_one(setup, states):
    """The reference: one state after the other through network and autoencoder, no sharing of anything."""
    f, z = np.full(states.shape, np.nan), np.full(states.shape, np.nan)
    network, sae = setup.model.network, setup.model.sae
    for index in np.ndindex(*states.shape):
        if not states.ok[index]:
            continue
        ids, pad = padded_ids(states.codes[index][None], setup.vocabulary)
        kept = []
        handle = network.output_layer.register_forward_pre_hook(lambda _, args, kept=kept: kept.append(args[0]))
        inputs = [torch.from_numpy(ids), torch.tensor([[int(states.weapon[index])]]), torch.from_numpy(pad)]
        if setup.model.reads_source:
            inputs.append(torch.tensor([int(states.source[index])]))
        with torch.no_grad():
            network(*inputs)
            active, raw = sae.encode(kept[0])
        handle.remove()
        f[index], z[index] = float(active[0, setup.reader.row]), float(raw[0, setup.reader.row])
    return f, z


@pytest.mark.parametrize("setup", [small(), planted("noisy"), planted("dose")], ids=["small", "noisy", "dose"])
def test_measuring_agrees_with_one_by_one(setup):
    states = base_states(setup)[:40]
    grid = setup.edits.sweep(states, "SCU", [None, 12, 57])
    measured = setup.measure(grid)
    f, z = one_by_one(setup, setup.enforce(grid))
    assert measured.f.shape == (3, 40) and np.isnan(measured.f[2]).any()
    np.testing.assert_allclose(measured.f, f, atol=2e-6)
    np.testing.assert_allclose(measured.z, z, atol=2e-6)
    assert measured.report.n_requested == np.isfinite(f).sum() >= measured.report.n_unique


def test_equal_states_are_evaluated_once_unless_the_source_counts():
    base = base_states(small())
    for setup, unique in ((small(), 1), (planted("noisy"), 2)):
        row = base[np.array([0, 0, 0, 0])]
        states = replace(row, source=np.array([1, 1, 2, 2]))
        measured = setup.measure(states)
        assert measured.report.n_requested == 4 and measured.report.n_unique == unique
        assert measured.f[0] == measured.f[1]


def design(setup, levels=(None, 3, 29, 38)):
    return Design(lambda contexts: setup.edits.sweep(contexts, "SCU", levels), len(levels))


def test_blocks_change_nothing(monkeypatch):
    setup = small()
    weights = np.array([[-1.0, 1, 0, 0], [-1, 0, 0, 1], [1, -1, -1, 1]])
    whole = setup.measure_design(design(setup), contrasts=Contrasts(weights))
    monkeypatch.setattr(subject, "CHUNK_CELLS", 4 * 17)
    parts = small().measure_design(design(setup), contrasts=Contrasts(weights))
    np.testing.assert_allclose(whole.values, parts.values, atol=1e-6)
    np.testing.assert_allclose(whole.null, parts.null, atol=1e-6)
    at_once = small().measure(design(setup).edit(base_states(setup)))
    np.testing.assert_allclose(whole.values, [at_once.f, at_once.z], atol=1e-6)
    assert (setup.feasible(design(setup)) == np.isfinite(whole.values[0])).all()


@pytest.mark.parametrize("given", [False, True])
def test_null_effects_are_those_of_the_null_features(given):
    setup = small()
    weights = np.array([[-1.0, 1, 0, 0], [-1, 0, 0, 1]])
    ok = setup.feasible(design(setup))
    support = np.stack([ok[[0, 1]].all(0), ok.all(0)]) if given else None
    out = setup.measure_design(design(setup), contrasts=Contrasts(weights, support))
    used = support if given else np.stack([ok[[0, 1]].all(0), ok[[0, 3]].all(0)])
    for k, latent in enumerate(setup.nulls.rows[:5]):
        other = small(Latent(int(latent)))
        f = other.measure_design(design(other)).values[0]
        raw = [
            np.sum(weights[r][:, None] * np.where(weights[r][:, None] != 0, f, 0), 0)[used[r]].mean() for r in (0, 1)
        ]
        np.testing.assert_allclose(out.null[:, k], np.array(raw) * setup.sd / other.sd, atol=1e-6)


def test_nulls_are_alive_matched_and_never_the_feature_itself():
    setup = planted("threshold")
    moments, nulls = setup.instrument.moments, setup.nulls
    assert len(nulls.rows) == 30 and setup.reader.row not in nulls.rows
    place = {int(row): i for i, row in enumerate(moments.rows)}
    rates = np.array([moments.firing_rate[place[int(r)]] for r in nulls.rows])
    left_out = np.setdiff1d(moments.rows[moments.sd > 0], [*nulls.rows, setup.reader.row])
    other = np.array([moments.firing_rate[place[int(r)]] for r in left_out])
    own = moments.firing_rate[0]
    assert np.abs(rates - own).max() <= np.abs(other - own).min() + 1e-12
    assert (nulls.scale > 0).all()
    assert np.array_equal(nulls.rows, planted("threshold").nulls.rows)  # seeded


def test_moments_are_those_of_the_unsliced_corpus():
    setup = small(slicing=SliceSpec(sample_size=20))
    assert len(setup.contexts) == 20
    f, z = setup.corpus_measured.f, setup.corpus_measured.z
    assert len(f) == len(CORPUS.contexts)
    assert setup.sd == pytest.approx(f.std(), rel=1e-4) and setup.sd_z == pytest.approx(z.std(), rel=1e-4)
    assert setup.instrument.moments.firing_rate[0] == pytest.approx((f > 0).mean())
    np.testing.assert_array_equal(setup.observed.f, f[setup.chosen])
    assert planted("null").sd == 0.0


def test_stable_tokens_are_held_in_every_level():
    setup = small()

    def held(contexts):
        base = MinimalCores(stable_tokens=["comeback", "SSU_6"], close_context=True).hold(setup, contexts)
        return setup.edits.sweep(base, "SCU", [None, 12])

    states = held(setup.contexts.states())
    for token in ("comeback", "swim_speed_up_3", "swim_speed_up_6"):
        assert setup.edits.holds(states, token).all()
    with pytest.raises(ConfigError, match="both need the main slot"):
        base_states(setup, stable_tokens=["comeback", "opening_gambit"])


def test_violations_evaluations_and_the_empty_set_reach_the_diagnostics():
    setup, recorder = small(), MemoryRecorder()
    states = stack([setup.edits.set_rung(base_states(setup), "SCU", 57), base_states(setup)])
    out = setup.measure(states, recorder)
    emptied = setup.edits.remove_units(base_states(setup), [f.name for f in setup.vocabulary.families()])
    assert np.isnan(setup.measure(emptied, recorder).f).all()
    kept = recorder.diagnostics
    assert kept.constraint_violations["valid_gear_combinations"] == np.isnan(out.f).sum()
    assert kept.constraint_violations["empty_set"] == len(setup.contexts)
    assert kept.engine.strategy == "inputs" and kept.engine.n_requested == out.report.n_requested
    assert np.isfinite(small(constraints=ConstraintsSpec(keep_empty=True)).measure(emptied).f).all()
    setup.describe(recorder)
    assert recorder.diagnostics.n_contexts_tested == len(setup.contexts)


def test_nothing_feasible_is_refused_before_anything_runs():
    setup = small()
    both = Design(lambda c: setup.edits.set_rung(setup.edits.set_rung(c, "SCU", 57), "SSU", 57)[None])
    with pytest.raises(ConfigError, match="none of .* contexts are legal with SCU 57 and SSU 57"):
        setup.require(setup.feasible(both), "SCU 57 and SSU 57")


def test_names_are_looked_up_before_anything_runs():
    small().look_up(["comeback", "SSU_12"])
    with pytest.raises(ConfigError, match="both need the main slot"):
        small().look_up(["comeback", "tenacity"])
    for slicing in (
        SliceSpec(weapon_filter=["Splatershot"]),
        SliceSpec(weapon_exclude=["x"]),
        SliceSpec(family_filter=["x"]),
    ):
        with pytest.raises(ConfigError, match="no weapon|no ability family"):
            small(slicing=slicing).look_up()
    with pytest.raises(ConfigError, match="numbered 0 to 39"):
        small(Latent(99)).look_up()


# Features -------------------------------------------------------------------------------------------------------------


def test_units_directions_logits_and_margins_are_what_they_say():
    base = base_states(small())[:30]
    x, logits = small().vectors(base)
    token = small().vocabulary.ids["swim_speed_up_12"]
    vector = np.arange(16.0)
    others = np.delete(logits, token, axis=1).mean(1)
    for feature, expected in (
        (Unit(5), x[:, 5]),
        (Direction(values=vector.tolist()), x @ vector / np.linalg.norm(vector)),
        (Logit("SSU_12"), logits[:, token]),
        (Margin("SSU_12"), logits[:, token] - others),
    ):
        measured = small(feature).measure(base)
        np.testing.assert_allclose(measured.z, expected, atol=1e-5)
        np.testing.assert_allclose(measured.f, expected, atol=1e-5)
    np.testing.assert_allclose(
        small(Logit("SSU_12", True)).measure(base).f, 1 / (1 + np.exp(-logits[:, token])), atol=1e-5
    )


def test_a_unit_inside_the_model_is_averaged_over_real_tokens():
    setup = small(Unit(2, site="transformer_layers.0.output"))
    base = base_states(setup)[:10]
    x, _ = small().vectors(base)  # the last layer's mean over tokens is the pooled vector itself
    np.testing.assert_allclose(setup.measure(base).f, x[:, 2], atol=1e-5)


def test_a_direction_of_a_token_and_of_a_file(tmp_path):
    weight = small().model.network.output_layer.weight.detach().numpy()
    token = small().vocabulary.ids["comeback"]
    vector = weight[token] - weight.mean(0)
    np.save(tmp_path / "v.npy", vector)
    base = base_states(small())[:10]
    a = small(Direction(token="comeback")).measure(base).f
    b = small(Direction(path=str(tmp_path / "v.npy"))).measure(base).f
    np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("feature", "error", "match"),
    [
        (lambda: Latent(40), ConfigError, "feature.id=40: the autoencoder has 40 features, numbered 0 to 39"),
        (lambda: Latent(-1), ConfigError, "at least 0"),
        (lambda: Unit(16), ConfigError, "16 units, numbered 0 to 15"),
        (lambda: Unit(0, site="transformer_layer.0"), ConfigError, "no module"),
        (lambda: Direction(), ConfigError, "give feature.values"),
        (lambda: Direction(values=[1.0, 2.0]), ConfigError, r"is 16 wide, the vector has shape \(2,\)"),
        (lambda: Direction(values=[0.0] * 16), ConfigError, "not zero"),
        (lambda: Direction(values=[1.0], token="comeback"), ConfigError, "give one of"),
        (lambda: Direction(path="nowhere.npy"), DataError, "no readable .npy"),
        (lambda: Logit("swim_speed_up_13"), ConfigError, "3, 6, 12, 15, 21, 29, 38, 51, 57"),
        (lambda: Margin("swim"), ConfigError, "no ability token"),
        (lambda: PlantedFeature("threshold"), ConfigError, "model=planted only"),
    ],
)
def test_wrong_features(feature, error, match):
    with pytest.raises(error, match=match):
        small(feature()).reader  # noqa: B018


def test_a_planted_feature_that_is_not_there():
    with pytest.raises(ConfigError, match="did you mean 'threshold'"):
        planted("treshold").reader  # noqa: B018
    with pytest.raises(ConfigError, match="no feature chosen"):
        replace(planted(), feature=None).reader  # noqa: B018


def test_latents_of_a_model_without_autoencoder():
    with pytest.raises(ConfigError, match="no sparse autoencoder"):
        build_setup(data=CORPUS, model=replace(SMALL, sae=None), feature=Latent(0), seed=0, stats=StatsSpec()).reader  # noqa: B018


# Slices, parts and shuffles -------------------------------------------------------------------------------------------


def test_a_slice_on_the_activation_warns():
    setup, recorder = planted(slicing=SliceSpec(activation_threshold=1.0)), MemoryRecorder()
    assert (setup.observed.f >= 1.0).all() and len(setup.contexts) > 0
    setup.describe(recorder)
    assert any("shrinks effects" in warning for warning in recorder.diagnostics.warnings)
    assert setup.floor_rate() == 0.0 and planted().floor_rate() > 0.9


def test_a_part_of_the_contexts_shares_what_was_measured():
    setup = small(slicing=SliceSpec(sample_size=50))
    whole = setup.corpus_measured
    half = setup.restrict(np.arange(0, 50, 2))
    assert len(half.contexts) == 25 and half.corpus_measured is whole and half.instrument is setup.instrument
    np.testing.assert_array_equal(half.observed.f, setup.observed.f[::2])
    quarter = half.restrict(np.arange(5))
    np.testing.assert_array_equal(quarter.contexts.codes, setup.contexts.codes[:10:2])


def test_other_activations_replace_what_was_observed_only():
    setup = small(slicing=SliceSpec(sample_size=50))
    f = np.arange(len(CORPUS.contexts), dtype=float)
    shuffled = setup.with_activations(f, -f)
    np.testing.assert_array_equal(shuffled.observed.f, f[setup.chosen])
    np.testing.assert_array_equal(shuffled.chosen, setup.chosen)
    np.testing.assert_allclose(shuffled.measure(base_states(shuffled)).f, setup.observed.f, atol=1e-6)  # float32


def test_float64_agrees_with_float32():
    single = small().measure(base_states(small())).z
    double = small(dtype="float64").measure(base_states(small())).z
    assert np.abs(single - double).max() < 1e-5 and (single != double).any()


def test_the_models_own_vocabulary_rules(tmp_path):
    from paribus.subjects.builds.models.splatgpt import SplatGPT

    spec = SplatGPT(path=str(tmp_path))
    with pytest.raises(DataError, match="vocab.json"):
        build_setup(data=BuildsGenerated(n_builds=5), model=spec, seed=0, stats=StatsSpec())
    (tmp_path / "vocab.json").write_text('{"<PAD>": 0, "comeback": 1, "swim_speed_up_3": 2, "swim_speed_up_12": 3}')
    (tmp_path / "weapon_vocab.json").write_text('{"weapon_id_40": 0}')
    corpus = load_corpus(BuildsGenerated(n_builds=20), spec)
    assert corpus.vocabulary.rungs == (3, 12) and corpus.weapons.size == 1
    with pytest.raises(CheckpointError, match="no such file"):
        build_setup(data=corpus, model=spec, seed=0, stats=StatsSpec())


def test_contexts_keep_code_and_cluster_together():
    contexts = Contexts(CORPUS.contexts.codes, CORPUS.contexts.cluster)
    part = contexts.rows(np.array([3, 1]))
    assert part.cluster.tolist() == CORPUS.contexts.cluster[[3, 1]].tolist()
