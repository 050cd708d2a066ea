from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from paribus.errors import DataError
from paribus.subjects.images.arrays import Arrays

SHARED = Path(__file__).parents[4] / "shared" / "data"


def content(n=240, seed=0, **changes):
    rng = np.random.default_rng(seed)
    arrays = {
        "images": rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8),
        "labels": np.arange(n) % 2,
        "domains": np.arange(n) // 2 % 4,
        "clusters": np.arange(n) // 8 * 4 + np.arange(n) // 2 % 4,
        "domain_names": np.array(["a", "b", "c", "d"]),
        "class_names": np.array(["no", "yes"]),
    }
    arrays.update(changes)
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.fixture
def save(tmp_path):
    def write(name="data.npz", **changes):
        np.savez(tmp_path / name, **content(**changes))
        return str(tmp_path / name)

    return write


def spec(path, **fields):
    return Arrays(**{"path": path, "val_domain": "c", "ood_domain": "d", **fields})


def test_domains_have_their_roles(save):
    data = spec(save()).load()
    domains = {name: set(data.domains[rows].tolist()) for name, rows in data.splits.items()}
    assert domains == {"train": {0, 1}, "id_val": {0, 1}, "val": {2}, "ood": {3}}
    assert data.train_domains == (0, 1)
    assert data.domain_names == ("a", "b", "c", "d")
    assert data.class_names == ("no", "yes")
    assert sum(len(rows) for rows in data.splits.values()) == 240
    assert data.rerender is None


def test_clusters_are_not_shared_between_splits(save):
    data = spec(save(), val_domain=None).load()
    seen = [set(data.clusters[rows].tolist()) for rows in data.splits.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))
    for name in ("train", "id_val", "val"):
        assert set(data.domains[data.rows(name)]) == {0, 1, 2}


def test_images_and_their_labels_stay_together(save):
    path = save()
    data = spec(path).load()
    raw = content()
    for split, rows in data.splits.items():
        images = data.take(rows[:5])
        assert images.dtype == torch.float32
        mean, std = data.inputs._shift, data.inputs._scale
        back = ((images + mean) / std).round().byte().permute(0, 2, 3, 1).numpy()
        for image, row in zip(back, rows[:5], strict=True):
            where = np.flatnonzero((raw["images"] == image).all(axis=(1, 2, 3)))
            assert raw["labels"][where] == data.labels[row], split
            assert raw["domains"][where] == data.domains[row], split


def test_training_images_are_standardised(save):
    data = spec(save()).load()
    images = data.take(data.rows("train")).double()
    assert torch.allclose(images.mean(dim=(0, 2, 3)), torch.zeros(3, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(images.std(dim=(0, 2, 3)), torch.ones(3, dtype=torch.float64), atol=1e-3)


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (np.zeros((240, 8, 8), dtype=np.uint8), (1, 8, 8)),
        (np.zeros((240, 8, 8, 1), dtype=np.uint8), (1, 8, 8)),
        (np.zeros((240, 3, 8, 8), dtype=np.uint8), (3, 8, 8)),
        (np.full((240, 8, 8, 3), 0.5), (3, 8, 8)),
    ],
)
def test_layouts_of_images(save, images, shape):
    data = spec(save(images=images)).load()
    assert tuple(data.take(np.array([0])).shape[1:]) == shape


def test_float_images_equal_their_bytes(save):
    raw = content()["images"]
    a = spec(save("bytes.npz")).load()
    b = spec(save("floats.npz", images=raw / 255.0)).load()
    assert torch.equal(a.take(np.arange(40)), b.take(np.arange(40)))


def test_names_in_place_of_numbers(save):
    raw = content()
    path = save(
        labels=np.array(["no", "yes"])[raw["labels"]],
        domains=np.array(["a", "b", "c", "d"])[raw["domains"]],
        domain_names=None,
        class_names=None,
        clusters=None,
    )
    data = spec(path).load()
    assert data.domain_names == ("a", "b", "c", "d")
    assert len(set(data.clusters.tolist())) == len(data.clusters)


def test_draws_are_balanced_over_domain_and_class(save):
    data = spec(save(), n_train=42, n_eval=20).load()
    rows = data.rows("train")
    counts = np.unique(np.stack([data.domains[rows], data.labels[rows]]), axis=1, return_counts=True)[1]
    assert counts.sum() == 42
    assert set(counts) == {10, 11}
    assert len(data.rows("ood")) == 20
    assert data.labels[data.rows("ood")].mean() == 0.5


def test_evaluation_splits_take_what_there_is(save):
    data = spec(save(), n_eval=10_000).load()
    assert len(data.rows("val")) == len(data.rows("ood")) == 60


def test_domains_by_number_and_by_name_are_the_same(save):
    path = save()
    by_name, by_number = spec(path), spec(path, val_domain="2", ood_domain="3", train_domains=["0", "1"])
    assert np.array_equal(by_name.load().rows("train"), by_number.load().rows("train"))


def test_chosen_classes_are_kept_in_their_order(save):
    labels = np.arange(240) // 8 % 3
    data = spec(save(labels=labels, class_names=np.array(["x", "y", "z"])), classes=["z", "x"]).load()
    assert data.class_names == ("z", "x")
    assert set(data.labels.tolist()) == {0, 1}
    assert len(data.labels) == (labels != 1).sum()


def test_other_seeds_draw_other_rows(save):
    path = save()
    a, b, c = (spec(path, seed=seed, n_train=40).load() for seed in (0, 0, 1))
    assert a.digest == b.digest != c.digest
    assert torch.equal(a.take(a.rows("train")), b.take(b.rows("train")))


def test_fingerprint_follows_content_and_parameters_not_the_place(save):
    a, b = spec(save("one.npz")), spec(save("two.npz"))
    assert a.content() == b.content()
    assert spec(save("three.npz", seed=1)).content() != a.content()
    assert spec(save("one.npz"), n_train=40).content() != a.content()


WRONG = {
    "unknown domain": ({}, {"ood_domain": "dd"}, "ood_domain: no such domain 'dd'; did you mean|valid: a, b, c, d"),
    "two roles": ({}, {"val_domain": "d"}, "the domain 'd' has two roles"),
    "trained and reported": ({}, {"train_domains": ["a", "d"]}, "the domain 'd' has two roles"),
    "empty domain": ({"domain_names": np.array([*"abcde"])}, {"ood_domain": "e"}, "the domain 'e' has no images"),
    "single class": ({"labels": np.zeros(240, dtype=int)}, {}, "the single class 'no'"),
    "unknown class": ({}, {"classes": ["maybe"]}, "no such class 'maybe'"),
    "too many": ({}, {"n_train": 4000}, r"n_train: 4000 are asked for, there are \d+"),
    "unbalanced": (
        {"labels": (np.arange(240) % 16 == 0).astype(int)},
        {"n_train": 40},
        "a balanced draw of 40 needs 10 images of b x yes, there are 0",
    ),
    "one cluster": ({"clusters": np.arange(240) // 2 % 4}, {}, "single cluster"),
    "no labels": ({"labels": None}, {}, "lacks labels; it has images"),
    "labels too short": ({"labels": np.zeros(3, dtype=int)}, {}, "labels must be one per image"),
    "negative labels": ({"labels": np.full(240, -1)}, {}, "must count from 0"),
    "float labels": ({"labels": np.zeros(240)}, {}, "must be whole numbers or names"),
    "too few names": ({"class_names": np.array(["no"])}, {}, "there are 1 names"),
    "no square": ({"images": np.zeros((240, 8, 9, 3), dtype=np.uint8)}, {}, "must be square"),
    "no images": ({"images": np.zeros((240, 8), dtype=np.uint8)}, {}, "images must be"),
    "out of range": ({"images": np.full((240, 8, 8, 3), 7.0)}, {}, r"must lie in \[0, 1\]"),
    "not finite": ({"images": np.full((240, 8, 8, 3), np.nan)}, {}, "finite floats"),
    "objects": ({"labels": np.array([object()] * 240)}, {}, "refused, it holds Python objects"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_archives_are_refused_in_one_line(save, name):
    changes, fields, message = WRONG[name]
    with pytest.raises(DataError, match=message) as caught:
        spec(save(**changes), **fields).load()
    assert "\n" not in str(caught.value)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        spec(str(tmp_path / "none.npz")).load()
    with pytest.raises(DataError, match="no such file"):
        spec(str(tmp_path / "none.npz")).content()
    np.savez(tmp_path / "whole.npz", **content())
    whole = (tmp_path / "whole.npz").read_bytes()
    for name, damaged in (("cut.npz", whole[:5000]), ("text.npz", b"hello"), ("empty.npz", b"")):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(DataError, match=f"{name}: damaged"):
            spec(str(tmp_path / name)).load()
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(DataError, match="a single array"):
        spec(str(tmp_path / "single.npy")).load()


@pytest.mark.skipif(not (SHARED / "pacs_32.npz").exists(), reason="needs the PACS archive beside the project")
def test_pacs():
    path = str(SHARED / "pacs_32.npz")
    data = Arrays(path=path, val_domain="cartoon", ood_domain="sketch", n_train=280, n_eval=350).load()
    assert data.n_classes == 7
    assert (data.in_channels, data.image_size) == (3, 32)
    assert data.train_domains == (0, 2)
    counts = np.bincount(data.labels[data.rows("train")])
    assert set(counts) == {40}


@pytest.mark.skipif(not (SHARED / "digits_two_sources.npz").exists(), reason="needs the digits beside the project")
def test_two_sources_of_digits():
    data = Arrays(path=str(SHARED / "digits_two_sources.npz"), ood_domain="semeion", n_train=600).load()
    assert (data.in_channels, data.image_size, data.n_classes) == (1, 16, 10)
    assert data.train_domains == (0,)
    assert set(data.domains[data.rows("val")]) == {0}
    assert len(data.rows("ood")) == 1593


def test_a_class_that_no_training_image_has_is_named(save):
    labels = np.arange(240) % 2
    labels[np.arange(240) // 2 % 4 == 3] = 2
    notes = spec(save(labels=labels, class_names=np.array(["no", "yes", "maybe"]))).load().notes
    assert "No training example has the class maybe, so it is not learned; 60 of 60 of ood have it." in notes
