"""Sparse autoencoders from files: our own and the real ones' state dicts, and SAELens folders; or random ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from paribus.errors import CheckpointError
from paribus.models import loading
from paribus.models.lens import load_lens, read_settings
from paribus.models.nets.sae import SparseAutoencoder
from paribus.models.sae import SAE
from paribus.models.state import cpu_state
from paribus.spec import path_of

TOP_K, BY_POSITION = "settings.top_k", "settings.by_position"
"""What files of our own say besides the weights."""


def build(spec: SAE, width: int, generator: torch.Generator) -> SparseAutoencoder:
    """Return the autoencoder of a spec for vectors of ``width``; see :meth:`paribus.models.sae.SAE.build`."""
    if spec.path is None:
        return random_sae(width, spec.n_features, generator, clamp=spec.clamp)
    sae = load_sae(spec.path, clamp=spec.clamp, width=width)
    if sae.width != width:
        raise CheckpointError(f"sae {spec.path}: reads vectors of {sae.width}, the model gives {width}")
    return sae


def random_sae(
    width: int,
    n_features: int,
    generator: torch.Generator,
    *,
    clamp: float | None = None,
    top_k: int | None = None,
    by_position: bool = False,
) -> SparseAutoencoder:
    """Return an autoencoder with random unit decoder columns and the encoder tied to them.

    Example:
        >>> import torch
        >>> sae = random_sae(8, 32, torch.Generator().manual_seed(0))
        >>> sae.encoder.weight.shape
        torch.Size([32, 8])
    """
    sae = SparseAutoencoder(width, n_features, clamp=clamp, top_k=top_k, by_position=by_position)
    rows = unit_rows(n_features, width, generator)
    return sae.fill(rows, rows).eval()


def unit_rows(n: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Return random vectors of length 1 ``[n, width]``."""
    return torch.nn.functional.normalize(torch.randn(n, width, generator=generator), dim=1)


def random_alike(
    sae: SparseAutoencoder, vectors: torch.Tensor, rates: torch.Tensor, generator: torch.Generator
) -> SparseAutoencoder:
    """Return latents with random unit rows, tied weights, and biases chosen so that each fires at a given rate.

    How similar latents are by chance depends on how often they fire, so a latent is compared with random ones of its
    own rate.

    Args:
        sae: A real one, whose input normalisation they share.
        vectors: Vectors ``[m, d]`` that the rates are of.
        rates: Share of vectors on which each fires ``[n]``.
        generator: Draws the rows.

    Example:
        >>> import torch
        >>> draw = torch.Generator().manual_seed(0)
        >>> vectors = torch.randn(200, 8, generator=draw)
        >>> made = random_alike(SparseAutoencoder(8, 32), vectors, torch.tensor([0.1, 0.5]), draw)
        >>> [round(float(one), 2) for one in (made.encode(vectors)[0] > 0).double().mean(0)]
        [0.1, 0.5]
    """
    rows = unit_rows(len(rates), sae.width, generator)
    made = SparseAutoencoder(sae.width, len(rates), center_input=False, unit_norm=False, normalise=sae.normalise)
    with torch.no_grad():
        made = made.fill(rows, rows).to(sae.encoder.weight).eval()
        projected = made.preactivation(vectors.to(sae.encoder.weight)).double()
        for rate in sorted(set(rates.tolist())):
            some = (rates == rate).to(projected.device)
            bound = torch.quantile(projected[:, some], min(max(1.0 - rate, 0.0), 1.0), dim=0)
            made.encoder.bias[some] = -bound.to(made.encoder.bias)
    return made


def load_sae(path: str | Path, *, clamp: float | None, width: int | None = None) -> SparseAutoencoder:
    """Read an autoencoder from a state dict file or a SAELens folder.

    Args:
        path: The file or folder.
        clamp: Upper bound of the activations, where a file says none; a folder says all itself.
        width: Channels of the place that it is for, which one of a single attention head is widened to.

    Raises:
        CheckpointError: If something is missing, unsafe, damaged or of a kind that is not known.
    """
    path = path_of(path)
    if path.is_dir():
        return load_lens(path, width=width)
    return sae_from_state(loading.load_state(path), clamp=clamp, where=str(path))


def stated_hook(path: str | Path) -> str:
    """Return the name of the place that the autoencoder of a SAELens folder reads; empty where nothing says it.

    Raises:
        CheckpointError: If the folder's settings cannot be read.
    """
    place = path_of(path)
    return read_settings(place).hook if place.is_dir() else ""


def says_positions(path: str | Path) -> bool:
    """Return whether a file or folder says if it was trained on single positions or on their mean.

    Raises:
        CheckpointError: If it cannot be read safely.
    """
    place = path_of(path)
    return place.is_dir() or any(name.endswith(BY_POSITION) for name in loading.load_state(place))


def packed(sae: SparseAutoencoder) -> dict[str, torch.Tensor]:
    """Return an autoencoder as named tensors, which :func:`sae_from_state` makes it of again.

    Example:
        >>> import torch
        >>> again = sae_from_state(packed(SparseAutoencoder(4, 8, top_k=3)), clamp=6.0, where="here")
        >>> again.top_k, again.clamp
        (3, None)
    """
    state = cpu_state(sae)
    state[TOP_K] = torch.tensor(sae.top_k or 0)
    state[BY_POSITION] = torch.tensor(sae.by_position)
    return state


def sae_from_state(state: Mapping[str, torch.Tensor], *, clamp: float | None, where: str) -> SparseAutoencoder:
    """Return the autoencoder of a state dict (``encoder.*``, ``decoder.*``, ``decoder_bias``, ``usage_ema``).

    Args:
        state: The weights, and what :func:`packed` says beside them.
        clamp: Upper bound of activations, where the state dict is of others; one of :func:`packed` has none.
        where: What it is from, for messages.

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
    own = TOP_K in given
    top_k, by_position = int(given.pop(TOP_K, torch.tensor(0))), bool(given.pop(BY_POSITION, torch.tensor(False)))
    sae = SparseAutoencoder(
        width, n_features, clamp=None if own else clamp, top_k=top_k or None, by_position=by_position
    )
    try:
        loading.fit_state(sae, {name: value.float() for name, value in given.items()})
    except CheckpointError as error:
        raise CheckpointError(f"sae {where}: {error}") from None
    return sae.eval()
