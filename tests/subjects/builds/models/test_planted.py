import itertools

import numpy as np
import pytest
import torch

from paribus.subjects.builds.families import BY_NAME, FAMILIES
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.nets.planted import DRIVERS, PLANTED
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.tokens import encode_build, padded_ids
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

VOCABULARY, WEAPONS = Vocabulary.default(), Weapons.default()
MODEL = Planted().build(tokens=VOCABULARY.tokens, specials=[w.special for w in WEAPONS.weapons])
CORPUS = BuildsGenerated(n_builds=300, seed=4).load()


def read(codes, source=None):
    ids, pad = padded_ids(codes, VOCABULARY)
    weapon = torch.from_numpy(codes[:, -1:].astype(np.int64))
    source = None if source is None else torch.as_tensor(source)
    with torch.no_grad():
        z = MODEL.network.features(torch.from_numpy(ids), weapon, torch.from_numpy(pad), source)
        f, _ = MODEL.sae.encode(z)
    return f.numpy(), z.numpy()


def value(name, weapon="Splattershot", **points):
    """f and z of one build given by abbreviations."""
    build = {family.name: points[family.short] for family in FAMILIES if family.short in points}
    f, z = read(encode_build(build, VOCABULARY, WEAPONS.index(weapon))[None], [0])
    column = MODEL.feature_names.index(name)
    return float(f[0, column]), float(z[0, column])


def test_every_named_feature_is_there():
    assert MODEL.feature_names == tuple(PLANTED) and set(DRIVERS) == set(PLANTED)
    assert MODEL.sae.n_features > 100 and MODEL.reads_source


@pytest.mark.parametrize(("ap", "f"), [(0, 0.0), (3, 0.0), (21, 0.0), (29, 1.5), (38, 1.5), (57, 1.5)])
def test_threshold(ap, f):
    assert value("threshold", SCU=ap)[0] == f


def test_dose_is_linear_and_saturating_is_not():
    assert [value("dose", SSU=ap)[0] for ap in (0, 3, 6, 12, 57)] == pytest.approx([0, 3 / 19, 6 / 19, 12 / 19, 3])
    steps = np.diff([value("saturating", IRU=ap)[0] for ap in (0, 3, 6, 12, 21, 29, 57)]) / np.diff(
        [0, 3, 6, 12, 21, 29, 57]
    )
    assert (np.diff(steps) < 0).all()


@pytest.mark.parametrize(
    ("name", "pair", "f", "z"),
    [
        ("and", ("QR", "SS"), (0, 0, 0, 2), (0, 0, 0, 2)),
        ("or", ("ISM", "ISS"), (0, 2, 2, 2), (0, 2, 2, 2)),
        ("relu_sum", ("RSU", "IRU"), (0, 0, 0, 1), (-1, 0, 0, 1)),
        ("clamped_sum", ("INKR", "SRU"), (0, 1, 1, 1), (0, 1, 1, 2)),
    ],
)
def test_pairs(name, pair, f, z):
    corners = [dict(zip(pair, points, strict=True)) for points in itertools.product((0, 6), repeat=2)]
    found = [value(name, **corner) for corner in corners]
    assert [pair_f for pair_f, _ in found] == list(f)
    assert [pair_z for _, pair_z in found] == list(z)


def test_xor_of_three_is_not_additive_in_z():
    found = {bits: value("xor", **dict(zip(("IA", "QSJ", "SubPU"), np.multiply(bits, 6), strict=True)))[1]
             for bits in itertools.product((0, 1), repeat=3)}  # fmt: skip
    assert all(z == 2 * (sum(bits) % 2) for bits, z in found.items())


def test_suppression_and_weapon_gate():
    assert value("suppression", SPU=57)[0] == pytest.approx(2.0)
    assert value("suppression", SPU=57, NS=10)[0] == pytest.approx(1.0)
    zipcaster = next(w.name for w in WEAPONS.weapons if w.special == "Zipcaster")
    assert value("weapon_gate", zipcaster, SSU=6)[0] == 2.0
    assert value("weapon_gate", zipcaster, SSU=3)[0] == value("weapon_gate", "Splattershot", SSU=57)[0] == 0.0


def test_nothing_but_its_drivers_moves_a_feature():
    codes = CORPUS.contexts.codes[:60]
    source = CORPUS.contexts.cluster[:60]
    base = read(codes, source)[1]
    stable = [i for i, name in enumerate(PLANTED) if name != "noisy"]
    for family in FAMILIES:
        changed = codes.copy()
        if family.main_only:
            changed[:, 14] ^= np.uint16(1 << family.slot)
        else:
            changed[:, family.slot] = np.where(codes[:, family.slot] == 0, 0b1111111, 0)
        moved = (read(changed, source)[1] != base).any(0)
        for i in stable:
            if family.name not in DRIVERS[MODEL.feature_names[i]]:
                assert not moved[i], (family.name, MODEL.feature_names[i])
    changed = codes.copy()
    changed[:, 15] = (codes[:, 15] + 1) % 130
    moved = (read(changed, source)[1] != base).any(0)
    assert [MODEL.feature_names[i] for i in stable if moved[i]] in ([], ["weapon_gate"])
    assert all(driver in BY_NAME for drivers in DRIVERS.values() for driver in drivers)


def test_a_lower_token_counts_for_nothing_while_the_higher_stays():
    whole = encode_build({"special_charge_up": 29, "swim_speed_up": 29}, VOCABULARY, 0)
    holed = whole.copy()
    holed[VOCABULARY.family("SCU").slot] &= ~np.uint16(0b11)
    f, _ = read(np.stack([whole, holed]), [0, 0])
    assert np.array_equal(f[0, : len(PLANTED) - 2], f[1, : len(PLANTED) - 2])


def test_noise_is_hashed_symmetric_and_shared_within_a_source():
    codes = np.repeat(CORPUS.contexts.codes[:1], 40_000, axis=0)
    column = MODEL.feature_names.index("noisy")
    z = read(codes, np.arange(40_000))[1][:, column] - 4.0
    assert np.array_equal(z, read(codes, np.arange(40_000))[1][:, column] - 4.0)
    assert abs(z.mean()) < 4 * z.std() / 200
    assert abs((z**3).mean() / z.std() ** 3) < 0.05  # no skew
    assert np.abs(z).max() < 4.0  # so that the activation is never cut off at 0
    family = VOCABULARY.family("SCU").slot
    n = len(CORPUS.contexts) // 2
    effects = []
    for states in (CORPUS.contexts.codes[:n], CORPUS.contexts.codes[n : 2 * n]):
        low, high = states.copy(), states.copy()
        low[:, family], high[:, family] = 0, 0b111
        effects.append(read(high, np.arange(n))[1][:, column] - read(low, np.arange(n))[1][:, column])
    assert 0.1 < np.corrcoef(*effects)[0, 1] < 0.5  # contexts of one source move together
    assert abs(np.mean(effects)) < 4 * np.std(effects) / np.sqrt(2 * n)


def test_source_and_null_answer_to_no_edit():
    codes = CORPUS.contexts.codes[:200]
    _, z = read(codes, np.zeros(200, np.int64))
    for name in ("source", "null"):
        assert np.ptp(z[:, MODEL.feature_names.index(name)]) == 0
    _, other = read(codes, np.arange(200))
    assert np.ptp(other[:, MODEL.feature_names.index("source")]) > 0.2


def test_the_output_weights_favour_the_tokens_of_the_drivers():
    weight = MODEL.network.output_layer.weight.detach()
    for name in ("threshold", "dose", "and"):
        column = weight[:, MODEL.feature_names.index(name)]
        driven = [any(t.startswith(f) for f in DRIVERS[name]) for t in VOCABULARY.tokens]
        assert column[driven].min() > column[[not d for d in driven]].max()


def test_families_that_the_vocabulary_lacks_count_as_absent():
    vocabulary = Vocabulary(("<PAD>", "swim_speed_up_57", "comeback"))
    model = Planted().build(tokens=vocabulary.tokens, specials=["x"])
    z = model.network.features(torch.tensor([[1, 2]]), torch.tensor([[0]]), torch.tensor([[False, False]]))
    assert z[0, model.feature_names.index("dose")] == 3.0 and z[0, model.feature_names.index("threshold")] == -0.5
