"""Image data with fewer splits, without domains, and with clusters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from paribus.config.science import science
from paribus.errors import ConfigError, DataError
from paribus.running.contents import contents, fingerprint
from paribus.subjects.images._image_folder import _listed
from paribus.subjects.images.arrays import Arrays
from paribus.subjects.images.clusters import ALONE
from paribus.subjects.images.image_folder import ImageFolder


def write(root, names, seed=0):
    rng = np.random.default_rng(seed)
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two sources, and six patients of whom each was seen by both."""
    root = tmp_path_factory.mktemp("sources")
    write(root, [f"{s}/{c}/p{p}_{i}.png" for s in "ab" for c in ("no", "yes") for p in range(6) for i in range(2)])
    return root


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    root = tmp_path_factory.mktemp("plain")
    write(root, [f"{c}/{i:02}.png" for c in ("cat", "dog", "owl") for i in range(10)])
    return root


def folder(root, **fields):
    return ImageFolder(path=str(root), image_size=8, **fields)


def sizes(data):
    return {name: len(rows) for name, rows in data.splits.items()}


def test_two_sources_without_an_ood_domain(sources):
    data = folder(sources).load()
    assert data.present == ("train", "id_val", "val") and data.train_domains == (0, 1)
    assert data.offers.several_domains("train") and data.offers.several_domains("id_val")
    assert data.notes == (ALONE,)
    assert folder(sources, held_out=["id_val"]).load().present == ("train", "id_val")
    assert folder(sources, ood_domain="b", held_out=[]).load().present == ("train", "ood")


def test_folders_of_classes_have_one_domain(plain):
    data = folder(plain, layout="classes").load()
    assert (data.present, data.domain_names, data.class_names) == (
        ("train", "id_val", "val"),
        ("all",),
        ("cat", "dog", "owl"),
    )
    assert sizes(data) == {"train": 19, "id_val": 6, "val": 5}
    with pytest.raises(ConfigError, match="layout=classes has no domains"):
        folder(plain, layout="classes", ood_domain="cat")


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "val", "test"), {"train": 8, "id_val": 8, "val": 8}),
        (("train", "test"), {"train": 6, "id_val": 8, "val": 2}),
        (("Training",), {"train": 5, "id_val": 2, "val": 1}),
    ],
)
def test_folders_of_splits_are_these_splits(tmp_path, folders, expected):
    write(tmp_path, [f"{f}/{c}/{i}.png" for f in folders for c in ("cat", "dog") for i in range(4)])
    assert sizes(folder(tmp_path, layout="splits").load()) == expected


def test_folders_that_are_no_splits_are_named(tmp_path):
    write(tmp_path, [f"{f}/cat/{i}.png" for f in ("train", "tset") for i in range(2)])
    with pytest.raises(DataError, match="'tset' is no split; did you mean 'test'"):
        folder(tmp_path, layout="splits").load()
    (tmp_path / "tset").rename(tmp_path / "training")
    with pytest.raises(DataError, match="two folders are the split train"):
        folder(tmp_path, layout="splits").load()


@pytest.mark.parametrize("roles", [{}, {"ood_domain": "b"}, {"ood_domain": "b", "held_out": ["id_val"]}])
@pytest.mark.parametrize("seed", range(4))
def test_no_patient_is_trained_on_and_held_out(sources, roles, seed):
    data = folder(sources, cluster_pattern=r"/(p\d+)_", seed=seed, id_val_share=0.4, **roles).load()
    by_split = {name: set(data.clusters[rows].tolist()) for name, rows in data.splits.items()}
    assert all(not found & by_split["train"] for name, found in by_split.items() if name != "train")
    assert len(set().union(*by_split.values())) <= 6 and ALONE not in data.notes
    if roles:
        assert "images of the domain b are left out of ood: their clusters are trained on." in " ".join(data.notes)


def test_a_table_names_clusters_as_a_pattern_does(sources, tmp_path):
    by_pattern = folder(sources, cluster_pattern=r"/(p\d+)_")
    table = tmp_path / "patients.csv"
    names = _listed(by_pattern).names
    table.write_text("path,cluster\n" + "".join(f"{name},{name.split('/p')[1][0]}\n" for name in names))
    by_table = folder(sources, cluster_file=str(table))
    found, expected = by_table.load(), by_pattern.load()
    assert np.array_equal(found.clusters, expected.clusters)
    assert all(np.array_equal(found.splits[name], expected.splits[name]) for name in expected.present)
    before = fingerprint(by_table)
    table.write_text(table.read_text().replace(f"{names[0]},0", f"{names[0]},9"))
    assert fingerprint(by_table) != before
    table.write_text("path,cluster\n" + f"{names[0]},1\n")
    with pytest.raises(DataError, match=r"has no row for a/no/p0_1\.png and 46 more"):
        by_table.load()
    table.write_text("file,cluster\n")
    with pytest.raises(DataError, match="needs the columns path and cluster"):
        by_table.load()


def test_wrong_patterns_are_refused(sources):
    with pytest.raises(ConfigError, match="no regular expression"):
        folder(sources, cluster_pattern="(p")
    with pytest.raises(ConfigError, match="has 0 groups; exactly one"):
        folder(sources, cluster_pattern="p")
    with pytest.raises(DataError, match=r"matches no part of a/no/p0_0\.png and 47 more"):
        folder(sources, cluster_pattern="(q)").load()


def test_fields_that_came_later_leave_identities_alone(sources):
    stated = science(folder(sources, ood_domain="b"))
    assert not {"layout", "cluster_pattern", "cluster_file", "held_out", "split_array"} & set(stated)
    assert "cluster_pattern" in science(folder(sources, ood_domain="b", cluster_pattern="(p.)"))


@pytest.fixture
def archive(tmp_path):
    def make(name="data.npz", **changes):
        n = 60
        arrays = {
            "images": np.random.default_rng(0).integers(0, 256, (n, 8, 8), dtype=np.uint8),
            "labels": np.arange(n) % 3,
            **changes,
        }
        np.savez(tmp_path / name, **arrays)
        return Arrays(path=str(tmp_path / name))

    return make


def test_an_archive_needs_images_and_labels_only(archive):
    data = archive().load()
    assert data.present == ("train", "id_val", "val") and data.domain_names == ("all",) and data.notes == (ALONE,)


def test_an_archive_may_name_the_splits(archive):
    names = np.array(["train", "val", "ood"])[np.arange(60) // 20]
    cut = replace(archive(which=names), split_array="which", held_out=[])
    assert sizes(cut.load()) == {"train": 20, "val": 20, "ood": 20}
    assert sizes(replace(cut, classes=["0", "2"]).load()) == {"train": 13, "val": 14, "ood": 13}
    assert sizes(replace(cut, held_out=["id_val"]).load()) == {"train": 16, "id_val": 4, "val": 20, "ood": 20}
    with pytest.raises(DataError, match="no array 'wich'; did you mean 'which'"):
        replace(cut, split_array="wich").load()
    shared = replace(archive(which=names, clusters=np.arange(60) % 20), split_array="which").load()
    assert "20 of 20 images of val share a cluster with training images." not in shared.notes
    assert any("of val share a cluster with training images" in note for note in shared.notes)


def test_clusters_of_several_domains_are_held_out_whole_under_an_identity_of_their_own(archive):
    domains = np.arange(60) // 3 % 2
    apart = archive("apart.npz", domains=domains, clusters=np.arange(60) // 3)
    spanning = archive("spanning.npz", domains=domains, clusters=np.arange(60) // 6)
    assert contents(apart).versions == {} and contents(spanning).versions != {}
    data = spanning.load()
    held = [set(data.clusters[data.rows(name)].tolist()) for name in data.present]
    assert sum(map(len, held)) == len(set().union(*held))
