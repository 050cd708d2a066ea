"""Memory runs out in the middle of a run: smaller batches, the same numbers, and the run says so."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import nn

import paribus

ERRORS = {
    "numpy": lambda: MemoryError("Unable to allocate 7.45 GiB for an array"),
    "cpu": lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
    "cuda": lambda: torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cublas": lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
}


class Narrow(nn.Linear):
    """A layer that holds only so many rows."""

    fits = 10**9
    error = staticmethod(ERRORS["cpu"])
    sizes: list[int] = []

    def forward(self, x):
        Narrow.sizes.append(len(x))
        if len(x) > Narrow.fits:
            raise Narrow.error()
        return super().forward(x)


@pytest.fixture
def ask(workdir, monkeypatch):
    """Return ``ask(place)``: the tables and warnings of an ablation on a small network."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    data = paribus.Contexts(inputs=(x,), cluster=[k // 2 for k in range(60)], label=(x[:, 0] > 0).long())
    net = nn.Sequential(Narrow(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def run(*words):
        words = ["experiment=ablate", "factor@experiment.factor=units", "stats=quick", "tracking=off", *words]
        return paribus.run(words, model=net, data=data)

    monkeypatch.setattr(Narrow, "sizes", [])
    return run


@pytest.mark.parametrize("kind", ERRORS)
def test_smaller_batches_give_the_same_tables_and_the_run_says_so(kind, ask, monkeypatch):
    whole = ask("experiment.place=1")
    assert max(Narrow.sizes) > 7 and not any("out of memory" in text for text in whole.diagnostics.warnings)
    monkeypatch.setattr(Narrow, "fits", 7)
    monkeypatch.setattr(Narrow, "error", staticmethod(ERRORS[kind]))
    halved = ask("experiment.place=1", "reuse=never")
    assert [text for text in halved.diagnostics.warnings if "out of memory with" in text]
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(halved.tables[name].frame, table.frame, check_exact=False, rtol=1e-5, atol=1e-6)


def test_a_row_that_does_not_fit_fails_the_run_for_memory(ask, monkeypatch):
    monkeypatch.setattr(Narrow, "fits", 0)
    with pytest.raises(paribus.errors.ExperimentError, match="can't allocate memory"):
        ask("experiment.place=1")
