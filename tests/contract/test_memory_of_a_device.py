"""On a real device: memory that runs out halves the batch, and the outputs are the same."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from paribus.engine.batches import Batches, heard_by

DEVICE = os.environ.get("PARIBUS_TEST_DEVICE", "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_memory_that_really_runs_out_halves_the_batch():
    device = torch.device(DEVICE)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 4)).to(device).eval()
    x = torch.randn(64, 256)
    whole = net(x.to(device)).detach().cpu()
    free, _ = torch.cuda.mem_get_info(device)
    per_row = free // 16  # sixteen rows at once ask for all there is
    found: list[torch.Tensor] = []

    def step(rows: slice) -> None:
        torch.empty((rows.stop - rows.start) * per_row, dtype=torch.uint8, device=device)
        found.append(net(x[rows].to(device)).detach().cpu())

    said: list[str] = []
    with heard_by(said.append), torch.no_grad():
        Batches(64).run(0, 64, step)
    assert said and all("out of memory" in text for text in said)
    assert torch.allclose(torch.cat(found), whole, atol=1e-5)
