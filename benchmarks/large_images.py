"""Camelyon17 at a large size, from a generated folder: time to index, images per second, and peak memory.

Run: ``python -m benchmarks.large_images [--images 50000] [--folder DIR] [--quick]``. Each step runs in a process of its
own, as a user's would. Exit code 1 if a step needs more memory than the bound, or the second index reads files again.

The patches are 96 x 96 PNG files in the layout of WILDS, five hospitals, ten slides each; their pixels repeat, their
files do not.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

STEPS = ("nothing", "index", "index_again", "load", "features", "train", "run")
MEANING = {
    "nothing": "importing torch and Paribus",
    "index": "digests of all files and statistics of the training patches, first time",
    "index_again": "the same in the next process",
    "load": "the data set, indexed before",
    "features": "features of all patches from a small network, streamed",
    "train": "one epoch on all training patches, with its evaluation",
    "run": "paribus experiment=train_classifier, one epoch, from command to exit",
}
PATTERNS = 200
BYTES_OF_AN_IMAGE = 96 * 96 * 3
MEMORY_MB = 100
ACTIVATIONS_MB, BYTES_OF_A_NAME = 750, 4096
"""What a step may need for batches and activations whatever the number of images, and for each image besides."""


def generate(folder: Path, n: int, seed: int = 0) -> None:
    """Write ``n`` patches and their metadata, unless they stand there."""
    from PIL import Image

    if (folder / "metadata.csv").is_file():
        return
    rng = np.random.default_rng(seed)
    contents = []
    for _ in range(PATTERNS):
        coarse = Image.fromarray(rng.integers(60, 220, (12, 12, 3), dtype=np.uint8))
        fine = np.asarray(coarse.resize((96, 96), Image.Resampling.BICUBIC)).astype(int)
        stream = io.BytesIO()
        Image.fromarray((fine + rng.integers(-6, 7, fine.shape)).clip(0, 255).astype(np.uint8)).save(stream, "png")
        contents.append(stream.getvalue())
    lines = [",patient,node,x_coord,y_coord,tumor,slide,center,split"]
    for number in range(n):
        center, slide, tumor = number % 5, number // 5 % 10, number // 50 % 2
        stem = f"patient_{center * 20 + slide:03}_node_{slide % 3}"
        place = folder / "patches" / stem
        if number < 50 * 3:
            place.mkdir(parents=True, exist_ok=True)
        x, y = 32 * number, 32 * (number % 977)
        file = place / f"patch_{stem}_x_{x}_y_{y}.png"
        file.write_bytes(contents[number % PATTERNS] + f"{number:08}".encode())  # after its end, a decoder stops
        row = (f"{center * 20 + slide:03}", slide % 3, x, y, tumor, center * 10 + slide, center, int(number % 17 == 0))
        lines.append(f"{number},{','.join(map(str, row))}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


def step(name: str, folder: str) -> dict[str, Any]:
    """Do one step and return what it took."""
    import torch

    from paribus.running.contents import contents
    from paribus.subjects.images.camelyon17 import Camelyon17

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    spec = Camelyon17(path=folder, n_train=None, n_eval=None, balance=False, memory_mb=MEMORY_MB)
    started, spent, images = time.perf_counter(), time.process_time(), 0
    if name in ("index", "index_again"):
        images = len(contents(spec).files) - 1
    elif name == "load":
        images = len(spec.load().labels)
    elif name in ("features", "train"):
        data = spec.load()
        model = _network(data)
        started, spent = time.perf_counter(), time.process_time()
        images = _features(model, data) if name == "features" else _train(model, data)
    elif name == "run":
        images = _run(folder)
    seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": seconds, "cpu": cpu, "images": images, "peak_mb": peak / 2**20}


def _network(data: Any) -> Any:
    from paribus import seeds
    from paribus.models.small_cnn import SmallCNN

    sizes = {"in_channels": data.in_channels, "n_classes": data.n_classes, "image_size": data.image_size}
    return SmallCNN(width=4).build(**sizes, generator=seeds.torch_rng(0, "model"))


def _features(model: Any, data: Any) -> int:
    from paribus.engine.evaluation import Engine

    return len(Engine(model, "avgpool").pooled(data.select(np.arange(len(data.labels)))))


def _train(model: Any, data: Any) -> int:
    from paribus import seeds
    from paribus.experiments.recording import MemoryWorkspace
    from paribus.training.loops.classifier import train_classifier
    from paribus.training.spec import TrainingSpec

    spec = TrainingSpec(epochs=1, n_evaluations=1, n_checkpoints=1, batch_size=64)
    train_classifier(model, data, spec, rng=seeds.rng(0, "training"), workspace=MemoryWorkspace())
    return len(data.rows("train")) + sum(len(rows) for rows in data.splits.values())


def _run(folder: str) -> int:
    from paribus.cli.main import main

    words = [
        *("experiment=train_classifier", "model=small_cnn", "model.width=4", "tracking=off"),
        *("data=camelyon17", f"data.path={folder}", "data.n_train=null", "data.n_eval=null", "data.balance=false"),
        *(f"data.memory_mb={MEMORY_MB}", "training.epochs=1", "training.n_evaluations=1"),
        *("training.n_checkpoints=1", "training.batch_size=64"),
    ]
    if main(words):
        raise SystemExit("the run failed")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="a tenth of the images")
    parser.add_argument("--step", choices=STEPS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(step(options.step, str(options.folder))))
        return 0
    n = options.images // 10 if options.quick else options.images
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "camelyon17"
        generate(folder, n)
        time.sleep(2.5)  # files that were just written are not trusted to stay as they are
        environment = {**os.environ, "PARIBUS_CACHE": str(Path(scratch) / "cache")}
        found = {}
        for name in STEPS:
            command = [sys.executable, "-m", "benchmarks.large_images", "--step", name, "--folder", str(folder)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=Path.cwd())
            if done.returncode:
                print(done.stdout[-2000:], done.stderr[-2000:])
                return 1
            found[name] = json.loads(done.stdout.strip().splitlines()[-1])
    pixels = n * BYTES_OF_AN_IMAGE / 2**20
    print(f"{n} patches, {pixels:.0f} MB of pixels as bytes, four times as much as floats")
    print(f"{'step':12} {'seconds':>8} {'cpu':>8} {'images/cpu s':>12} {'peak MB':>8}   what")
    for name, row in found.items():
        rate = f"{row['images'] / row['cpu']:.0f}" if row["images"] else ""
        print(f"{name:12} {row['seconds']:8.1f} {row['cpu']:8.1f} {rate:>12} {row['peak_mb']:8.0f}   {MEANING[name]}")
    bound = found["nothing"]["peak_mb"] + ACTIVATIONS_MB + n * BYTES_OF_A_NAME / 2**20
    over = [name for name, row in found.items() if row["peak_mb"] > bound]
    slow = found["index_again"]["cpu"] > 0.5 * found["index"]["cpu"] + 2
    parts = f"the imports, {ACTIVATIONS_MB} MB for batches, {BYTES_OF_A_NAME} bytes an image"
    print(f"bound of memory: {bound:.0f} MB: {parts}")
    if over or slow:
        print(f"FAILED: {', '.join(over) or 'no step'} above the bound{'; the files were read again' if slow else ''}")
    return int(bool(over or slow))


if __name__ == "__main__":
    sys.exit(main())
