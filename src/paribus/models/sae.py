"""Sparse autoencoders from files: our own and the real ones' state dicts, and SAELens folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.errors import CheckpointError
from paribus.models import loading
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch

    from paribus.models.nets.sae import SparseAutoencoder

LENS_WEIGHTS = "sae_weights.safetensors"
LENS_CONFIG = "cfg.json"
LENS_KINDS = ("standard", "jumprelu", "topk")


@dataclass(frozen=True)
class SAE(Spec, kind="model/sae"):
    """A sparse autoencoder on the vector before the last layer; without a path its weights are random.

    Example:
        >>> SAE(n_features=64).n_features
        64
    """

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
        if self.path is None:
            return random_sae(width, self.n_features, generator, clamp=self.clamp)
        sae = load_sae(self.path, clamp=self.clamp)
        if sae.width != width:
            raise CheckpointError(f"sae {self.path}: reads vectors of {sae.width}, the model gives {width}")
        return sae

    def input_files(self) -> Mapping[str, Path]:
        """Return the file, or the two of a SAELens folder."""
        return {} if self.path is None else sae_files(self.path)


def sae_files(path: str | Path) -> dict[str, Path]:
    """Return the files that an autoencoder is read from: the state dict, or weights and settings of a folder."""
    place = Path(path).expanduser()
    if not place.is_dir():
        return {"sae": place}
    return {"sae_weights": place / LENS_WEIGHTS, "sae_settings": place / LENS_CONFIG}


def random_sae(
    width: int, n_features: int, generator: torch.Generator, *, clamp: float | None = None
) -> SparseAutoencoder:
    """Return an autoencoder with random unit decoder columns and the encoder tied to them.

    Example:
        >>> import torch
        >>> sae = random_sae(8, 32, torch.Generator().manual_seed(0))
        >>> sae.encoder.weight.shape
        torch.Size([32, 8])
    """
    import torch

    from paribus.models.nets.sae import SparseAutoencoder

    sae = SparseAutoencoder(width, n_features, clamp=clamp)
    with torch.no_grad():
        rows = torch.nn.functional.normalize(torch.randn(n_features, width, generator=generator), dim=1)
        sae.encoder.weight.copy_(rows)
        sae.encoder.bias.zero_()
        sae.decoder.weight.copy_(rows.T)
        sae.decoder.bias.zero_()
    return sae.eval()


def load_sae(path: str | Path, *, clamp: float | None) -> SparseAutoencoder:
    """Read an autoencoder from a state dict file or a SAELens folder.

    Raises:
        CheckpointError: If something is missing, unsafe, damaged or of a kind that is not known.
    """
    path = Path(path).expanduser()
    return _load_lens(path) if path.is_dir() else sae_from_state(loading.load_state(path), clamp=clamp, where=str(path))


def sae_from_state(state: Mapping[str, torch.Tensor], *, clamp: float | None, where: str) -> SparseAutoencoder:
    """Return the autoencoder of a state dict (``encoder.*``, ``decoder.*``, ``decoder_bias``, ``usage_ema``).

    Raises:
        CheckpointError: If names or shapes are not those of an autoencoder.
    """
    import torch

    from paribus.models.nets.sae import SparseAutoencoder

    given = {name.removeprefix("module.").removeprefix("model."): value for name, value in state.items()}
    weight = given.get("encoder.weight")
    if weight is None or weight.ndim != 2:
        names = ", ".join(sorted(given)[:6])
        raise CheckpointError(f"sae {where}: holds no encoder.weight [features, width]; it holds {names}")
    n_features, width = map(int, weight.shape)
    given.setdefault("usage_ema", torch.zeros(n_features))
    given.setdefault("decoder.bias", torch.zeros(width))
    sae = SparseAutoencoder(width, n_features, clamp=clamp)
    try:
        loading.fit_state(sae, {name: value.float() for name, value in given.items()})
    except CheckpointError as error:
        raise CheckpointError(f"sae {where}: {error}") from None
    return sae.eval()


def _load_lens(folder: Path) -> SparseAutoencoder:
    import torch

    from paribus.models.nets.sae import SparseAutoencoder

    config = _config(folder / LENS_CONFIG)
    kind = str(config.get("architecture", "standard"))
    if kind not in LENS_KINDS:
        raise CheckpointError(f"sae {folder}: architecture {kind!r} is not known; valid: {', '.join(LENS_KINDS)}")
    state = loading.load_state(folder / LENS_WEIGHTS)
    missing = sorted({"W_enc", "W_dec", "b_enc", "b_dec"} - set(state))
    if missing:
        raise CheckpointError(f"sae {folder}: {LENS_WEIGHTS} lacks {', '.join(missing)}")
    width, n_features = map(int, state["W_enc"].shape)
    if tuple(state["W_dec"].shape) != (n_features, width):
        raise CheckpointError(f"sae {folder}: W_dec is {tuple(state['W_dec'].shape)}, expected {(n_features, width)}")
    threshold = state.get("threshold")
    if kind == "jumprelu" and threshold is None:
        raise CheckpointError(f"sae {folder}: a JumpReLU autoencoder without threshold")
    sae = SparseAutoencoder(
        width,
        n_features,
        threshold=threshold.float() if kind == "jumprelu" and threshold is not None else None,
        top_k=_top_k(config, folder) if kind == "topk" or _activation(config) == "topk" else None,
        center_input=bool(config.get("apply_b_dec_to_input", True)),
        unit_norm=False,
    )
    with torch.no_grad():
        sae.encoder.weight.copy_(state["W_enc"].T)
        sae.encoder.bias.copy_(state["b_enc"])
        sae.decoder.weight.copy_(state["W_dec"].T)
        sae.decoder.bias.zero_()
        sae.decoder_bias.copy_(state["b_dec"])
    return sae.eval()


def _config(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"sae: no file {path}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"sae: {path} cannot be read as JSON ({error})") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"sae: {path} must be a JSON object")
    return content


def _activation(config: Mapping[str, Any]) -> str:
    return str(config.get("activation_fn", config.get("activation_fn_str", "relu")))


def _top_k(config: Mapping[str, Any], folder: Path) -> int:
    k = config.get("k", (config.get("activation_fn_kwargs") or {}).get("k"))
    if not isinstance(k, int) or k < 1:
        raise CheckpointError(f"sae {folder}: a top-k autoencoder whose {LENS_CONFIG} gives no k")
    return k
