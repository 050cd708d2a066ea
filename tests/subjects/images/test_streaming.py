"""Images that stay in their files give the very numbers of those that are held, read once and in batches."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from paribus import digests, disk_cache, seeds
from paribus.engine.evaluation import Engine
from paribus.engine.interventions import AblateUnits, Identity
from paribus.errors import DataError
from paribus.experiments.recording import MemoryWorkspace
from paribus.running.contents import contents, fingerprint
from paribus.subjects.images import _image_folder, image_files, indexing, lazy_images
from paribus.subjects.images.image_folder import ImageFolder
from paribus.training.loops.classifier import train_classifier
from paribus.training.spec import TrainingSpec

N = 320


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    for number in range(N):
        file = root / "ab"[number % 2] / ("no", "yes")[number // 2 % 2] / f"{number:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, compress_level=0)
    return root


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A cache folder of its own, no memory of earlier tests, and files that count as old."""
    monkeypatch.setenv("PARIBUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "SETTLED_NS", 0)
    forget()


def forget():
    digests.forget()
    indexing._known.clear()


def held(root, **fields):
    return ImageFolder(path=str(root), image_size=8, **fields)


def streamed(root, **fields):
    return held(root, memory_mb=0, **fields)


@pytest.fixture
def read(monkeypatch):
    """Names of the image files that are read, in order; of one in each folder the head is looked at besides."""
    seen, heads = [], []
    original, is_deep = builtins.open, _image_folder.is_deep

    def opened(path, *args, **given):
        if str(path).endswith(".png"):
            seen.append(str(path))
        return original(path, *args, **given)

    def looked_at(file):
        before = len(seen)
        found = is_deep(file)
        heads.extend(seen[before:])
        del seen[before:]
        assert len(set(heads)) == len({Path(head).parent for head in heads})
        return found

    monkeypatch.setattr(builtins, "open", opened)
    monkeypatch.setattr(_image_folder, "is_deep", looked_at)
    return seen


@pytest.fixture
def most(monkeypatch):
    """The most images that were asked for at once."""
    sizes = [0]
    original = image_files.ImageFiles.__getitem__

    def counted(self, rows):
        found = original(self, rows)
        sizes[0] = max(sizes[0], len(found))
        return found

    monkeypatch.setattr(image_files.ImageFiles, "__getitem__", counted)
    return sizes


@pytest.mark.parametrize("grayscale", [False, True])
def test_streamed_images_are_those_that_are_held(folder, grayscale):
    a, b = held(folder, grayscale=grayscale).load(), streamed(folder, grayscale=grayscale).load()
    assert a.digest == b.digest and a.inputs.in_memory and not b.inputs.in_memory
    for rows in (np.arange(N), np.array([5, 2, 300]), np.array([7])):
        assert torch.equal(a.take(rows), b.take(rows))
    assert fingerprint(held(folder)) == fingerprint(streamed(folder))


def test_every_file_is_read_once_and_by_the_next_process_not_at_all(folder, read, monkeypatch):
    monkeypatch.setattr(digests, "MANY", 100)
    spec = streamed(folder)
    contents(spec)
    assert sorted(read) == sorted(str(file) for file in folder.rglob("*.png"))
    first = spec.load()
    assert len(read) == N
    forget()
    contents(spec)
    second = spec.load()
    assert len(read) == N and second.digest == first.digest
    rows = np.arange(9)
    assert torch.equal(first.take(rows), second.take(rows))


def test_an_index_notices_what_changed(folder, tmp_path, read, monkeypatch):
    import shutil

    monkeypatch.setattr(digests, "MANY", 100)
    copied = shutil.copytree(folder, tmp_path / "copy")
    before = fingerprint(streamed(copied)), streamed(copied).load()
    file = next(copied.rglob("*.png"))
    Image.fromarray(np.full((8, 8, 3), 255, dtype=np.uint8)).save(file)
    forget()
    read.clear()
    assert fingerprint(streamed(copied)) != before[0]
    after = streamed(copied).load()
    assert after.digest != before[1].digest
    assert not torch.equal(after.inputs._scale, before[1].inputs._scale) or str(file) not in read


@pytest.mark.parametrize("damage", [b"", b"123", b"x" * 1000])
def test_a_damaged_cache_is_made_again(folder, tmp_path, damage, monkeypatch):
    monkeypatch.setattr(digests, "MANY", 100)
    expected = streamed(folder).load()
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            file.write_bytes(damage)
    forget()
    assert torch.equal(streamed(folder).load().take(np.arange(4)), expected.take(np.arange(4)))


def test_a_cache_that_is_off_or_cannot_be_written_does_no_harm(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "MANY", 100)
    monkeypatch.setenv("PARIBUS_CACHE", "off")
    assert disk_cache.folder() is None and len(streamed(folder).load().labels) == N
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PARIBUS_CACHE", str(tmp_path / "file"))
    forget()
    assert len(streamed(folder).load().labels) == N


def test_a_file_that_is_missing_or_damaged_is_named(folder, tmp_path):
    import shutil

    copied = shutil.copytree(folder, tmp_path / "copy")
    data = streamed(copied).load()
    file = copied / "a" / "no" / "0000.png"
    file.write_bytes(file.read_bytes()[:60])
    forget()
    with pytest.raises(DataError, match=r"0000\.png: damaged"):
        streamed(copied, id_val_share=0.01, held_out=["id_val"]).load()
    file.unlink()
    with pytest.raises(DataError, match=r"0000\.png: no such file"):
        data.take(np.arange(N))


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2),
        )  # fmt: skip


@pytest.mark.parametrize("site", ["5", "1"])
@pytest.mark.parametrize("strategy", [None, "hooks"])
def test_an_engine_reads_them_in_batches_and_finds_the_same(folder, monkeypatch, most, site, strategy):
    rows = np.random.default_rng(1).permutation(N)
    whole = held(folder).load().select(rows)
    monkeypatch.setattr(lazy_images, "STREAMED_HELD_BYTES", 0)
    lazy = streamed(folder).load().select(rows)
    most[0] = 0
    edits = [Identity(), AblateUnits([0]), AblateUnits([1, 2])]
    found = []
    for inputs in (whole, lazy):
        engine = Engine(network(), site, batch_limit=32, strategy=strategy)
        found.append((engine.pooled(inputs), engine.logits(inputs), engine.evaluate(inputs, edits).outputs))
    for a, b in zip(*found, strict=True):
        assert np.array_equal(a, b)
    assert isinstance(lazy, lazy_images.LazyImages) and 0 < most[0] <= 32


def test_held_images_that_are_many_are_known_by_their_pixels(folder, monkeypatch):
    monkeypatch.setattr(lazy_images, "HELD_BYTES", 0)
    one = held(folder).load()
    other = replace(one, inputs=one.inputs[np.arange(N)] + 1.0)
    rows = np.arange(9)
    digests = [data.select(rows).digest for data in (one, replace(one, digest="another"), other)]
    assert digests[0] == digests[1] != digests[2]


def test_many_activations_are_pooled_block_by_block(folder):
    from paribus.engine.cache import FeatureCache

    inputs = held(folder).load().select(np.arange(N))
    few = Engine(network(), "1", batch_limit=32, cache=FeatureCache(100_000))
    assert np.array_equal(few.pooled(inputs), Engine(network(), "1", batch_limit=32).pooled(inputs))


def test_training_on_them_ends_with_the_same_weights(folder, most, monkeypatch):
    from paribus.training.loops import measure

    monkeypatch.setattr(measure, "STREAMED_KEEP_BYTES", 0)
    spec = TrainingSpec(epochs=2, batch_size=16, n_evaluations=2, n_checkpoints=1)
    ends = []
    for data in (held(folder).load(), streamed(folder).load()):
        most[0] = 0
        model = network()
        train_classifier(model, data, spec, rng=seeds.rng(0, "training"), workspace=MemoryWorkspace(), batch_limit=24)
        ends.append(model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0]) and most[0] == 24


def test_digests_of_single_images_are_those_of_what_is_held(folder):
    from paribus.subjects.images.overlap import contents as of_images
    from paribus.subjects.images.overlap import overlap

    a, b = held(folder).load(), streamed(folder).load()
    assert of_images(a, np.arange(20)) == of_images(b, np.arange(20))
    assert overlap(a, replace(b, cluster_space="")).same == {}
