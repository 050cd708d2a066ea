"""The ``splatgpt`` option of the ``model`` group: real checkpoints from a folder of artefacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import CheckpointError, ConfigError
from paribus.models.sae import read_anew, sae_files
from paribus.spec import Spec, field, path_of
from paribus.subjects.builds.models.set_model import SetModel

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SplatGPT(Spec, kind="model/splatgpt"):
    """A folder with ``model[_ultra].pth``, ``model_params.json``, vocabularies and ``sae_model[_ultra].pth``.

    Example:
        >>> SplatGPT(path="artefacts", variant="full").clamp
        6.0
    """

    work: ClassVar[str] = "paribus.subjects.builds.models._splatgpt"

    path: str = field(file=True, help="The folder.")
    variant: str = field("ultra", choices=("full", "ultra"), help="Which of the two models.")
    n_heads: int | None = field(None, low=1, help="Attention heads, where neither width nor model_params.json tells.")
    sae: str | None = field(
        None, file=True, help="Autoencoder file or SAELens folder; by default the variant's in the folder."
    )
    clamp: float | None = field(6.0, above=0.0, help="Upper bound of the autoencoder's activations; null for none.")

    def check(self) -> None:
        """Check that a path is given."""
        if not self.path:
            raise ConfigError("SplatGPT.path: give the folder of artefacts")

    def folder(self) -> Path:
        """Return the folder.

        Raises:
            CheckpointError: If it is not there.
        """
        found = path_of(self.path)
        if not found.is_dir():
            raise CheckpointError(f"splatgpt: no folder {found}")
        return found

    def vocabulary_files(self) -> tuple[Path, Path]:
        """Return the files of token and weapon vocabulary; the data must be read in these."""
        return self.folder() / "vocab.json", self.folder() / "weapon_vocab.json"

    def model_file(self) -> Path:
        """Return the file of the weights."""
        return self.folder() / ("model_ultra.pth" if self.variant == "ultra" else "model.pth")

    def sae_file(self) -> Path | None:
        """Return the autoencoder's file, None where the folder has none."""
        if self.sae is not None:
            return path_of(self.sae)
        found = self.folder() / ("sae_model_ultra.pth" if self.variant == "ultra" else "sae_model.pth")
        return found if found.is_file() else None

    def build(
        self, *, tokens: Sequence[str], specials: Sequence[str], generator: torch.Generator | None = None
    ) -> SetModel:
        """Return the model; sizes come from the shapes in the checkpoint.

        Raises:
            CheckpointError: If a file is missing or unsafe, or does not fit the vocabulary.
        """
        made: SetModel = self.work_module().build(self, tokens, specials)
        return made

    def input_files(self) -> Mapping[str, Path]:
        """Return the files of the folder that belong to this variant, and those of the autoencoder.

        Raises:
            CheckpointError: If there is no such folder.
        """
        vocabulary, weapons = self.vocabulary_files()
        found = {"model": self.model_file(), "vocabulary": vocabulary, "weapon_vocabulary": weapons}
        if self.params_file().is_file():
            found["params"] = self.params_file()
        file = self.sae_file()
        return found if file is None else {**found, **sae_files(file)}

    def fingerprint(self) -> str:
        """Return how a SAELens folder is read, where that is not as it always was."""
        return read_anew(self.sae, several=False)

    def params_file(self) -> Path:
        """Return the file of the sizes; it may be missing."""
        return self.folder() / "model_params.json"
