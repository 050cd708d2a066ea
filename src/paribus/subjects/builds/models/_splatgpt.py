"""Makes a model of the sizes that a published checkpoint has, and loads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from paribus.errors import CheckpointError
from paribus.models import loading
from paribus.models.autoencoders import load_sae
from paribus.subjects.builds.models._set_completion import check_vocabulary, fit, plain
from paribus.subjects.builds.models.nets.set_transformer import SetCompletionNet
from paribus.subjects.builds.models.set_model import SetModel
from paribus.subjects.builds.models.splatgpt import SplatGPT

HEADS_AT_512 = 8
HEAD_NAMES = ("num_heads", "n_heads", "nhead", "heads")


def build(spec: SplatGPT, tokens: Sequence[str], specials: Sequence[str]) -> SetModel:
    """Return the model of a folder; see :meth:`paribus.subjects.builds.models.splatgpt.SplatGPT.build`."""
    where = str(spec.model_file())
    state = plain(loading.load_state(where))
    check_vocabulary(state, len(tokens), len(specials), where)
    net = SetCompletionNet(**sizes(state, where), n_heads=_heads(spec, state, where))
    fit(net, state, where)
    file = spec.sae_file()
    sae = None if file is None else load_sae(file, clamp=spec.clamp)
    if sae is not None and sae.width != net.output_layer.in_features:
        raise CheckpointError(
            f"sae {file}: reads vectors of {sae.width}, the model gives {net.output_layer.in_features}"
        )
    return SetModel(net.eval(), sae, name=f"splatgpt {spec.variant}")


def _heads(spec: SplatGPT, state: Mapping[str, torch.Tensor], where: str) -> int:
    hidden = state["output_layer.weight"].shape[1]
    stated = next((v for k, v in _params(spec).items() if k in HEAD_NAMES and isinstance(v, int)), None)
    heads = spec.n_heads or stated or (HEADS_AT_512 if hidden == 512 else None)
    if heads is None:
        raise CheckpointError(f"{where}: the number of attention heads cannot be read off; give model.n_heads")
    if heads < 1 or hidden % heads:
        raise CheckpointError(f"{where}: {heads} heads do not divide the width {hidden}")
    return int(heads)


def _params(spec: SplatGPT) -> Mapping[str, Any]:
    """Read ``model_params.json``, which may be missing or empty."""
    path = spec.params_file()
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
