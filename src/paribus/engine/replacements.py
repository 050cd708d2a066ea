"""Edits that replace activations: by those of other rows, by given values, or by setting a feature.

They keep the contract of :mod:`paribus.engine.interventions`, but are not affine in ``h`` row by row, so that they
have no pull-back through a linear map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from paribus.engine.intervention import Intervention, along_channels, as_tensor, as_units
from paribus.engine.normalised import normalised
from paribus.errors import ExperimentError


@dataclass(frozen=True, eq=False)
class Resample(Intervention):
    """Give units the values they have in other rows (activation patching, resampling ablation).

    Attributes:
        units: ``[k]`` channel indices.
        donors: ``[n]``: the row each row takes its values from.

    Example:
        >>> h = torch.tensor([[1.0, 10.0], [2.0, 20.0]])
        >>> Resample(units=[1], donors=[1, 0]).forward(h)
        tensor([[ 1., 20.],
                [ 2., 10.]])
    """

    units: Tensor
    donors: Tensor

    def __post_init__(self) -> None:
        """Take arrays and lists too."""
        self._set(units=as_units(self.units), donors=as_units(self.donors))

    @property
    def needs_rows(self) -> bool:
        """Every row has its donor."""
        return True

    def forward(self, h: Tensor) -> Tensor:
        """Return ``h`` (all rows) with the units taken from the donors."""
        if len(h) != len(self.donors):
            raise ExperimentError(f"Resample.forward needs all {len(self.donors)} rows at once, got {len(h)}; use at()")
        return self.at(slice(0, len(h)), lambda: h).forward(h)

    def at(self, rows: slice, features: Callable[[], Tensor]) -> Intervention:
        """Return the graft of the donors' values onto ``rows``."""
        everything = features()
        return Graft(self.units, everything[self.donors[rows].to(everything.device)][:, self.units])

    def check(self, width: int, n_rows: int) -> None:
        """Refuse units the site does not have and donors that are no rows."""
        self.check_units("units", self.units, width)
        if len(self.donors) != n_rows:
            raise ExperimentError(f"Resample.donors names {len(self.donors)} rows; there are {n_rows}")
        if n_rows and not 0 <= int(self.donors.min()) <= int(self.donors.max()) < n_rows:
            raise ExperimentError(f"Resample.donors must lie in 0..{n_rows - 1}")


@dataclass(frozen=True, eq=False)
class Graft(Intervention):
    """Give units the stated values, row by row.

    Attributes:
        units: ``[k]`` channel indices.
        values: ``[n, k, *positions]``.

    Example:
        >>> Graft(units=[0], values=[[7.0], [8.0]]).forward(torch.zeros(2, 3))
        tensor([[7., 0., 0.],
                [8., 0., 0.]])
    """

    units: Tensor
    values: Tensor

    def __post_init__(self) -> None:
        """Take arrays and lists too."""
        self._set(units=as_units(self.units), values=as_tensor(self.values))

    @property
    def needs_rows(self) -> bool:
        """Every row has its values."""
        return True

    def forward(self, h: Tensor) -> Tensor:
        """Return ``h`` with the units overwritten."""
        edited = h.clone()
        edited[:, self.units.to(h.device)] = self.values.to(h)
        return edited

    def at(self, rows: slice, features: Callable[[], Tensor]) -> Intervention:
        """Return the graft of these rows."""
        return Graft(self.units, self.values[rows])

    def check(self, width: int, n_rows: int) -> None:
        """Refuse units the site does not have and a wrong number of rows."""
        self.check_units("units", self.units, width)
        if len(self.values) != n_rows:
            raise ExperimentError(f"Graft.values has {len(self.values)} rows; there are {n_rows}")


@dataclass(frozen=True, eq=False)
class SetFeature(Intervention):
    """Set a sparse-autoencoder feature, keeping the autoencoder's error term: ``h' = h + (value - f(h)) * decoder``.

    ``f(h) = min(z, clamp)`` where ``z = encoder . h + bias`` exceeds ``threshold``, else 0. Because only the feature's
    own contribution is exchanged, everything the autoencoder fails to reconstruct stays in ``h``.

    Attributes:
        encoder: ``[d]``, the feature's encoder row.
        bias: The feature's encoder bias, with any input centring folded in (``b_enc - encoder . b_dec``).
        decoder: ``[d]``, the feature's decoder column.
        value: What the feature is set to.
        threshold: Pre-activation below which the feature is off (0 for ReLU, more for JumpReLU).
        clamp: Largest activation, or None.
        rivals: In a top-k autoencoder, the encoder rows that compete with it ``[R, d]``.
        rival_biases: Their biases ``[R]``, with the input centring folded in.
        top_k: How many features stay active in a top-k autoencoder; None elsewhere.
        own: Which of ``rivals`` is the feature itself; None: none of them.
        normalise: How inputs are normalised before they are read; the decoder's column is then scaled back to each
            input (:mod:`paribus.engine.normalised`).

    Example:
        >>> unit = torch.tensor([1.0, 0.0])
        >>> SetFeature(encoder=unit, bias=0.0, decoder=unit, value=3.0).forward(torch.tensor([[1.0, 5.0]]))
        tensor([[3., 5.]])
    """

    encoder: Tensor
    bias: float
    decoder: Tensor
    value: float
    threshold: float = 0.0
    clamp: float | None = None
    rivals: Tensor | None = None
    rival_biases: Tensor | None = None
    top_k: int | None = None
    own: int | None = None
    normalise: str = "none"

    def __post_init__(self) -> None:
        """Take arrays too.

        Raises:
            ExperimentError: If a top-k feature is given without its rivals, or rivals without k.
        """
        self._set(encoder=as_tensor(self.encoder), decoder=as_tensor(self.decoder))
        given = [one is not None for one in (self.rivals, self.rival_biases, self.top_k)]
        if any(given) and not all(given):
            raise ExperimentError("SetFeature: rivals, rival_biases and top_k belong together (a top-k autoencoder)")
        if self.rivals is not None and self.rival_biases is not None:
            self._set(rivals=as_tensor(self.rivals), rival_biases=as_tensor(self.rival_biases))

    def read(self, h: Tensor) -> Tensor:
        """Return the feature's activation ``[n, *positions]``; in a top-k autoencoder 0 where k others are larger."""
        return self._read(normalised(h, self.normalise, axis=1).x)

    def _read(self, x: Tensor) -> Tensor:
        z = torch.tensordot(x, self.encoder.to(x), dims=([1], [0])) + self.bias
        active = self._activation(z)
        if self.rivals is not None and self.rival_biases is not None and self.top_k is not None:
            others = torch.tensordot(x, self.rivals.to(x), dims=([1], [1])) + self.rival_biases.to(x)
            if self.own is not None:
                others[..., self.own] = 0.0  # never larger than itself, whatever the rounding of the two products
            larger = (self._activation(others) > active.unsqueeze(-1)).sum(-1)
            active = torch.where(larger < self.top_k, active, torch.zeros_like(active))
        return active

    def _activation(self, z: Tensor) -> Tensor:
        active = torch.where(z > self.threshold, z, torch.zeros_like(z))
        return active if self.clamp is None else active.clamp(max=self.clamp)

    def forward(self, h: Tensor) -> Tensor:
        """Return ``h`` with the feature at its new value."""
        seen = normalised(h, self.normalise, axis=1)
        change = (self.value - self._read(seen.x)).unsqueeze(1)
        if seen.scale is not None:
            change = change * seen.scale
        return h + change * along_channels(self.decoder, h)

    def check(self, width: int, n_rows: int) -> None:
        """Compare both vectors with the site."""
        self.check_width(width, encoder=len(self.encoder), decoder=len(self.decoder))
        if self.rivals is not None:
            self.check_width(width, rivals=self.rivals.shape[1])
