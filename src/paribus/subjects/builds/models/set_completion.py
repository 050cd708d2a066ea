"""The ``set_completion`` options of the ``model`` group: the set transformer that completes builds, with its SAE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.errors import CheckpointError, ConfigError
from paribus.models import loading
from paribus.spec import ModelSpec, field
from paribus.subjects.builds.models.set_model import SetModel

if TYPE_CHECKING:
    import torch

    from paribus.subjects.builds.models.nets.set_transformer import SetCompletionNet


@dataclass(frozen=True)
class SetCompletion(ModelSpec, kind="model/set_completion"):
    """A set transformer over ability tokens and a weapon; it scores every token of the whole set."""

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

    trained_by: ClassVar[tuple[str, ...]] = ()
    """Experiment types that, one after the other, make the weights where neither a file nor a run gives them."""

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
        net = self.network(len(tokens), len(specials), generator)
        if self.weights is not None:
            state = loading.load_state(self.weights)
            check_vocabulary(state, len(tokens), len(specials), self.weights)
            fit(net, state, self.weights)
        sae = None if self.sae is None else self.sae.build(self.hidden, generator)
        return SetModel(net.eval(), sae, name=self.weights or "set_completion")

    def network(self, n_tokens: int, n_weapons: int, generator: torch.Generator) -> SetCompletionNet:
        """Return the network with starting weights drawn from ``generator``."""
        import torch

        from paribus.subjects.builds.models.nets.set_transformer import SetCompletionNet

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(1 << 62, (), generator=generator)))
            return SetCompletionNet(
                n_tokens=n_tokens,
                n_weapons=n_weapons,
                embedding=self.embedding,
                hidden=self.hidden,
                n_layers=self.n_layers,
                n_heads=self.n_heads,
                n_inducing=self.n_inducing,
                use_layer_norm=self.use_layer_norm,
            )

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
        import torch

        from paribus.models.sae import sae_from_state

        if not isinstance(published.get("model"), Mapping):
            raise CheckpointError(f"{name}: holds no weights of a set model")
        check_vocabulary(published["model"], len(tokens), len(specials), name)
        net = self.network(len(tokens), len(specials), torch.Generator().manual_seed(0))
        fit(net, published["model"], name)
        sae = None
        if published.get("sae"):
            sae = sae_from_state(published["sae"], clamp=published.get("sae_clamp"), where=name)
        elif self.sae is not None:
            sae = self.sae.build(self.hidden, torch.Generator().manual_seed(0))
        return SetModel(net.eval(), sae, name=name)


@dataclass(frozen=True)
class SetCompletionSmall(SetCompletion, kind="model/set_completion_small"):
    """A small one, trained on the spot in about half a minute on a CPU and reused from then on."""

    embedding: int = field(32, low=1, help="Width of token and weapon embeddings.")
    hidden: int = field(48, low=1, help="Width of the layers and of the pooled vector.")
    n_layers: int = field(1, low=1, help="Number of layers.")
    n_heads: int = field(4, low=1, help="Attention heads.")
    n_inducing: int = field(4, low=1, help="Inducing points and seeds of each layer.")

    trained_by: ClassVar[tuple[str, ...]] = ("train_set_completion", "train_sae")


def check_vocabulary(state: Mapping[str, torch.Tensor], n_tokens: int, n_weapons: int, where: str) -> None:
    """Check that a checkpoint's embeddings have as many rows as there are tokens and weapons.

    Raises:
        CheckpointError: If they have not.
    """
    for key, size, what in (
        ("ability_embedding.weight", n_tokens, "vocabulary"),
        ("weapon_embedding.weight", n_weapons, "weapon vocabulary"),
    ):
        table = next((value for name, value in state.items() if name.endswith(key)), None)
        if table is not None and table.shape[0] != size:
            raise CheckpointError(
                f"checkpoint {where}: {key} has {table.shape[0]} rows, but the {what} has {size}; "
                "they do not belong together"
            )


def fit(net: SetCompletionNet, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Load weights into the network.

    Raises:
        CheckpointError: If names or shapes differ.
    """
    wanted = net.state_dict()
    shaped = {}
    for name, value in state.items():
        known = wanted.get(name.removeprefix("module.").removeprefix("model."))
        same = known is not None and known.ndim == value.ndim + 1 and known.shape[0] == 1
        shaped[name] = value.unsqueeze(0) if same else value  # inducing points without their leading axis
    try:
        loading.fit_state(net, shaped)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from None
