"""The ``text_classifier`` option of the ``model`` group: an encoder from a local folder with a linear head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from paribus.models.from_file import check_left_out
from paribus.models.hf import files_of
from paribus.spec import Spec, field, path_of

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class TextClassifier(Spec, kind="model/text_classifier"):
    """A text encoder from a local Hugging Face folder, pooling over tokens, and a linear head.

    The encoder's weights come from the folder, nothing is downloaded; the head is drawn, and trained. With
    ``trained: head`` the encoder stays as it is: training runs it once for every text, and checkpoints hold the head
    alone. Sites: ``encoder....`` and ``head``; short names as ``L3.resid_post``.

    Example:
        >>> TextClassifier(encoder="models/minilm").trained
        'head'
    """

    work: ClassVar[str] = "paribus.models.nets.text_classifier"

    encoder: str = field(file=True, help="Folder with config.json and *.safetensors of the encoder.")
    pooling: str = field(
        "mean", choices=("mean", "first"), help="The mean over tokens that are read, or the first one's vector."
    )
    trained: str = field("head", choices=("head", "all"), help="Whether the encoder stays as it is, or learns too.")
    weights: str | None = field(None, file=True, help="Checkpoint file to start from (.pt, .pth or .safetensors).")
    leave_out: list[str] = field([], help="Modules whose weights are not taken from that file, such as [head].")
    untrained: bool = field(False, science=False, help="Let experiments examine it with a random head.")

    def check(self) -> None:
        """Check that modules are only left out of a file that there is.

        Raises:
            ConfigError: If there is none.
        """
        check_left_out(self.leave_out, self.weights, "TextClassifier")

    def files(self) -> tuple[Path, ...]:
        """Return the encoder's files.

        Raises:
            CheckpointError: If there are none.
        """
        return files_of(self.encoder, "model.encoder")

    def input_files(self) -> Mapping[str, Path]:
        """Return the files by name: their content is part of what a run is."""
        own = {} if self.weights is None else {"weights": path_of(self.weights)}
        return {**{f"encoder/{file.name}": file for file in self.files()}, **own}

    def build(self, *, n_tokens: int, n_classes: int, generator: torch.Generator) -> nn.Module:
        """Return the network: the head drawn from ``generator``, or all that ``weights`` holds.

        Args:
            n_tokens: How many tokens the data use: the encoder must know as many.
            n_classes: How many classes there are.
            generator: Draws the head.

        Raises:
            CheckpointError: If a file or package is missing, or does not fit.
            ConfigError: If the encoder knows fewer tokens, or gives no vectors.
        """
        made: nn.Module = self.work_module().build(self, n_tokens, n_classes, generator)
        return made
