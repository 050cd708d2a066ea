"""The spec of a sparse autoencoder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.spec import Spec, field, path_of

if TYPE_CHECKING:
    import torch

    from paribus.models.nets.sae import SparseAutoencoder

LENS_WEIGHTS = "sae_weights.safetensors"
LENS_CONFIG = "cfg.json"


def sae_files(path: str | Path) -> dict[str, Path]:
    """Return the files that an autoencoder is read from: the state dict, or weights and settings of a folder.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "sae.safetensors"
        >>> place.touch()
        >>> [file.name for file in sae_files(place).values()]
        ['sae.safetensors']
    """
    place = path_of(path)
    if not place.is_dir():
        return {"sae": place}
    return {"sae_weights": place / LENS_WEIGHTS, "sae_settings": place / LENS_CONFIG}


@dataclass(frozen=True)
class SAE(Spec, kind="model/sae"):
    """A sparse autoencoder on the vector before the last layer; without a path its weights are random.

    Example:
        >>> SAE(n_features=64).n_features
        64
    """

    work: ClassVar[str] = "paribus.models.autoencoders"

    path: str | None = field(None, file=sae_files, help="State dict (.pt, .pth, .safetensors) or a SAELens folder.")
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
        made: SparseAutoencoder = self.work_module().build(self, width, generator)
        return made

    def fingerprint(self) -> str:
        """Return how a SAELens folder is read, where that is not as it always was."""
        return read_anew(self.path, several=False)


def read_anew(path: str | Path | None, *, several: bool | None) -> str:
    """Return which parts of a SAELens folder are read differently than in older versions; empty if none.

    Older versions encoded the mean over positions, ignored the folder's hook, and ignored settings that rescale inputs
    or activations. Their runs must not be reused for a request of today.

    Args:
        path: A state dict or a folder; None: nothing is read.
        several: Whether the place may have several positions, which only the loaded network tells; None: where the
            folder itself names the place.
    """
    config = None if path is None else _settings(path_of(path) / LENS_CONFIG)
    if config is None:
        return ""
    metadata = config.get("metadata")
    about = {**config, **metadata} if isinstance(metadata, dict) else config
    if several is None:
        several = bool(about.get("hook_name") or about.get("hook_point"))
    sized = config.get("normalize_activations") not in (None, False, "none")
    functions = [config.get(name) for name in ("architecture", "activation_fn", "activation_fn_str")]
    rescaled = config.get("rescale_acts_by_decoder_norm") is True and "topk" in functions
    scaled = rescaled or config.get("finetuning_scaling_factor") is True
    hidden = config.get("activation_fn", "") is None and functions[2] == "topk"
    null = hidden or config.get("apply_b_dec_to_input", True) is None
    found = {"positions": several, "inputs": sized, "activations": scaled, "defaults": null}
    return "+".join(name for name, is_so in found.items() if is_so)


def _settings(path: Path) -> dict[str, Any] | None:
    """Return the settings of a folder; None where they cannot be read, which loading them says."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
