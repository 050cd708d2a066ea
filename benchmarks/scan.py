"""What a scan of 4,096 latents costs: time, memory, and the time to read what is kept of one of them.

    OMP_NUM_THREADS=1 python -m benchmarks.scan

The network is a small transformer on sequences of 16 tokens with random weights, the autoencoder (4,096 latents on its
stream of 64) has random weights too. Memory is the most that Python and numpy held above what was there before
(``tracemalloc``); torch's own is bounded by the batch.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from paribus.experiments.any.scan_features.spec import ScanFeatures
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.models.autoencoders import random_sae
from paribus.results.frames import read_rows
from paribus.results.io import write_table
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.data import TokenData
from paribus.subjects.tokens.subject import TokenSubject

TOKENS, LENGTH, WIDTH = 500, 16, 64


class Model(nn.Module):
    """An embedding, two causal layers and an unembedding."""

    def __init__(self) -> None:
        """Draw the weights."""
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(TOKENS, WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True) for _ in range(2)
        )
        self.unembed = nn.Linear(WIDTH, TOKENS, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits ``[n, length, tokens]``."""
        h, mask = self.embed(ids), nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        for layer in self.layers:
            h = layer(h, src_mask=mask)
        return self.unembed(h)


def setup_of(n_contexts: int, n_features: int) -> NetworkSetup:
    """Return the network with its autoencoder on random sequences."""
    ids = torch.randint(TOKENS, (n_contexts, LENGTH), generator=torch.Generator().manual_seed(1))
    data = TokenData(ids, None, np.arange(n_contexts), (), {"train": np.arange(n_contexts)}, TOKENS)
    sae = random_sae(WIDTH, n_features, torch.Generator().manual_seed(2))
    return NetworkSetup(
        seed=0, stats=StatsSpec(n_permutations=999), contexts=TokenSubject(data), network=Model(), data=data,
        parts={"layers.1": sae},
    )  # fmt: skip


def main() -> None:
    """Scan, write, read one feature after the other, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=4096)
    parser.add_argument("--contexts", type=int, default=500)
    parser.add_argument("--read", type=int, default=100, help="features that are read back")
    asked = parser.parse_args()
    recorder = MemoryRecorder()
    tracemalloc.start()
    start = time.perf_counter(), time.process_time()
    experiment = ScanFeatures(n_contexts=asked.contexts, most_levels=3)
    found = perform(experiment, setup_of(asked.contexts, asked.features), recorder)
    took = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print("\n".join(found.aggregates.custom["summary"]))
    print(f"scan: {took[0]:.1f} s ({took[1]:.1f} CPU), at most {peak / 2**20:.0f} MiB")
    with tempfile.TemporaryDirectory() as folder:
        for name, table in found.tables.items():
            path = write_table(table, Path(folder))
            wanted = np.random.default_rng(0).choice(asked.features, asked.read).tolist()
            start_reading = time.process_time()
            n = sum(len(read_rows(path, "feature", one)) for one in wanted)
            each = (time.process_time() - start_reading) / asked.read
            size = path.stat().st_size / 2**20
            print(f"{name}: {len(table.frame)} rows, {size:.1f} MiB; one feature ({n / asked.read:g} rows): "
                  f"{1000 * each:.1f} CPU ms")  # fmt: skip


if __name__ == "__main__":
    main()
