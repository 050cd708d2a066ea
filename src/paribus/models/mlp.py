"""The ``mlp`` option of the ``model`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.models.from_file import FromFile
from paribus.spec import field

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class MLP(FromFile, kind="model/mlp"):
    """A multi-layer perceptron on flattened images or the columns of a table.

    Its sites are ``hidden1``, ``hidden2``, ... and ``fc``.

    Example:
        >>> MLP(widths=[64, 32]).widths
        [64, 32]
    """

    work: ClassVar[str] = "paribus.models.nets.mlp"

    widths: list[int] = field([128, 64], low=1, help="Units of each hidden layer.")

    def check(self) -> None:
        """Check that there is a hidden layer, and that modules are only left out of a file that there is.

        Raises:
            ConfigError: If ``widths`` is empty, or there is no such file.
        """
        if not self.widths:
            raise ConfigError("MLP.widths: needs at least one hidden layer, e.g. [128, 64]")
        super().check()

    def build(self, *, n_features: int, n_classes: int, generator: torch.Generator) -> nn.Module:
        """Return the network, with weights from ``weights`` or else drawn from ``generator``.

        Raises:
            CheckpointError: If ``weights`` is missing, unsafe or of another architecture.
        """
        made: nn.Module = self.work_module().build(self, n_features, n_classes, generator)
        return made
