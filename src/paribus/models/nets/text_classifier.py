"""An encoder of texts with a linear head on its pooled vectors."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from paribus.engine.short_names import blocks
from paribus.errors import ConfigError
from paribus.models.loading import start_from
from paribus.models.nets.hf import load
from paribus.models.nets.initialise import initialise

if TYPE_CHECKING:
    from paribus.models.text_classifier import TextClassifier

ENCODER = "encoder."


def pooled(hidden: Tensor, mask: Tensor | None, pooling: str) -> Tensor:
    """Return one vector for each text ``[n, d]`` of the vectors of its tokens ``[n, length, d]``.

    Args:
        hidden: The vectors; those of padding count for nothing, whatever they are.
        mask: 1 where a token is read ``[n, length]``; None: all are.
        pooling: ``mean`` over the tokens that are read, or the ``first`` of them.

    Example:
        >>> hidden = torch.tensor([[[1.0], [3.0], [99.0]]])
        >>> pooled(hidden, torch.tensor([[1, 1, 0]]), "mean").tolist()
        [[2.0]]
    """
    if pooling == "first":
        return hidden[:, 0] if mask is None else (hidden * _first(mask)[:, :, None].to(hidden)).sum(1)
    if mask is None:
        return hidden.mean(1)
    read = mask[:, :, None].to(hidden)
    return (hidden * read).sum(1) / read.sum(1)


def _first(mask: Tensor) -> Tensor:
    """Return a mask of the first token of each text that is read."""
    return mask * (mask.cumsum(1) == 1)


class TextClassifierNet(nn.Module):
    """``encoder``, pooling, ``head``.

    Args:
        encoder: Gives vectors ``last_hidden_state [n, length, d]`` for ``input_ids`` and ``attention_mask``.
        width: ``d``.
        n_classes: Number of logits.
        pooling: ``mean`` or ``first``.
        frozen: Whether the encoder stays as it is: it is never trained, and not among the weights that are kept.
    """

    def __init__(self, encoder: nn.Module, width: int, n_classes: int, *, pooling: str, frozen: bool) -> None:
        """Take the encoder; the head's weights are not drawn yet."""
        super().__init__()
        self.encoder, self.pooling, self.frozen = encoder, pooling, frozen
        self.head = nn.Linear(width, n_classes)
        self.probe_sites = _layers(self)
        if frozen:
            self.encoder.requires_grad_(False)
            self.encoder.eval()
            self.register_state_dict_post_hook(_without_encoder)  # type: ignore[no-untyped-call]
            self.register_load_state_dict_post_hook(_encoder_is_there)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> TextClassifierNet:
        """Set the mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the pooled vectors ``[n, d]`` of ids ``[n, length]``."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return pooled(hidden, attention_mask, self.pooling)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return logits ``[n, k]`` of ids ``[n, length]``; the mask is 1 where a token is read."""
        logits: Tensor = self.head(self.features(input_ids, attention_mask))
        return logits


def _layers(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the encoder's layers; the encoder as a whole where it has none with attention."""
    try:
        return blocks(model, "probe_sites")
    except ConfigError:
        return (ENCODER.rstrip("."),)


def _without_encoder(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
    for name in [name for name in state if name.startswith(prefix + ENCODER)]:
        del state[name]


def _encoder_is_there(module: nn.Module, incompatible: Any) -> None:
    missing = incompatible.missing_keys
    missing[:] = [name for name in missing if not name.startswith(ENCODER)]


def build(spec: TextClassifier, n_tokens: int, n_classes: int, generator: torch.Generator) -> nn.Module:
    """Return the network of a spec; see :meth:`paribus.models.text_classifier.TextClassifier.build`."""
    where = f"model.encoder={spec.encoder}"
    encoder = copy.deepcopy(load(spec.files(), "encoder", where, n_tokens))  # it may be trained
    width = getattr(encoder.config, "hidden_size", None)
    if not isinstance(width, int):
        raise ConfigError(f"{where}: {type(encoder).__name__} says no width of its vectors")
    model = TextClassifierNet(encoder, width, n_classes, pooling=spec.pooling, frozen=spec.trained == "head")
    initialise(model.head, generator)
    return start_from(model, spec.weights, spec.leave_out).eval()
