"""The ``direction`` option of the ``feature`` group: the projection on a vector at a site."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.errors import ConfigError, DataError
from paribus.spec import Spec, field
from paribus.subjects.builds.models.set_model import SAE_SITE, SetModel

if TYPE_CHECKING:
    import torch

    from paribus.features.readers.population import Reader
    from paribus.subjects.builds.vocabulary import Vocabulary

N_RANDOM = 400


@dataclass(frozen=True)
class Direction(Spec, kind="feature/direction"):
    """The projection on a unit vector; its null population is random directions (isotropic)."""

    values: list[float] = field([], help="The vector itself.")
    path: str | None = field(None, file=True, help="A .npy file with the vector.")
    token: str | None = field(None, help="The output weights of this token, centred over all tokens.")
    site: str = field(SAE_SITE, help="Module whose output (or with .input its input) is read.")

    def check(self) -> None:
        """Check that exactly one source of the vector is given.

        Raises:
            ConfigError: If none or several are.
        """
        given = [name for name in ("values", "path", "token") if getattr(self, name)]
        if len(given) > 1:
            raise ConfigError(f"Direction: give one of values, path, token; got {', '.join(given)}")
        if self.token and self.site != SAE_SITE:
            raise ConfigError(f"Direction.token reads output weights, so site must be {SAE_SITE}, got {self.site!r}")

    def reader(self, model: SetModel, vocabulary: Vocabulary, generator: torch.Generator) -> Reader:
        """Return the reader of this direction.

        Raises:
            ConfigError: If no vector is given, or its width is not the site's.
            DataError: If the file cannot be read.
        """
        import torch

        from paribus.features.readers.capture import width_at
        from paribus.features.readers.population import Directions, Reader

        width = width_at(model, self.site)
        vector = self._vector(model, vocabulary)
        if tuple(vector.shape) != (width,):
            raise ConfigError(
                f"feature=direction: {self.site} is {width} wide, the vector has shape {tuple(vector.shape)}"
            )
        if not torch.isfinite(vector).all() or vector.norm() == 0:
            raise ConfigError("feature=direction: the vector must be finite and not zero")
        drawn = torch.randn(N_RANDOM, width, generator=generator)
        vectors = torch.nn.functional.normalize(torch.cat([vector[None], drawn]), dim=1)
        return Reader(f"direction {self.token or self.path or ''}".strip(), Directions(vectors, self.site), 0)

    def _vector(self, model: SetModel, vocabulary: Vocabulary) -> torch.Tensor:
        import numpy as np
        import torch

        if self.path:
            try:
                return torch.as_tensor(np.load(Path(self.path).expanduser(), allow_pickle=False), dtype=torch.float32)
            except (OSError, ValueError) as error:
                raise DataError(f"feature.path={self.path}: no readable .npy vector ({error})") from None
        if self.token:
            ref = vocabulary.token(self.token)
            weight = model.network.get_submodule("output_layer").weight
            assert isinstance(weight, torch.Tensor)
            row = weight[vocabulary.ids[vocabulary.token_name(ref)]] - weight.mean(0)
            return row.detach().float().cpu()
        if not self.values:
            raise ConfigError("feature=direction: give feature.values, feature.path or feature.token")
        return torch.tensor(self.values, dtype=torch.float32)
