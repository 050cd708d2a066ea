"""Many features of one kind that are read together: the one under study and the population of its null.

Each is a :class:`~paribus.measure.readout.Columns`; where it is read says the :class:`~paribus.features.reader.Reader`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn, sigmoid

from paribus.engine.replacements import SetFeature
from paribus.errors import ExperimentError
from paribus.models.nets.sae import SparseAutoencoder


@dataclass(frozen=True, eq=False)
class Latents:
    """The features of a sparse autoencoder.

    Attributes:
        sae: The autoencoder, on the device and in the number format of the network.

    Example:
        >>> import torch
        >>> from paribus.models.nets.sae import identity_autoencoder
        >>> latents = Latents(identity_autoencoder(3, torch.full((3,), 2.0)))
        >>> latents.read(torch.tensor([[1.0, 5.0, -1.0]]), torch.tensor([1, 2]))[0].tolist()
        [[2.0, 0.0]]
        >>> latents.setter(1, 0.5).forward(torch.tensor([[1.0, 5.0, -1.0]])).tolist()
        [[1.0, 3.5, -1.0]]
    """

    sae: SparseAutoencoder

    @property
    def size(self) -> int:
        """Number of features."""
        return self.sae.n_features

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return f and z ``[n, len(rows)]``; only those encoder rows are computed."""
        return self.sae.encode(x, rows)

    def setter(self, row: int, value: float) -> SetFeature:
        """Return the edit that sets feature ``row`` to ``value`` and keeps what the autoencoder does not reconstruct.

        In a top-k autoencoder the feature is read with all others, which it competes with.

        Raises:
            ExperimentError: If a top-k autoencoder also has thresholds or bounds of its own for each feature.
        """
        sae = self.sae
        weight, bias = sae.encoder.weight.detach(), sae.encoder.bias.detach()
        if sae.center_input:
            bias = bias - weight @ sae.decoder_bias.detach()
        column = sae.columns()[row]
        several = any(one is not None and one.ndim > 0 for one in (sae.threshold, sae.clamp))
        if sae.top_k is not None and several:
            raise ExperimentError("a top-k autoencoder with a threshold or bound for each feature cannot be set")
        return SetFeature(
            encoder=weight[row],
            bias=float(bias[row]),
            decoder=column.detach(),
            value=value,
            threshold=max(0.0, _of(sae.threshold, row) or 0.0),
            clamp=_of(sae.clamp, row),
            rivals=None if sae.top_k is None else weight,
            rival_biases=None if sae.top_k is None else bias,
            top_k=sae.top_k,
            own=None if sae.top_k is None else row,
            normalise=sae.normalise,
        )


def _of(values: Tensor | None, row: int) -> float | None:
    if values is None:
        return None
    return float(values if values.ndim == 0 else values[row])


@dataclass(frozen=True, eq=False)
class Units:
    """Single units: activation and pre-activation are the value itself.

    Example:
        >>> import torch
        >>> Units(3).read(torch.tensor([[1.0, 5.0, -1.0]]), torch.tensor([2]))[0].tolist()
        [[-1.0]]
    """

    size: int

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the units ``[n, len(rows)]`` twice."""
        z = x[:, rows]
        return z, z


@dataclass(frozen=True, eq=False)
class Directions:
    """Projections on unit vectors; row 0 is the direction under study.

    Attributes:
        vectors: ``[k, d]``, each of length 1.

    Example:
        >>> import torch
        >>> Directions(torch.eye(2)).read(torch.tensor([[3.0, 4.0]]), torch.tensor([1]))[0].tolist()
        [[4.0]]
    """

    vectors: Tensor

    @classmethod
    def of(cls, vectors: Tensor) -> Directions:
        """Return the projections on ``vectors [k, d]``, brought to length 1."""
        return cls(nn.functional.normalize(vectors, dim=1))

    @property
    def size(self) -> int:
        """Number of directions."""
        return len(self.vectors)

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the projections ``[n, len(rows)]`` twice."""
        z = x @ self.vectors[rows].to(x).T
        return z, z


@dataclass(frozen=True, eq=False)
class Logits:
    """The network's outputs.

    Attributes:
        columns: Which outputs make the columns ``[k]``.
        against_others: Whether the mean of all other outputs is taken off (the margin).
        probability: Whether the activation is the sigmoid of the logit.

    Example:
        >>> import torch
        >>> margins = Logits(torch.arange(3), against_others=True)
        >>> margins.read(torch.tensor([[1.0, 5.0, 3.0]]), torch.tensor([1]))[1].tolist()
        [[3.0]]
    """

    columns: Tensor
    against_others: bool = False
    probability: bool = False

    @property
    def size(self) -> int:
        """Number of outputs."""
        return len(self.columns)

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return activation and logit (or margin) ``[n, len(rows)]`` from outputs ``[n, V]``."""
        z = x[:, self.columns.to(x.device)[rows]]
        if self.against_others:
            z = z - (x.sum(1, keepdim=True) - z) / (x.shape[1] - 1)
        return (sigmoid(z) if self.probability else z), z
