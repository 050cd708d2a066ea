"""The ``direction`` option of the ``feature`` group: the projection on a vector at a site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.errors import ConfigError
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch

    from paribus.features.readable import Readable
    from paribus.features.reader import Reader


@dataclass(frozen=True)
class Direction(Spec, kind="feature/direction"):
    """The projection on a unit vector; its null population is random directions (isotropic).

    Example:
        >>> Direction(values=[1.0, 0.0], site="encoder.2").values
        [1.0, 0.0]
    """

    values: list[float] = field([], help="The vector itself.")
    path: str | None = field(None, file=True, help="A .npy file with the vector.")
    token: str | None = field(None, help="The output weights of this token, centred over all tokens.")
    site: str = field("output_layer.input", help="Module whose output (or with .input its input) is read.")

    def check(self) -> None:
        """Check that at most one source of the vector is given.

        Raises:
            ConfigError: If several are.
        """
        given = [name for name in ("values", "path", "token") if getattr(self, name)]
        if len(given) > 1:
            raise ConfigError(f"Direction: give one of values, path, token; got {', '.join(given)}")

    def reader(self, network: Readable, generator: torch.Generator) -> Reader:
        """Return the reader of this direction.

        Raises:
            ConfigError: If no vector is given, or its width is not the site's.
            DataError: If the file cannot be read.
        """
        name = f"direction {self.token or self.path or ''}".strip()
        if self.token:
            vector = network.output_weights(self.token, self.site)
        elif self.path:
            vector = network.vector_from_file(self.path)
        elif self.values:
            vector = network.vector(self.values)
        else:
            raise ConfigError("feature=direction: give feature.values, feature.path or feature.token")
        return network.direction(vector, self.site, generator, name)
