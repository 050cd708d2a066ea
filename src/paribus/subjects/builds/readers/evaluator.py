"""Running a set model on states: each distinct state once, in bounded batches of nearly equal length."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Ints
from paribus.engine.batches import Batches, to_device
from paribus.engine.inputs import unique_rows
from paribus.features.readers.capture import captured, pooled
from paribus.subjects.builds.models.set_model import SetModel
from paribus.subjects.builds.states import Codes
from paribus.subjects.builds.tokens import n_tokens, padded_ids
from paribus.subjects.builds.vocabulary import Vocabulary

Visit = Callable[[slice, Tensor, Tensor], None]
"""Receives a range of distinct states, the vectors at the site ``[m, d]``, and the logits ``[m, V]``."""


def distinct(codes: Codes, source: Ints | None) -> tuple[Ints, Ints]:
    """Return the rows of the distinct states, shortest sets first, and for every state its place among them.

    Args:
        codes: ``[n, 16]``.
        source: Source build ``[n]``, where states of different sources count as different; else None.
    """
    words = np.ascontiguousarray(codes).view(np.int64)
    if source is not None:
        words = np.concatenate([words, source[:, None]], axis=1)
    first, inverse = unique_rows(words)
    order = np.argsort(n_tokens(codes[first]), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return np.asarray(first[order], np.int64), place[inverse]


class Evaluator:
    """Runs one model at one site.

    Attributes:
        model: The model.
        vocabulary: What the codes mean.
        site: Where vectors are taken; empty for the logits.
    """

    def __init__(
        self,
        model: SetModel,
        vocabulary: Vocabulary,
        site: str,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        batch_limit: int = 512,
    ) -> None:
        """Move the model to the device, in eval mode."""
        self.model, self.vocabulary, self.site = model, vocabulary, site
        self.device = torch.device(device)
        self._half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(dtype)
        plain = torch.float64 if dtype == "float64" else torch.float32
        model.network.to(device=self.device, dtype=plain).eval()
        if model.sae is not None:
            model.sae.to(device=self.device, dtype=plain).eval()
        self.batches = Batches(batch_limit)

    def inputs(self, codes: Codes, source: Ints) -> tuple[Tensor, ...]:
        """Return what the network reads for states ``[m, 16]``: ids, weapon, padding mask (and source)."""
        ids, pad = padded_ids(codes, self.vocabulary)
        arrays = [ids, codes[:, -1:].astype(np.int64), pad]
        if self.model.reads_source:
            arrays.append(np.ascontiguousarray(source))
        return tuple(to_device(torch.from_numpy(array), self.device) for array in arrays)

    def number_format(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the network, or a part of it, runs in the format that was asked for."""
        if self._half is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self._half)

    @torch.inference_mode()
    def run(self, codes: Codes, source: Ints, visit: Visit) -> None:
        """Run the network on states ``[n, 16]`` and hand vectors and logits over, batch by batch."""
        with captured(self.model.network, self.site) as seen:

            def step(rows: slice) -> None:
                seen.clear()
                inputs = self.inputs(codes[rows], source[rows])
                with self.number_format():
                    logits = self.model.network(*inputs)
                vectors = pooled(seen[-1], inputs[2]) if self.site else logits
                if self._half is not None:
                    vectors, logits = vectors.float(), logits.float()
                visit(rows, vectors, logits)

            self.batches.run(0, len(codes), step)
