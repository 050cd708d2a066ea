"""Damaged and unfit files."""

from __future__ import annotations

import io
import os
import pickle
import sqlite3
import struct
import zipfile
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from paribus.models.small_cnn import SmallCNN


class Evil:
    """Pickled, this is code that runs when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def make_files(folder: Path, *, bomb: bool = False) -> Path:
    """Write damaged and unfit files into a folder and return it; a bomb takes some seconds to make."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, size=(24, 8, 8, 3), dtype=np.uint8)
    domains = np.repeat([0, 1, 2, 3], 6)
    np.savez(folder / "unlabelled.npz", images=images, domains=domains)
    np.savez(folder / "one_class.npz", images=images, labels=np.zeros(24, int), domains=domains, clusters=np.arange(24))
    (folder / "damaged.npz").write_bytes(b"PK\x03\x04 not really")

    def picture(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[0]).save(path)

    for domain in "abcde":
        for number in range(6):
            picture(folder / "one_class" / domain / "cat" / f"{number}.png")
        for kind in ("cat", "dog"):
            for number in range(6):
                picture(folder / "corrupted" / domain / kind / f"{number}.png")
                if domain != "c":
                    picture(folder / "empty_domain" / domain / kind / f"{number}.png")
    (folder / "empty_domain" / "c" / "cat").mkdir(parents=True)
    (folder / "corrupted" / "b" / "dog" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    (folder / "text.pt").write_text("this is no checkpoint")
    torch.save({"model": {"nowhere.weight": torch.zeros(3, 3)}}, folder / "other.pt")
    model = SmallCNN().build(in_channels=3, n_classes=2, image_size=16, generator=torch.Generator().manual_seed(0))
    torch.save({"model": model.state_dict()}, folder / "right.pt")
    (folder / "evil.pt").write_bytes(pickle.dumps(Evil(folder / "code_ran")))
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "model" / "raises.yaml").write_text("_target_: runpy.run_path\npath_name: nowhere.py\n")
    (folder / "conf" / "model" / "quits.yaml").write_text("_target_: sys.exit\n")
    (folder / "garbage").mkdir()
    (folder / "garbage" / "mlflow.db").write_text("this is no database" * 99)
    for pipe in ("pipe.pt", "pipe.npz"):
        os.mkfifo(folder / pipe)
    others = {"labels": np.arange(24) % 2, "domains": domains, "clusters": np.arange(24)}
    np.savez(folder / "classes.npz", images=images, **{**others, "labels": np.arange(24) + 2**40 - 23})
    claimed(folder / "claims.npz", "images", (10**18, 8, 8, 3), "|u1", others)
    claimed(folder / "names.npz", "labels", (24,), f"<U{2**28}", {**others, "images": images})
    for place in ("piped", "bomb"):
        for domain in "abcde":
            for kind in ("cat", "dog"):
                picture(folder / place / domain / kind / "1.png")
    os.mkfifo(folder / "piped" / "a" / "cat" / "0.png")
    header = struct.pack(">IIBBBBB", 13000, 13000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b"")]
    png = b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    (folder / "bomb" / "a" / "cat" / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + png)
    make_stranger_files(folder)
    if bomb:
        make_bomb(folder)
    make_stores(folder)
    return folder


def make_stranger_files(folder: Path) -> None:
    """Write files that no reader wants, among them ones that would take all memory if they were read."""
    (folder / "empty").write_bytes(b"")
    (folder / "looped").symlink_to(folder / "looped")
    with (folder / "claims.npy").open("wb") as stream:
        np.lib.format.write_array_header_2_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**18,)})
    (folder / "many_columns.csv").write_text(",".join(f"c{n}" for n in range(300_000)) + "\n")
    (folder / "long_line.csv").write_text("a,b\n1," + "9" * 30_000_000 + "\n")
    (folder / "nul.csv").write_bytes(b"a,b\n1,\x00\n" * 10)
    (folder / "deep.json").write_text("[" * 100_000 + "]" * 100_000)


def make_bomb(folder: Path) -> None:
    """Write a small archive that holds four gigabytes."""
    with zipfile.ZipFile(folder / "zip_bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        entry = io.BytesIO()
        np.lib.format.write_array_header_2_0(entry, {"descr": "|u1", "fortran_order": False, "shape": (4 * 2**30,)})
        with archive.open("images.npy", "w", force_zip64=True) as stream:
            stream.write(entry.getvalue())
            for _ in range(256):
                stream.write(bytes(2**24))


def make_stores(folder: Path) -> None:
    """Write what stands where a store of runs is expected and is none."""
    for name in ("empty_database", "other_database", "database_is_folder", "old_file_store"):
        (folder / name).mkdir()
    (folder / "empty_database" / "mlflow.db").write_bytes(b"")
    with closing(sqlite3.connect(folder / "other_database" / "mlflow.db")) as connection:
        connection.execute("create table others (a int)")
    (folder / "database_is_folder" / "mlflow.db").mkdir()
    (folder / "old_file_store" / "mlruns" / "0").mkdir(parents=True)
    (folder / "old_file_store" / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: '0'\n")


def claimed(path: Path, name: str, shape: tuple[int, ...], dtype: str, others: dict[str, np.ndarray]) -> None:
    """Write an archive in which the header of one array claims what is not there."""
    np.savez(path, **{key: value for key, value in others.items() if key != name})
    entry = io.BytesIO()
    np.lib.format.write_array_header_2_0(entry, {"descr": dtype, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", entry.getvalue() + bytes(100))
