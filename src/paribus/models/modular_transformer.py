"""The ``modular_transformer`` option of the ``model`` group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class ModularTransformerSpec(Spec, kind="model/modular_transformer"):
    """A transformer without layer norm that scores the answers to a pair of numbers.

    ``attn_coeff`` is the share of the attention pattern that is computed: 1 is ordinary attention, at 0 attention is
    uniform over both numbers (Zhong et al. 2023, arXiv 2306.17844). Its places are ``embed``, ``stream``, of each block
    ``attn.pattern``, ``attn.out.input`` (its heads), ``attn``, ``mid``, ``mlp.1`` (its units) and ``post``, and
    ``unembed.input``.

    Example:
        >>> ModularTransformerSpec(d_model=64, n_heads=4).attn_coeff
        1.0
    """

    work: ClassVar[str] = "paribus.models.nets.modular_transformer"

    d_model: int = field(64, low=1, help="Width of the stream.")
    n_heads: int = field(4, low=1, help="Attention heads of a layer.")
    n_layers: int = field(1, low=1, help="Layers.")
    attn_coeff: float = field(1.0, low=0.0, high=1.0, help="Share of the attention pattern that is computed.")
    weights: str | None = field(
        None, file=True, help="Checkpoint file to start from; state dicts of the published networks are read too."
    )
    untrained: bool = field(
        False, science=False, help="Let experiments examine it with random weights, where nothing gives others."
    )

    def check(self) -> None:
        """Check that the heads divide the width evenly.

        Raises:
            ConfigError: If they do not.
        """
        if self.d_model % self.n_heads:
            raise ConfigError(
                f"ModularTransformerSpec: d_model {self.d_model} is no multiple of n_heads {self.n_heads}"
            )

    def build(self, *, n_tokens: int, length: int, n_classes: int, generator: torch.Generator) -> nn.Module:
        """Return the network, with weights from ``weights`` or else drawn from ``generator``.

        Raises:
            ConfigError: If the data are no pairs of numbers with an answer among them.
            CheckpointError: If ``weights`` is missing, unsafe or of another architecture.
        """
        made: nn.Module = self.work_module().build(self, n_tokens, length, n_classes, generator)
        return made
