"""The ``latent`` option of the ``feature`` group: one feature of a sparse autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.models.sae import read_anew, sae_files
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch

    from paribus.features.readable import Readable
    from paribus.features.reader import Reader


@dataclass(frozen=True)
class Latent(Spec, kind="feature/latent"):
    """One latent of a sparse autoencoder, by its id: of the model's own, or of one from a file at any site.

    Example:
        >>> Latent(id=12, path="layer2_sae.safetensors", site="layer2").id
        12
    """

    id: int = field(0, low=0, help="Number of the latent, from 0.")
    path: str | None = field(
        None,
        file=sae_files,
        unstated=None,
        help="State dict or SAELens folder of an autoencoder; null: the model's own.",
    )
    site: str | None = field(
        None,
        unstated=None,
        help="Module that the autoencoder reads; null: what a SAELens folder names, else where the model's own does.",
    )
    clamp: float | None = field(
        6.0, above=0.0, unstated=6.0, help="Upper bound of the activation of an autoencoder from a state dict."
    )

    def reader(self, network: Readable, generator: torch.Generator) -> Reader:
        """Return the reader of this latent.

        Raises:
            ConfigError: If there is no autoencoder, or it has not so many latents.
            CheckpointError: If the file is missing or unsafe, or reads another width.
        """
        return network.latent(self.id, site=self.site, path=self.path, clamp=self.clamp)

    def fingerprint(self) -> str:
        """Return how a SAELens folder is read, where that is not as it always was."""
        return read_anew(self.path, several=None if self.site is None else True)
