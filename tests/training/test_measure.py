"""Measuring a model while it is trained: what memory does not hold at once is measured in smaller parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from paribus.engine.batches import heard_by
from paribus.engine.given import given
from paribus.training.loops import measure


class Images:
    """Stands in for a split: rows and labels, handed out in batches."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(50, 5, generator=generator)
        self.y = torch.randint(3, (50,), generator=generator)

    def __len__(self) -> int:
        return len(self.x)

    def batches(self, order, size):
        for part in torch.split(order, size):
            yield given(self.x[part]), self.y[part]


@pytest.fixture
def model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).eval()


@pytest.mark.parametrize("where", [0, 2])
@pytest.mark.parametrize("measured", [measure.accuracy, measure.feature_rank])
def test_out_of_memory_halves_the_batch_of_an_evaluation(measured, where, model):
    images = Images()
    with torch.no_grad():
        whole = measured(model, images, 512)

        def narrow(_module, given):
            if len(given[0]) > 9:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        said = []
        handle = model[where].register_forward_pre_hook(narrow)
        with heard_by(said.append):
            halved = measured(model, images, 512)
        handle.remove()
    assert halved == pytest.approx(whole, rel=1e-6)
    assert said[0] == "out of memory with 512 rows at once; going on with 256" and said[-1].endswith("going on with 8")
