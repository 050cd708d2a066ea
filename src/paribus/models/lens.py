"""SAELens folders: settings and weights are read, checked by their header before memory is allocated, and converted.

The forms of SAELens (https://github.com/decoderesearch/SAELens) that read and write one place: ``standard``,
``jumprelu``, ``topk`` and ``gated``. A gated one is a JumpReLU one with thresholds of its own (Rajamanoharan et al.,
arXiv 2404.16014, section 3): its gate ``w . x + b_gate > 0`` is ``z > b_mag - exp(r_mag) b_gate``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from paribus.engine.normalised import KINDS as NORMALISATIONS
from paribus.errors import CheckpointError, nearest, size_of
from paribus.models import loading
from paribus.models.nets.sae import SparseAutoencoder
from paribus.models.sae import LENS_CONFIG, LENS_WEIGHTS

ARCHITECTURES = ("standard", "jumprelu", "topk", "gated")
BETWEEN_PLACES = ("transcoder", "crosscoder", "clt")
"""Parts of the names of those that read one place and write another."""
AVERAGE = "expected_average_only_in"
FOR_ALL = ("W_enc", "W_dec", "b_dec")
SCALES = ("finetuning_scaling_factor", "scaling_factor")


@dataclass(frozen=True)
class LensSettings:
    """What a folder says of its autoencoder.

    Attributes:
        folder: The folder.
        architecture: One of ``standard``, ``jumprelu``, ``topk``, ``gated``.
        top_k: How many features stay active; None: all.
        center_input: Whether the decoder's bias is taken off the input.
        normalise: How inputs are normalised.
        rescaled: Whether activations are in units of their decoder column's length (top-k).
        finetuned: Whether activations are scaled once more before they are decoded.
        hook: Name of the place that it reads, as transformer_lens or the network has it; empty where it is not said.
        head: Number of the only attention head that it reads; None: all.
        stated: Width and number of features, where the folder says them.
    """

    folder: Path
    architecture: str
    top_k: int | None
    center_input: bool
    normalise: str
    rescaled: bool
    finetuned: bool
    hook: str
    head: int | None
    stated: tuple[int | None, int | None]


def read_settings(folder: Path) -> LensSettings:
    """Return what the settings of a folder say.

    Raises:
        CheckpointError: If they are missing, damaged, or say something that cannot be honoured.
    """
    config = _config(folder / LENS_CONFIG)
    metadata = config.get("metadata")
    about = {**config, **(metadata if isinstance(metadata, dict) else {})}
    architecture = _architecture(config, folder)
    top_k = _top_k(config, folder, architecture)
    head = "hook_head_index" if "hook_head_index" in about else "hook_point_head_index"
    settings = LensSettings(
        folder=folder,
        architecture="topk" if top_k is not None else architecture,
        top_k=top_k,
        center_input=_flag(config, "apply_b_dec_to_input", True, folder),
        normalise=_normalisation(config, folder),
        rescaled=top_k is not None and _flag(config, "rescale_acts_by_decoder_norm", False, folder),
        finetuned=_flag(config, "finetuning_scaling_factor", False, folder),
        hook=str(about.get("hook_name") or about.get("hook_point") or ""),
        head=_number(about, head, folder, least=0),
        stated=(_number(config, "d_in", folder), _number(config, "d_sae", folder)),
    )
    if settings.head is not None and settings.normalise != "none":
        raise CheckpointError(
            f"sae {folder}: reads head {settings.head} with normalize_activations={settings.normalise}; that cannot be "
            "read beside the other heads"
        )
    return settings


def load_lens(folder: Path, *, width: int | None = None) -> SparseAutoencoder:
    """Read the autoencoder of a folder.

    Args:
        folder: Holds ``cfg.json`` and ``sae_weights.safetensors``.
        width: Channels of the place that it is for; one of a single head is widened to all of them. None: its own.

    Raises:
        CheckpointError: If something is missing, damaged, too large, or of a kind that is not known.
    """
    settings = read_settings(folder)
    file = folder / LENS_WEIGHTS
    _check_header(file, settings)
    state = {name: value.float() for name, value in loading.load_state(file).items()}
    encoder, bias, decoder, threshold = _parts(state, settings)
    centre = state["b_dec"]
    if settings.head is not None and width is not None and width != len(centre):
        encoder, decoder, centre = _widened(settings, width, encoder, decoder, centre)
    n_features, own_width = encoder.shape
    sae = SparseAutoencoder(
        own_width,
        n_features,
        threshold=threshold,
        top_k=settings.top_k,
        center_input=settings.center_input,
        unit_norm=False,
        normalise=settings.normalise,
        by_position=True,  # SAELens trains on single tokens
    )
    return sae.fill(encoder, decoder, bias, centre).eval()


def _parts(state: Mapping[str, Tensor], settings: LensSettings) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return encoder rows ``[F, d]``, biases ``[F]``, decoder rows ``[F, d]`` and thresholds ``[F]``."""
    encoder, decoder, threshold = state["W_enc"].T, state["W_dec"], None
    if settings.architecture == "gated":
        size = state["r_mag"].exp()
        encoder, bias = encoder * size[:, None], state["b_mag"]
        threshold = bias - size * state["b_gate"]
    else:
        bias = state["b_enc"]
        threshold = state["threshold"] if settings.architecture == "jumprelu" else None
    if settings.rescaled:  # activations count in units of what they add to the reconstruction
        norms = decoder.norm(dim=1)
        encoder, bias, decoder = encoder * norms[:, None], bias * norms, decoder / norms.clamp_min(1e-30)[:, None]
    scale = next((state[name] for name in SCALES if name in state), None)
    if scale is not None and not torch.allclose(scale, torch.ones_like(scale)):
        if not settings.finetuned:
            raise CheckpointError(
                f"sae {settings.folder}: holds factors of its activations ({', '.join(SCALES)}), and {LENS_CONFIG} "
                "does not say finetuning_scaling_factor=true"
            )
        decoder = decoder * scale[:, None]
    return encoder, bias, decoder, threshold


def _widened(
    settings: LensSettings, width: int, encoder: Tensor, decoder: Tensor, centre: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows and centre of one head as those of all channels, 0 outside it."""
    size, head = len(centre), settings.head or 0
    if width % size or head >= width // size:
        raise CheckpointError(
            f"sae {settings.folder}: reads head {head} of {size} channels; the place has {width} channels, which are "
            f"{width / size:g} such heads"
        )
    inside = slice(head * size, (head + 1) * size)
    wide = [one.new_zeros(*one.shape[:-1], width) for one in (encoder, decoder, centre)]
    for one, part in zip(wide, (encoder, decoder, centre), strict=True):
        one[..., inside] = part
    return wide[0], wide[1], wide[2]


# Settings -------------------------------------------------------------------------------------------------------------


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


def _architecture(config: Mapping[str, Any], folder: Path) -> str:
    found = str(config.get("architecture") or "standard")
    if any(part in found for part in BETWEEN_PLACES):
        raise CheckpointError(
            f"sae {folder}: architecture {found!r} reads one place and writes another; valid: "
            f"{', '.join(ARCHITECTURES)}"
        )
    if found not in ARCHITECTURES:
        raise CheckpointError(f"sae {folder}: architecture {found!r} is not known; valid: {', '.join(ARCHITECTURES)}")
    return found


def _top_k(config: Mapping[str, Any], folder: Path, architecture: str) -> int | None:
    """Return how many features stay active; None for all."""
    function = str(config.get("activation_fn") or config.get("activation_fn_str") or "relu")
    if function not in ("relu", "topk"):
        raise CheckpointError(f"sae {folder}: activation function {function!r} is not known; valid: relu, topk")
    if architecture != "topk" and function != "topk":
        return None
    if architecture not in ("topk", "standard"):
        raise CheckpointError(f"sae {folder}: architecture {architecture!r} with activation function 'topk'")
    arguments = config.get("activation_fn_kwargs")
    k = config.get("k", arguments.get("k") if isinstance(arguments, dict) else None)
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise CheckpointError(f"sae {folder}: a top-k autoencoder whose {LENS_CONFIG} gives no k")
    return k


def _normalisation(config: Mapping[str, Any], folder: Path) -> str:
    """Return how inputs are normalised; older folders say true or false."""
    found = config.get("normalize_activations", "none")
    if isinstance(found, bool):
        found = AVERAGE if found else "none"
    if found is None:
        found = "none"
    if found == AVERAGE:
        raise CheckpointError(
            f"sae {folder}: normalize_activations={AVERAGE} needs a factor that the folder does not hold; fold it into "
            "the weights (SAELens: fold_activation_norm_scaling_factor) and save it again"
        )
    if found not in NORMALISATIONS:
        raise CheckpointError(
            f"sae {folder}: normalize_activations={found!r} is not known; {nearest(str(found), NORMALISATIONS)}"
        )
    return str(found)


def _flag(config: Mapping[str, Any], name: str, default: bool, folder: Path) -> bool:
    found = config.get(name, default)
    if found is None:
        return default
    if not isinstance(found, bool):
        raise CheckpointError(f"sae {folder}: {LENS_CONFIG} says {name}={found!r}; expected true or false")
    return found


def _number(config: Mapping[str, Any], name: str, folder: Path, least: int = 1) -> int | None:
    found = config.get(name)
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool) or found < least:
        raise CheckpointError(
            f"sae {folder}: {LENS_CONFIG} says {name}={found!r}; expected a whole number from {least}"
        )
    return found


# Sizes ----------------------------------------------------------------------------------------------------------------


def _check_header(file: Path, settings: LensSettings) -> None:
    """Compare shapes and size with each other, the settings and the machine, from the header alone.

    Raises:
        CheckpointError: If a weight is missing or of another shape, or the whole takes more than half of the memory.
    """
    shapes = _shapes(file)
    further = {"gated": ("b_gate", "b_mag", "r_mag")}.get(settings.architecture, ("b_enc",))
    missing = sorted({*FOR_ALL, *further} - set(shapes))
    if missing:
        raise CheckpointError(f"sae {settings.folder}: {file.name} lacks {', '.join(missing)}")
    if settings.architecture == "jumprelu" and "threshold" not in shapes:
        raise CheckpointError(f"sae {settings.folder}: a JumpReLU autoencoder without threshold")
    if len(shapes["W_enc"]) != 2:
        raise CheckpointError(f"sae {settings.folder}: W_enc is {shapes['W_enc']}, expected [width, features]")
    width, n_features = shapes["W_enc"]
    wanted = {"W_dec": (n_features, width), "b_dec": (width,)}
    wanted |= dict.fromkeys(("b_enc", "b_gate", "b_mag", "r_mag", "threshold", *SCALES), (n_features,))
    for name, shape in wanted.items():
        if name in shapes and shapes[name] != shape:
            raise CheckpointError(f"sae {settings.folder}: {name} is {shapes[name]}, expected {shape}")
    for name, said, there in zip(("d_in", "d_sae"), settings.stated, (width, n_features), strict=True):
        if said is not None and said != there:
            raise CheckpointError(f"sae {settings.folder}: {LENS_CONFIG} says {name}={said}, the weights have {there}")
    if settings.top_k is not None and settings.top_k > n_features:
        raise CheckpointError(f"sae {settings.folder}: keeps {settings.top_k} of {n_features} features")
    size, memory = 4 * sum(map(math.prod, shapes.values())), _memory()
    if 2 * size > memory:  # as it is read, and once more as the network's own
        raise CheckpointError(
            f"sae {settings.folder}: {n_features} features of {width} take {size_of(2 * size)} while they are "
            f"read; this machine has {size_of(memory)}"
        )


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights in a file, without reading them."""
    if not file.is_file():
        raise CheckpointError(f"sae: no file {file}")
    try:
        with safe_open(file, framework="pt") as weights:
            return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint {file}: damaged ({str(error).splitlines()[0][:160]})") from None


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
