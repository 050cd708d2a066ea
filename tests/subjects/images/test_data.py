from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from paribus.errors import DataError
from paribus.subjects.images.assemble import channel_statistics
from paribus.subjects.images.data import EightBitImages, ImageData, content_digest
from paribus.subjects.images.kind import IMAGES


def data(**changes):
    n = 12
    fields = {
        "inputs": torch.zeros(n, 3, 8, 8),
        "labels": np.arange(n) % 2,
        "domains": np.arange(n) // 3,
        "clusters": np.arange(n),
        "domain_names": ("a", "b", "c", "d"),
        "class_names": ("no", "yes"),
        "splits": {name: np.arange(3 * i, 3 * i + 3) for i, name in enumerate(("train", "id_val", "val", "ood"))},
        "digest": "x",
        "train_domains": (0,),
    }
    return ImageData(**{**fields, **changes})


def test_shapes_are_told():
    images = data()
    assert (images.n_classes, images.in_channels, images.image_size) == (2, 3, 8)
    assert images.take(np.array([1, 4])).shape == (2, 3, 8, 8)
    assert images.rows("val").tolist() == [6, 7, 8]


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="12 labels, but 5 clusters"):
        data(clusters=np.arange(5))
    with pytest.raises(DataError, match="no split train; it has id_val, val"):
        data(splits={name: np.arange(3) for name in ("id_val", "val")})
    with pytest.raises(DataError, match="no such split 'vall'; did you mean 'val'"):
        data(splits={name: np.arange(3) for name in ("train", "vall")})
    with pytest.raises(DataError, match="numbers from 0 to 3, but 2 domain_names"):
        data(domain_names=("a", "b"))
    with pytest.raises(DataError, match="the split 'val' has no image"):
        data(splits={**data().splits, "val": np.arange(0)})
    with pytest.raises(DataError, match="single class 'no'"):
        data(labels=np.zeros(12, dtype=int))
    with pytest.raises(DataError, match="did you mean 'ood'"):
        data().rows("odd")
    assert replace(data(), digest="y").digest == "y"


def test_what_is_not_given_is_filled_in():
    labels = np.arange(12) % 3
    splits = {"id_val": np.arange(8, 12), "train": np.arange(8)}
    plain = ImageData(torch.arange(12.0).view(12, 1, 1, 1).expand(12, 1, 8, 8), labels, splits=splits)
    assert (plain.present, plain.domain_names, plain.class_names) == (("train", "id_val"), ("all",), ("0", "1", "2"))
    assert plain.train_domains == (0,) and plain.clusters.tolist() == list(range(12))
    offers = plain.offers
    assert offers.splits == {"train": 8, "id_val": 4} and not offers.several_domains("train") and not offers.rendering
    other = replace(plain, digest="", labels=labels[::-1].copy())
    assert len({plain.digest, other.digest, replace(plain, digest="", inputs=plain.inputs + 1).digest}) == 3
    several = replace(plain, domains=np.arange(12) % 2, domain_names=("a", "b"), train_domains=())
    assert several.train_domains == (0, 1) and several.offers.several_domains("train")


@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_are_normalised_when_asked_for(channels):
    pixels = torch.randint(0, 256, (10, channels, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = channel_statistics(pixels, np.arange(10))
    images = EightBitImages(pixels, mean, std)
    assert len(images) == 10
    assert images.shape == (10, channels, 4, 4)
    got = images[np.array([2, 7])]
    expected = (pixels[[2, 7]].double() / 255 - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(
        1, -1, 1, 1
    )
    assert got.dtype == torch.float32
    assert torch.allclose(got.double(), expected, atol=1e-5)
    assert torch.equal(images[2:3], images[np.array([2])])


def test_channel_statistics_are_those_of_numpy_and_never_zero():
    pixels = torch.randint(0, 256, (700, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels[:, 2] = 9
    mean, std = channel_statistics(pixels, np.arange(5, 600))
    values = pixels[5:600].numpy() / 255.0
    assert np.allclose(mean, values.mean(axis=(0, 2, 3)))
    assert np.allclose(std[:2], values.std(axis=(0, 2, 3))[:2])
    assert std[2] == pytest.approx(1 / 255)


def test_the_digest_sees_every_array_and_its_shape():
    a = np.arange(6)
    digests = {
        content_digest("f", a),
        content_digest("g", a),
        content_digest("f", a.reshape(2, 3)),
        content_digest("f", a.astype(np.int32)),
        content_digest("f", a, a),
        content_digest("f", a[::-1]),
    }
    assert len(digests) == 6
    assert content_digest("f", a) == content_digest("f", a.copy())


def test_images_of_other_data_are_normalised_as_those_that_the_model_was_trained_on():
    pixels = torch.arange(12 * 2 * 16, dtype=torch.int32).remainder(256).to(torch.uint8).view(12, 2, 4, 4)
    mean, std = np.array([0.4, 0.5]), np.array([0.2, 0.3])
    known = data(inputs=EightBitImages(pixels, mean, std))
    other = data(inputs=EightBitImages(pixels // 2, mean / 2, std / 2))
    assert torch.allclose(other.take(np.arange(12)), known.take(np.arange(12)), atol=0.05), (
        "dark ones looked like bright"
    )
    made = IMAGES.encoded(known, other)
    wanted = ((pixels // 2).double() / 255 - torch.tensor(mean).view(1, 2, 1, 1)) / torch.tensor(std).view(1, 2, 1, 1)
    assert torch.allclose(made.take(np.arange(12)).double(), wanted, atol=1e-5)
    assert made.digest != other.digest and any("normalised as those" in note for note in made.notes)
    assert IMAGES.encoded(known, known) is known
    assert any("cannot be loaded" in note for note in IMAGES.encoded(None, other).notes)
    assert IMAGES.encoded(known, data()).inputs.dtype == torch.float32
