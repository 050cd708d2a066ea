"""The ``hf`` option of the ``model`` group: a language model or encoder from a local folder or GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import CheckpointError
from paribus.spec import Spec, field

if TYPE_CHECKING:
    import torch
    from torch import nn

CONFIG = "config.json"
WEIGHTS = ("*.safetensors",)


@dataclass(frozen=True)
class HF(Spec, kind="model/hf"):
    """A transformer from a local Hugging Face folder (``config.json`` and safetensors) or from a GGUF file.

    Nothing is downloaded and no code of the folder is run. Needs the extra ``text`` (transformers, gguf). Places have
    the names of its modules, and short ones: ``L18H6``, ``L18.mlp``, ``L18.resid_post``, ``L*.heads``.

    Example:
        >>> HF(path="models/gpt2").family
        'causal'
    """

    work: ClassVar[str] = "paribus.models.nets.hf"

    path: str = field(file=True, help="Folder with config.json and *.safetensors, or a .gguf file.")
    family: str = field(
        "causal", choices=("causal", "encoder"), help="A causal language model, or an encoder that gives vectors."
    )

    def files(self) -> tuple[Path, ...]:
        """Return the files that are read.

        Raises:
            CheckpointError: If there are none at the path.
        """
        return files_of(self.path, "model.path")

    def input_files(self) -> Mapping[str, Path]:
        """Return the files by name: their content is part of what a run is."""
        return {file.name: file for file in self.files()}

    def build(self, *, n_tokens: int, generator: torch.Generator) -> nn.Module:
        """Return the network in float32 and evaluation mode.

        Args:
            n_tokens: How many tokens the data use: the network must know as many.
            generator: Is not used; the files hold all weights.

        Raises:
            CheckpointError: If a file or a package is missing, or weights are missing in the files.
            ConfigError: If the network knows fewer tokens than the data use.
        """
        made: nn.Module = self.work_module().build(self, n_tokens)
        return made


def files_of(path: str, field: str) -> tuple[Path, ...]:
    """Return the files of a model: ``config.json`` and the weights of a folder, or a GGUF file.

    Args:
        path: The folder or file.
        field: Which option names it, for messages.

    Raises:
        CheckpointError: If there are none.

    Example:
        >>> try:
        ...     files_of("nowhere", "model.path")
        ... except CheckpointError as error:
        ...     print(str(error)[:69])
        model.path=nowhere: needs a folder with config.json and *.safetensors
    """
    place = Path(path).expanduser()
    if place.suffix == ".gguf" and place.is_file():
        return (place,)
    found = tuple(sorted(each for pattern in WEIGHTS for each in place.glob(pattern))) if place.is_dir() else ()
    if not found or not (place / CONFIG).is_file():
        raise CheckpointError(
            f"{field}={path}: needs a folder with {CONFIG} and *.safetensors, or a .gguf file; nothing is downloaded"
        )
    return (place / CONFIG, *found)
