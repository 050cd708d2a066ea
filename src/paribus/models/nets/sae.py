"""Sparse autoencoders: encoder, decoder, and the reading of a few encoder rows only."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from paribus.engine.normalised import normalised
from paribus.errors import ExperimentError


class SparseAutoencoder(nn.Module):
    """``z = W_enc (x - decoder_bias) + b_enc``; ``f`` of ``z``; reconstruction ``W_dec f + decoder_bias``.

    Attributes:
        clamp: Upper bound of f: one number or one for each feature; None for none.
        threshold: JumpReLU thresholds ``[F]`` (f = z where z > threshold); None for ReLU.
        top_k: Number of features that stay active (top-k autoencoder); None for all.
        center_input: Whether ``decoder_bias`` is taken off the input.
        unit_norm: Whether the decoder's columns count with norm 1, whatever is stored.
        normalise: How inputs are normalised, and outputs scaled back (:mod:`paribus.engine.normalised`).
        by_position: Whether it was trained on vectors at single positions: where a place has several, each is encoded
            by itself. Else what is encoded is the one vector that the subject makes of them.

    Example:
        >>> import torch
        >>> sae = SparseAutoencoder(4, 16)
        >>> z = sae.preactivation(torch.zeros(3, 4))
        >>> z.shape
        torch.Size([3, 16])
    """

    clamp: Tensor | None
    threshold: Tensor | None
    usage_ema: Tensor

    def __init__(
        self,
        width: int,
        n_features: int,
        *,
        clamp: float | Tensor | None = None,
        threshold: Tensor | None = None,
        top_k: int | None = None,
        center_input: bool = True,
        unit_norm: bool = True,
        normalise: str = "none",
        by_position: bool = False,
    ) -> None:
        """Create an autoencoder of ``n_features`` features on vectors of ``width``."""
        super().__init__()
        self.decoder_bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("usage_ema", torch.zeros(n_features))
        self.encoder = nn.Linear(width, n_features)
        self.decoder = nn.Linear(n_features, width)
        bound = None if clamp is None else torch.as_tensor(clamp, dtype=torch.get_default_dtype())
        self.register_buffer("clamp", bound, persistent=False)
        self.register_buffer("threshold", threshold, persistent=False)
        self.top_k = top_k
        self.center_input = center_input
        self.unit_norm = unit_norm
        self.normalise = normalise
        self.by_position = by_position

    @torch.no_grad()
    def fill(self, encoder: Tensor, decoder: Tensor, bias: Tensor | float = 0.0, centre: Tensor | float = 0.0) -> Self:
        """Take weights, and return itself.

        Args:
            encoder: A row for each feature ``[F, d]``.
            decoder: What a unit of each feature adds ``[F, d]``.
            bias: The encoder's ``[F]``.
            centre: Of the inputs ``[d]``, which is added to the reconstruction.
        """
        self.encoder.weight.copy_(encoder)
        self.decoder.weight.copy_(decoder.T)
        for own, value in ((self.encoder.bias, bias), (self.decoder.bias, 0.0), (self.decoder_bias, centre)):
            own.copy_(torch.as_tensor(value))
        return self

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.encoder.out_features

    @property
    def width(self) -> int:
        """Width of the vectors it reads."""
        return self.encoder.in_features

    def preactivation(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return z ``[n, F]``, or ``[n, len(rows)]`` computing only those encoder rows."""
        weight: Tensor = self.encoder.weight
        bias: Tensor = self.encoder.bias
        if rows is not None:
            weight, bias = weight[rows], bias[rows]
        if self.center_input:
            bias = bias - weight @ self.decoder_bias
        return torch.nn.functional.linear(normalised(x, self.normalise).x, weight, bias)

    def activation(self, z: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return f of z; ``rows`` names the features that the columns of z stand for."""
        if self.threshold is not None:
            threshold = self.threshold if rows is None else self.threshold[rows]
            f = torch.where(z > threshold, z, torch.zeros_like(z)).clamp_min(0.0)
        else:
            f = z.clamp_min(0.0)
        if self.clamp is not None:
            bound = self.clamp if rows is None or self.clamp.ndim == 0 else self.clamp[rows]
            f = torch.minimum(f, bound)
        return f

    def encode(self, x: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return f and z of all features, or of ``rows`` (which is all that is computed, unless top-k needs all)."""
        if self.top_k is None:
            z = self.preactivation(x, rows)
            return self.activation(z, rows), z
        z = self.preactivation(x)
        f = self.activation(z)
        kept = torch.zeros_like(f, dtype=torch.bool).scatter_(
            -1, f.topk(min(self.top_k, f.shape[-1]), -1).indices, True
        )
        f = torch.where(kept, f, torch.zeros_like(f))
        return (f, z) if rows is None else (f[..., rows], z[..., rows])

    def directions(self) -> Tensor:
        """Return the unit-norm decoder columns, one row for each feature, ``[F, d]``."""
        return torch.nn.functional.normalize(self.decoder.weight.T, dim=-1)

    def columns(self) -> Tensor:
        """Return what one unit of each feature adds to the reconstruction, one row for each, ``[F, d]``.

        Where inputs are normalised, on the normalised scale.
        """
        return self.directions() if self.unit_norm else self.decoder.weight.T

    def decode(self, f: Tensor, x: Tensor | None = None) -> Tensor:
        """Return the reconstruction ``[n, d]`` from activations ``[n, F]``.

        Args:
            f: Activations.
            x: The inputs ``[n, d]``, whose size the reconstruction gets where inputs are normalised.

        Raises:
            ExperimentError: If inputs are normalised and not given.
        """
        made = f @ self.columns() + self.decoder_bias
        if self.normalise == "none":
            return made
        if x is None:
            raise ExperimentError(
                f"an autoencoder with {self.normalise} inputs reconstructs on the scale of its inputs: give x"
            )
        return normalised(x, self.normalise).back(made)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return reconstruction, f and z."""
        f, z = self.encode(x)
        return self.decode(f, x), f, z


def identity_autoencoder(width: int, clamp: Tensor) -> SparseAutoencoder:
    """Return the autoencoder whose feature k is the ReLU of unit k, clamped at ``clamp[k]``."""
    return SparseAutoencoder(width, width, clamp=clamp).fill(torch.eye(width), torch.eye(width))
