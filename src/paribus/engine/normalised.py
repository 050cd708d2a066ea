"""Normalisation of vectors before an autoencoder reads them, and its inverse on the output."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

KINDS = ("none", "layer_norm", "constant_norm_rescale")
LAYER_NORM_EPS = 1e-5
SMALLEST_NORM = 1e-30


@dataclass(frozen=True, eq=False)
class Normalised:
    """Vectors as an autoencoder reads them.

    Attributes:
        x: The vectors, of the same shape as those given.
        scale: What its output is multiplied by, of size 1 along the axis of the vectors; None: left as it is.
        shift: What is added then; None: nothing.
    """

    x: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None

    def back(self, y: Tensor) -> Tensor:
        """Return an autoencoder's output on the scale of the original vectors."""
        if self.scale is not None:
            y = y * self.scale
        return y if self.shift is None else y + self.shift


def normalised(x: Tensor, kind: str, *, axis: int = -1) -> Normalised:
    """Normalise vectors as SAELens' ``normalize_activations`` does.

    Args:
        x: Vectors along ``axis``.
        kind: ``none``; ``layer_norm``: less their mean, over their sd (n - 1) plus 1e-5; ``constant_norm_rescale``: of
            length ``sqrt(d)``.
        axis: Along which vectors go.

    Raises:
        ValueError: If the kind is not known.

    Example:
        >>> import torch
        >>> found = normalised(torch.tensor([[3.0, 4.0]]), "constant_norm_rescale")
        >>> round(float(found.x.norm()), 4), found.back(found.x).tolist()
        (1.4142, [[3.0, 4.0]])
    """
    if kind == "none":
        return Normalised(x)
    if kind == "layer_norm":
        mean = x.mean(axis, keepdim=True)
        centred = x - mean
        sd = centred.std(axis, keepdim=True)
        return Normalised(centred / (sd + LAYER_NORM_EPS), sd, mean)
    if kind == "constant_norm_rescale":
        size = x.norm(dim=axis, keepdim=True).clamp_min(SMALLEST_NORM) / x.shape[axis] ** 0.5
        return Normalised(x / size, size)
    raise ValueError(f"normalised: kind {kind!r} is not one of {', '.join(KINDS)}")
