"""The ``set_completion`` options of the ``model`` group: the set transformer that completes builds, with its SAE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.errors import ConfigError
from paribus.spec import ModelSpec, field
from paribus.subjects.builds.models.set_model import SetModel

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SetCompletion(ModelSpec, kind="model/set_completion"):
    """A set transformer over ability tokens and a weapon; it scores every token of the whole set.

    Example:
        >>> SetCompletion(hidden=64, n_heads=4).trained_by
        ()
    """

    embedding: int = field(32, low=1, help="Width of token and weapon embeddings.")
    hidden: int = field(512, low=1, help="Width of the layers and of the pooled vector.")
    n_layers: int = field(3, low=1, help="Number of layers.")
    n_heads: int = field(8, low=1, help="Attention heads.")
    n_inducing: int = field(32, low=1, help="Inducing points and seeds of each layer.")
    use_layer_norm: bool = field(True, help="Layer norms in the attention blocks.")
    weights: str | None = field(
        None, file=True, help="Checkpoint file (.pt, .pth or .safetensors); null: random weights."
    )
    sae: Any = field(None, help="Its sparse autoencoder (_target_: paribus.models.sae.SAE), or null.")
    untrained: bool = field(
        False, science=False, help="Let experiments examine it with random weights, where nothing gives others."
    )

    work: ClassVar[str] = "paribus.subjects.builds.models._set_completion"
    trained_by: ClassVar[tuple[str, ...]] = ()
    """Experiment types that train the weights, one after the other, where neither a file nor a run gives them."""

    def check(self) -> None:
        """Check that the heads divide the width.

        Raises:
            ConfigError: If they do not.
        """
        if self.hidden % self.n_heads:
            name = type(self).__name__
            raise ConfigError(f"{name}: hidden ({self.hidden}) must be a multiple of n_heads ({self.n_heads})")

    def build(self, *, tokens: Sequence[str], specials: Sequence[str], generator: torch.Generator) -> SetModel:
        """Return the model, with weights from the file or else drawn from ``generator``.

        Args:
            tokens: Token names by id.
            specials: Special weapon of every weapon index (only their number matters here).
            generator: Draws the starting weights.

        Raises:
            CheckpointError: If a file is missing or unsafe, or does not fit architecture and vocabulary.
        """
        made: SetModel = self.work_module().build(self, tokens, specials, generator)
        return made

    def restore(
        self, published: Mapping[str, Any], *, tokens: Sequence[str], specials: Sequence[str], name: str = "trained"
    ) -> SetModel:
        """Return the model that a training run published: its weights, and its autoencoder where it trained one.

        Args:
            published: ``model`` (state dict) and, after autoencoder training, ``sae`` (state dict) and ``sae_clamp``.
            tokens: Token names by id.
            specials: Special weapon of every weapon index.
            name: What to call the model.

        Raises:
            CheckpointError: If it does not fit architecture and vocabulary.
        """
        made: SetModel = self.work_module().restore(self, published, tokens, specials, name)
        return made


@dataclass(frozen=True)
class SetCompletionSmall(SetCompletion, kind="model/set_completion_small"):
    """A small one, trained when first needed in about half a minute on a CPU and reused from then on.

    Example:
        >>> SetCompletionSmall().trained_by
        ('train_set_completion', 'train_sae')
    """

    embedding: int = field(32, low=1, help="Width of token and weapon embeddings.")
    hidden: int = field(48, low=1, help="Width of the layers and of the pooled vector.")
    n_layers: int = field(1, low=1, help="Number of layers.")
    n_heads: int = field(4, low=1, help="Attention heads.")
    n_inducing: int = field(4, low=1, help="Inducing points and seeds of each layer.")

    trained_by: ClassVar[tuple[str, ...]] = ("train_set_completion", "train_sae")
