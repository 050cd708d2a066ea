"""Images as contexts: pixels when they are asked for, in any style."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paribus.errors import ConfigError
from paribus.measure import subject as measured
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.digits_scanners import DigitsScanners
from paribus.subjects.images.subject import ImageSubject


@pytest.fixture(scope="module")
def subject():
    return ImageSubject(DigitsScanners(n_train=24, n_eval=24, eval_renderings=1).load())


def test_the_subject_says_what_the_data_say(subject):
    data = subject.data
    assert len(subject) == len(data.labels) and subject.styles == (0, 1, 2, 3, 4)
    assert subject.output_names == data.class_names and subject.train_domains == data.train_domains
    assert (subject.label is data.labels) and set(subject.splits) == {"train", "id_val", "val", "ood"}


def test_cells_become_pixels_in_any_style(subject):
    rows = subject.splits["ood"][:6]
    cells = subject.cells(rows)
    assert torch.equal(subject.inputs(cells).tensors[0], subject.data.take(rows))
    shown = subject.in_style(cells, 2)
    assert torch.equal(subject.inputs(shown).tensors[0], subject.data.rerender(rows, 2))
    mixed = shown.with_value(1, np.array([-1, 2, -1, 0, 2, 0]))
    pixels = subject.inputs(mixed).tensors[0]
    assert torch.equal(pixels[0], subject.data.take(rows)[0])
    assert torch.allclose(pixels[[1, 4]], subject.data.rerender(rows[[1, 4]], 2))
    assert len(np.unique(subject.keys(mixed), axis=0)) == 6


def test_styles_that_are_not_there_are_refused(subject):
    cells = subject.cells(np.arange(3))
    with pytest.raises(ConfigError, match="no such domain 9"):
        subject.in_style(cells, 9)
    plain = ImageSubject(ImageData(torch.zeros(4, 1, 2, 2), np.array([0, 1, 0, 1]), splits={"train": np.arange(4)}))
    assert plain.styles == () and plain.train_domains == (0,)
    with pytest.raises(ConfigError, match="cannot show its images in another domain's style"):
        plain.in_style(plain.cells(np.arange(2)), 0)


def test_blocks_hold_a_bounded_number_of_pixels(subject, monkeypatch):
    from paribus.subjects.images import subject as module

    assert len(subject.blocks(4)) == 1
    monkeypatch.setattr(module, "CHUNK_BYTES", 10 * 4 * 3 * 16 * 16)
    assert {len(block) for block in subject.blocks(4)[:-1]} == {10}
    assert measured.CHUNK_BYTES > module.CHUNK_BYTES
