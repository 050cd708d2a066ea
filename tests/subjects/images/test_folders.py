from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from paribus.errors import DataError
from paribus.subjects.images.camelyon17 import Camelyon17
from paribus.subjects.images.decoding import read_images
from paribus.subjects.images.image_folder import ImageFolder


def picture(seed, size=24, level=None):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8) if level is None else np.full((size, size, 3), level)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    root = tmp_path_factory.mktemp("folder")
    number = 0
    for domain in ("art", "cartoon", "photo", "sketch"):
        for name in ("dog", "horse"):
            (root / domain / name).mkdir(parents=True)
            for i in range(12):
                suffix = (".png", ".jpg", ".JPEG")[i % 3]
                picture(number).save(root / domain / name / f"{i:03}{suffix}")
                number += 1
    (root / ".cache").mkdir()
    (root / "art" / "dog" / "notes.txt").write_text("no image")
    return root


def folder(root, **fields):
    return ImageFolder(**{"path": str(root), "val_domain": "photo", "ood_domain": "sketch", "image_size": 16, **fields})


def test_a_folder_of_domains_and_classes(pacs):
    data = folder(pacs).load()
    assert data.domain_names == ("art", "cartoon", "photo", "sketch")
    assert data.class_names == ("dog", "horse")
    assert tuple(data.take(np.arange(4)).shape) == (4, 3, 16, 16)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 38, "id_val": 10, "val": 24, "ood": 24}
    assert set(data.domains[data.rows("train")]) == {0, 1}
    grey = folder(pacs, grayscale=True).load()
    assert grey.in_channels == 1


def test_pixels_are_those_of_the_files(pacs):
    data = folder(pacs, image_size=24).load()
    with Image.open(pacs / "sketch" / "dog" / "000.png") as image:
        expected = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())
    first = data.rows("ood")[0]
    assert torch.equal(data.inputs.pixels[first], expected)


def test_fingerprint_of_a_folder(pacs, tmp_path):
    import shutil

    copied = shutil.copytree(pacs, tmp_path / "copy")
    assert folder(copied).content() == folder(pacs).content()
    picture(9999).save(copied / "art" / "dog" / "000.png")
    assert folder(copied).content() != folder(pacs).content()
    assert folder(pacs, image_size=20).content() != folder(pacs).content()


def test_a_damaged_image_is_named(pacs, tmp_path):
    import shutil

    copied = shutil.copytree(pacs, tmp_path / "copy")
    damaged = copied / "cartoon" / "horse" / "003.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(DataError, match=r"cartoon/horse/003\.png: damaged") as caught:
        folder(copied).load()
    assert "\n" not in str(caught.value)
    damaged.write_text("no image at all")
    with pytest.raises(DataError, match=r"003\.png: damaged or not an image"):
        folder(copied).load()


def test_deeper_pixels_are_read_by_their_upper_bits_or_refused(tmp_path):
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1024
    for suffix in ("png", "tiff"):
        Image.fromarray(deep).save(tmp_path / f"deep.{suffix}")
        for channels in (1, 3):
            read = read_images([tmp_path / f"deep.{suffix}"], size=8, channels=channels, description="images")
            assert (read[0].numpy() == deep >> 8).all()
    for domain, pixels in (("deep", deep), ("plain", (deep >> 8).astype(np.uint8))):
        for name in ("no", "yes"):
            (tmp_path / "set" / domain / name).mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / "set" / domain / name / "0.png")
    assert folder(tmp_path / "set", val_domain=None, ood_domain=None).fingerprint() == "16 bits"
    for name in ("no", "yes"):
        Image.fromarray((deep >> 8).astype(np.uint8)).save(tmp_path / "set" / "deep" / name / "0.png")
    assert folder(tmp_path / "set", val_domain=None, ood_domain=None).fingerprint() == ""
    for kind in (np.float32, np.int32):
        Image.fromarray(deep.astype(kind)).save(tmp_path / "odd.tiff")
        with pytest.raises(DataError, match="nothing says what is white"):
            read_images([tmp_path / "odd.tiff"], size=8, channels=3, description="images")


def test_wrong_folders_are_refused(pacs, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        folder(tmp_path / "none").load()
    with pytest.raises(DataError, match="has no folders"):
        folder(tmp_path).load()
    (tmp_path / "empty" / "dog").mkdir(parents=True)
    with pytest.raises(DataError, match="has no images"):
        folder(tmp_path).load()
    with pytest.raises(DataError, match="did you mean 'sketch'"):
        folder(pacs, ood_domain="skech").load()
    with pytest.raises(DataError, match="no such class 'cat'"):
        folder(pacs, classes=["cat", "dog"]).load()
    with pytest.raises(DataError, match="single class 'dog'"):
        folder(pacs, classes=["dog"]).load()


def test_an_empty_domain_is_named(pacs, tmp_path):
    import shutil

    copied = shutil.copytree(pacs, tmp_path / "copy")
    (copied / "void" / "dog").mkdir(parents=True)
    with pytest.raises(DataError, match="the domain 'void' has no images"):
        folder(copied, ood_domain="void").load()


def test_thousands_of_files_are_read_in_order(tmp_path):
    files = []
    for i in range(1200):
        files.append(tmp_path / f"{i:05}.png")
        picture(0, size=8, level=i % 256).save(files[-1])
    pixels = read_images(files, size=8, channels=3, description="test")
    assert pixels[:, 0, 0, 0].tolist() == [i % 256 for i in range(1200)]
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        read_images([*files[:3], tmp_path / "gone.png"], size=8, channels=3, description="test")


@pytest.fixture(scope="module")
def wilds(tmp_path_factory):
    """A small folder in exactly the layout of WILDS, with generated patches."""
    return make_wilds(tmp_path_factory.mktemp("camelyon17_v1.0"))


def make_wilds(root, centers=(0, 1, 2, 3, 4), per_cell=3):
    rows, number = [], 0
    for center in centers:
        for slide in range(5):
            patient = center * 20 + slide
            stem = f"patient_{patient:03}_node_{slide % 3}"
            (root / "patches" / stem).mkdir(parents=True)
            for tumor in (0, 1):
                for i in range(per_cell):
                    x, y = 32 * number, 3328 + 32 * i
                    picture(number, size=96).save(root / "patches" / stem / f"patch_{stem}_x_{x}_y_{y}.png")
                    rows.append((f"{patient:03}", slide % 3, x, y, tumor, center * 10 + slide, center, int(i == 0)))
                    number += 1
    names = ["patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split"]
    pd.DataFrame(rows, columns=names).to_csv(root / "metadata.csv")
    return root


def tissue(root, **fields):
    return Camelyon17(**{"path": str(root), "n_train": None, "n_eval": None, **fields})


def test_hospitals_have_the_roles_of_wilds(wilds):
    data = tissue(wilds).load()
    domains = {name: set(data.domains[rows].tolist()) for name, rows in data.splits.items()}
    assert domains == {"train": {0, 3, 4}, "id_val": {0, 3, 4}, "val": {1}, "ood": {2}}
    assert data.domain_names[2] == "center_2"
    assert data.class_names == ("normal", "tumor")
    assert tuple(data.take(np.array([0])).shape) == (1, 3, 96, 96)


def test_clusters_are_slides_and_whole_slides_are_held_out(wilds):
    data = tissue(wilds).load()
    train, held = (set(data.clusters[data.rows(name)].tolist()) for name in ("train", "id_val"))
    assert not train & held
    assert len(held) == 3
    assert len(train) == 12


def test_official_validation_patches_are_of_training_slides(wilds):
    data = tissue(wilds, id_val="official").load()
    train, held = (set(data.clusters[data.rows(name)].tolist()) for name in ("train", "id_val"))
    assert train == held
    assert len(data.rows("id_val")) == 3 * 5 * 2


def test_patches_go_with_their_metadata(wilds):
    data = tissue(wilds, n_train=24, n_eval=10).load()
    frame = pd.read_csv(wilds / "metadata.csv", dtype={"patient": str})
    row = data.rows("ood")[3]
    files = sorted((wilds / "patches").rglob("*.png"))
    pixels = data.inputs.pixels[row].permute(1, 2, 0).numpy()
    found = [file for file in files if np.array_equal(np.asarray(Image.open(file)), pixels)]
    assert len(found) == 1
    x = int(found[0].stem.split("_x_")[1].split("_y_")[0])
    entry = frame[frame["x_coord"] == x].iloc[0]
    assert (entry["tumor"], entry["center"], entry["slide"]) == (data.labels[row], 2, data.clusters[row])


def test_draws_are_balanced_over_hospital_and_class(wilds):
    data = tissue(wilds, n_train=24, n_eval=12).load()
    rows = data.rows("train")
    cells, counts = np.unique(np.stack([data.domains[rows], data.labels[rows]]), axis=1, return_counts=True)
    assert cells.shape[1] == 6
    assert set(counts) == {4}
    for name in ("val", "ood"):
        assert np.bincount(data.labels[data.rows(name)]).tolist() == [6, 6]
    # the folder has more than is drawn, and no more than what is drawn is held
    assert len(data.labels) == 24 + sum(len(data.rows(name)) for name in ("id_val", "val", "ood"))


def test_fingerprint_of_tissue_follows_the_chosen_patches(wilds, tmp_path):
    import shutil

    copied = shutil.copytree(wilds, tmp_path / "copy")
    assert tissue(copied).content() == tissue(wilds).content()
    assert tissue(wilds, seed=1).content() != tissue(wilds).content()
    one = next((copied / "patches").rglob("*.png"))
    picture(12345, size=96).save(one)
    assert tissue(copied).content() != tissue(wilds).content()


def test_wrong_tissue_folders_are_refused(wilds, tmp_path):
    import shutil

    with pytest.raises(DataError, match="no such folder"):
        tissue(tmp_path / "none").load()
    with pytest.raises(DataError, match=r"has no metadata\.csv"):
        tissue(tmp_path).load()
    frame = pd.read_csv(wilds / "metadata.csv", index_col=0, dtype={"patient": str})

    def changed(name, edited):
        root = tmp_path / name
        root.mkdir()
        edited.to_csv(root / "metadata.csv")
        return tissue(root)

    with pytest.raises(DataError, match="lacks the columns slide"):
        changed("columns", frame.drop(columns="slide")).load()
    with pytest.raises(DataError, match="numbers the hospitals from 1"):
        changed("ones", frame.assign(center=frame["center"] + 1)).load()
    with pytest.raises(DataError, match=r"test hospital \(center 2\) has no patches"):
        changed("absent", frame[frame["center"] != 2]).load()
    with pytest.raises(DataError, match="no patches of a training hospital"):
        changed("untrained", frame[frame["center"].isin([1, 2])]).load()
    with pytest.raises(DataError, match="single class 'normal'"):
        changed("normal", frame[frame["tumor"] == 0]).load()
    with pytest.raises(DataError, match="tumor must be 0 or 1"):
        changed("grades", frame.assign(tumor=2)).load()
    with pytest.raises(DataError, match="must hold whole numbers"):
        changed("words", frame.assign(center="Utrecht")).load()
    with pytest.raises(DataError, match="has no rows"):
        changed("empty", frame.iloc[:0]).load()
    with pytest.raises(DataError, match="no such file"):
        changed("unpictured", frame).load()
    rare = frame[(frame["center"] != 0) | (frame["tumor"] == 0) | (frame.groupby("slide").cumcount() == 3)]
    with pytest.raises(DataError, match="of center_0 x tumor, there are 4; ask for at most 24"):
        replace(changed("rare", rare), n_train=48).load()
    copied = shutil.copytree(wilds, tmp_path / "copy")
    next((copied / "patches").rglob("*.png")).write_bytes(b"")
    with pytest.raises(DataError, match="damaged"):
        tissue(copied).load()
