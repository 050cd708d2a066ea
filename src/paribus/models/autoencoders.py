"""Sparse autoencoders from files: our own and the real ones' state dicts, and SAELens folders; or random ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from paribus.errors import CheckpointError
from paribus.models import loading
from paribus.models.nets.sae import SparseAutoencoder
from paribus.models.sae import LENS_CONFIG, LENS_WEIGHTS, SAE
from paribus.spec import path_of

LENS_KINDS = ("standard", "jumprelu", "topk")


def build(spec: SAE, width: int, generator: torch.Generator) -> SparseAutoencoder:
    """Return the autoencoder of a spec for vectors of ``width``; see :meth:`paribus.models.sae.SAE.build`."""
    if spec.path is None:
        return random_sae(width, spec.n_features, generator, clamp=spec.clamp)
    sae = load_sae(spec.path, clamp=spec.clamp)
    if sae.width != width:
        raise CheckpointError(f"sae {spec.path}: reads vectors of {sae.width}, the model gives {width}")
    return sae


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
    path = path_of(path)
    return _load_lens(path) if path.is_dir() else sae_from_state(loading.load_state(path), clamp=clamp, where=str(path))


def sae_from_state(state: Mapping[str, torch.Tensor], *, clamp: float | None, where: str) -> SparseAutoencoder:
    """Return the autoencoder of a state dict (``encoder.*``, ``decoder.*``, ``decoder_bias``, ``usage_ema``).

    Raises:
        CheckpointError: If names or shapes are not those of an autoencoder.
    """
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
