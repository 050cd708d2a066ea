"""The spec of a sparse autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from paribus.spec import Spec, field, path_of

if TYPE_CHECKING:
    import torch

    from paribus.models.nets.sae import SparseAutoencoder

LENS_WEIGHTS = "sae_weights.safetensors"
LENS_CONFIG = "cfg.json"


@dataclass(frozen=True)
class SAE(Spec, kind="model/sae"):
    """A sparse autoencoder on the vector before the last layer; without a path its weights are random.

    Example:
        >>> SAE(n_features=64).n_features
        64
    """

    work: ClassVar[str] = "paribus.models.autoencoders"

    path: str | None = field(None, file=True, help="State dict (.pt, .pth, .safetensors) or a SAELens folder.")
    n_features: int = field(256, low=1, help="Number of features, where there is no path.")
    clamp: float | None = field(6.0, above=0.0, help="Upper bound of the activation; null for none.")
    untrained: bool = field(
        False, science=False, help="Let experiments examine it with random weights, where nothing gives others."
    )

    def build(self, width: int, generator: torch.Generator) -> SparseAutoencoder:
        """Return the autoencoder for vectors of ``width``.

        Raises:
            CheckpointError: If the file is missing or unsafe, or its width is another.
        """
        made: SparseAutoencoder = self.work_module().build(self, width, generator)
        return made

    def input_files(self) -> Mapping[str, Path]:
        """Return the file, or the two of a SAELens folder."""
        return {} if self.path is None else sae_files(self.path)


def sae_files(path: str | Path) -> dict[str, Path]:
    """Return the files that an autoencoder is read from: the state dict, or weights and settings of a folder."""
    place = path_of(path)
    if not place.is_dir():
        return {"sae": place}
    return {"sae_weights": place / LENS_WEIGHTS, "sae_settings": place / LENS_CONFIG}
