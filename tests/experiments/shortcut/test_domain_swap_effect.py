"""The signed domain-swap effect on outputs with a known style effect."""

from __future__ import annotations

import numpy as np
import torch

from paribus.experiments.shortcut._margin import margin, margin_weights
from paribus.experiments.shortcut._styles import Restyled, restyled, signed_shift
from paribus.measure import ArraySubject, Contexts
from paribus.subjects.images.data import ImageData
from paribus.subjects.images.subject import ImageSubject


def swap(**changes):
    return Restyled(
        **{"rows": np.arange(4), "styles": (0, 1, 2), "cells": (None,) * 3, "paired_class": {0: 1, 1: 0}, **changes}
    )


def outputs(style_margin, content=0.0):
    """Logits [S, 4, 2] whose margin is the content's plus the style's."""
    values = np.asarray(style_margin)[:, None] + content + np.zeros((len(style_margin), 4))
    return np.stack([-values / 2, values / 2], axis=-1)


def test_half_the_difference_of_two_paired_styles():
    content = np.array([5.0, -1.0, 0.0, 2.0])
    assert np.allclose(signed_shift(outputs([1.0, -3.0, 0.5], content), swap()), 2.0)


def test_the_sign_turns_with_the_pairing():
    assert np.allclose(signed_shift(outputs([1.0, -3.0, 0.5]), swap(paired_class={0: 0, 1: 1})), -2.0)


def test_one_paired_style_counts_against_the_mean_of_all():
    assert np.allclose(signed_shift(outputs([3.0, 0.0, 0.0]), swap(paired_class={0: 1, 1: None})), 2.0)


def test_without_a_pairing_there_is_no_sign():
    unpaired = swap(paired_class={0: None})
    assert not unpaired.is_signed
    assert np.isnan(signed_shift(outputs([1.0, 2.0, 3.0]), unpaired)).all()


def test_leading_axes_are_kept():
    logits = np.stack([outputs([1.0, -3.0, 0.5]), outputs([0.0, 0.0, 0.0])])
    assert np.allclose(signed_shift(logits, swap()).mean(axis=1), [2.0, 0.0])


def test_a_subject_shows_contents_in_the_styles_asked_for_or_none():
    subject = ArraySubject(Contexts(np.zeros((5, 2))))
    assert restyled(subject, np.array([3, 1]), (0, 1)) is None
    labels = np.array([0, 1, 0, 1, 0, 1])
    data = ImageData(
        torch.zeros(6, 1, 2, 2),
        labels,
        domains=np.array([0, 1, 2, 0, 1, 2]),
        splits={"train": np.arange(6)},
        rerender=lambda rows, domain: torch.full((len(rows), 1, 2, 2), float(domain)),
        paired_class={0: 1, 1: 0, 2: None},
    )
    images = ImageSubject(data)
    made = restyled(images, np.array([3, 1]), images.train_domains)
    assert made.styles == (0, 1, 2) and made.rows.tolist() == [3, 1]
    assert [float(images.inputs(cells).tensors[0].mean()) for cells in made.cells] == [0.0, 1.0, 2.0]
    assert made.is_signed and made.only([2]).styles == (2,) and not made.only([2]).is_signed


def test_margin_is_the_logit_against_the_mean_of_the_others():
    logits = np.random.default_rng(0).standard_normal((5, 4))
    assert np.allclose(margin(logits, 2), logits[:, 2] - logits[:, [0, 1, 3]].mean(axis=1))
    assert np.allclose(margin(logits, 2), logits @ margin_weights(4, 2))
