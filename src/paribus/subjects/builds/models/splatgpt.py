"""The ``splatgpt`` option of the ``model`` group: real checkpoints from a folder of artefacts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus.errors import CheckpointError, ConfigError
from paribus.models import loading
from paribus.models.sae import sae_files
from paribus.spec import Spec, field
from paribus.subjects.builds.models.set_completion import check_vocabulary, fit
from paribus.subjects.builds.models.set_model import SetModel

if TYPE_CHECKING:
    import torch

HEADS_AT_512 = 8
HEAD_NAMES = ("num_heads", "n_heads", "nhead", "heads")


@dataclass(frozen=True)
class SplatGPT(Spec, kind="model/splatgpt"):
    """A folder with ``model[_ultra].pth``, ``model_params.json``, vocabularies and ``sae_model[_ultra].pth``."""

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
        found = Path(self.path).expanduser()
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
            return Path(self.sae).expanduser()
        found = self.folder() / ("sae_model_ultra.pth" if self.variant == "ultra" else "sae_model.pth")
        return found if found.is_file() else None

    def build(
        self, *, tokens: Sequence[str], specials: Sequence[str], generator: torch.Generator | None = None
    ) -> SetModel:
        """Return the model; sizes come from the shapes in the checkpoint.

        Raises:
            CheckpointError: If a file is missing or unsafe, or does not fit the vocabulary.
        """
        from paribus.models.sae import load_sae
        from paribus.subjects.builds.models.nets.set_transformer import SetCompletionNet

        where = str(self.model_file())
        state = _plain(loading.load_state(where))
        check_vocabulary(state, len(tokens), len(specials), where)
        net = SetCompletionNet(**sizes(state, where), n_heads=self._heads(state, where))
        fit(net, state, where)
        file = self.sae_file()
        sae = None if file is None else load_sae(file, clamp=self.clamp)
        if sae is not None and sae.width != net.output_layer.in_features:
            raise CheckpointError(
                f"sae {file}: reads vectors of {sae.width}, the model gives {net.output_layer.in_features}"
            )
        return SetModel(net.eval(), sae, name=f"splatgpt {self.variant}")

    def input_files(self) -> Mapping[str, Path]:
        """Return the files of the folder that belong to this variant, and those of the autoencoder.

        Raises:
            CheckpointError: If there is no such folder.
        """
        vocabulary, weapons = self.vocabulary_files()
        found = {"model": self.model_file(), "vocabulary": vocabulary, "weapon_vocabulary": weapons}
        if self._params_file().is_file():
            found["params"] = self._params_file()
        file = self.sae_file()
        return found if file is None else {**found, **sae_files(file)}

    def _params_file(self) -> Path:
        return self.folder() / "model_params.json"

    def _heads(self, state: Mapping[str, torch.Tensor], where: str) -> int:
        hidden = state["output_layer.weight"].shape[1]
        stated = next((v for k, v in self._params().items() if k in HEAD_NAMES and isinstance(v, int)), None)
        heads = self.n_heads or stated or (HEADS_AT_512 if hidden == 512 else None)
        if heads is None:
            raise CheckpointError(f"{where}: the number of attention heads cannot be read off; give model.n_heads")
        if heads < 1 or hidden % heads:
            raise CheckpointError(f"{where}: {heads} heads do not divide the width {hidden}")
        return int(heads)

    def _params(self) -> Mapping[str, Any]:
        """Read ``model_params.json``, which may be missing or empty."""
        path = self._params_file()
        try:
            text = path.read_text(encoding="utf-8").strip()
            content = json.loads(text) if text else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"splatgpt: {path} cannot be read as JSON ({error})") from None
        return content if isinstance(content, dict) else {}


def sizes(state: Mapping[str, torch.Tensor], where: str) -> dict[str, Any]:
    """Return the sizes of a network from the shapes of its weights (all but the number of heads).

    Raises:
        CheckpointError: If the weights are not those of a set completion model.
    """
    first = "transformer_layers.0.set_transformer.enc_layer1"
    needed = ("ability_embedding.weight", "weapon_embedding.weight", "output_layer.weight", f"{first}.inducing_points")
    missing = [name for name in needed if name not in state]
    if missing:
        raise CheckpointError(f"{where}: no set completion model, it lacks {', '.join(missing)}")
    layers = {int(name.split(".")[1]) for name in state if name.startswith("transformer_layers.")}
    return {
        "n_tokens": int(state["ability_embedding.weight"].shape[0]),
        "n_weapons": int(state["weapon_embedding.weight"].shape[0]),
        "embedding": int(state["ability_embedding.weight"].shape[1]),
        "hidden": int(state["output_layer.weight"].shape[1]),
        "n_layers": len(layers),
        "n_inducing": int(state[f"{first}.inducing_points"].shape[-2]),
        "use_layer_norm": f"{first}.mab1.layer_norm1.weight" in state,
        "outer_norm": "transformer_layers.0.layer_norm1.weight" in state,
    }


def _plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take the prefixes of wrappers off."""
    return {name.removeprefix("module.").removeprefix("model."): value for name, value in state.items()}
