"""Makes the set transformer that completes builds, and fits checkpoints to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from paribus.errors import CheckpointError
from paribus.models import loading
from paribus.models.autoencoders import sae_from_state
from paribus.subjects.builds.models.nets.set_transformer import SetCompletionNet
from paribus.subjects.builds.models.set_completion import SetCompletion
from paribus.subjects.builds.models.set_model import SetModel


def build(spec: SetCompletion, tokens: Sequence[str], specials: Sequence[str], generator: torch.Generator) -> SetModel:
    """Return the model of a spec; see :meth:`paribus.subjects.builds.models.set_completion.SetCompletion.build`."""
    net = network(spec, len(tokens), len(specials), generator)
    if spec.weights is not None:
        state = loading.load_state(spec.weights)
        check_vocabulary(state, len(tokens), len(specials), spec.weights)
        fit(net, state, spec.weights)
    sae = None if spec.sae is None else spec.sae.build(spec.hidden, generator)
    return SetModel(net.eval(), sae, name=spec.weights or "set_completion")


def network(spec: SetCompletion, n_tokens: int, n_weapons: int, generator: torch.Generator) -> SetCompletionNet:
    """Return the network with starting weights drawn from ``generator``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(1 << 62, (), generator=generator)))
        return SetCompletionNet(
            n_tokens=n_tokens,
            n_weapons=n_weapons,
            embedding=spec.embedding,
            hidden=spec.hidden,
            n_layers=spec.n_layers,
            n_heads=spec.n_heads,
            n_inducing=spec.n_inducing,
            use_layer_norm=spec.use_layer_norm,
        )


def restore(
    spec: SetCompletion, published: Mapping[str, Any], tokens: Sequence[str], specials: Sequence[str], name: str
) -> SetModel:
    """Return the model that a training run published; see ``SetCompletion.restore``."""
    if not isinstance(published.get("model"), Mapping):
        raise CheckpointError(f"{name}: holds no weights of a set model")
    check_vocabulary(published["model"], len(tokens), len(specials), name)
    net = network(spec, len(tokens), len(specials), torch.Generator().manual_seed(0))
    fit(net, published["model"], name)
    sae = None
    if published.get("sae"):
        sae = sae_from_state(published["sae"], clamp=published.get("sae_clamp"), where=name)
    elif spec.sae is not None:
        sae = spec.sae.build(spec.hidden, torch.Generator().manual_seed(0))
    return SetModel(net.eval(), sae, name=name)


def check_vocabulary(state: Mapping[str, torch.Tensor], n_tokens: int, n_weapons: int, where: str) -> None:
    """Check that a checkpoint's embeddings have as many rows as there are tokens and weapons.

    Raises:
        CheckpointError: If they have not.
    """
    for key, size, what in (
        ("ability_embedding.weight", n_tokens, "vocabulary"),
        ("weapon_embedding.weight", n_weapons, "weapon vocabulary"),
    ):
        table = next((value for name, value in state.items() if name.endswith(key)), None)
        if table is not None and table.shape[0] != size:
            raise CheckpointError(
                f"checkpoint {where}: {key} has {table.shape[0]} rows, but the {what} has {size}; "
                "they do not belong together"
            )


def plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights without the prefixes of wrappers in their names."""
    return {name.removeprefix("module.").removeprefix("model."): value for name, value in state.items()}


def fit(net: SetCompletionNet, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Load weights into the network.

    Raises:
        CheckpointError: If names or shapes differ.
    """
    wanted = net.state_dict()
    shaped = {}
    for name, value in plain(state).items():
        known = wanted.get(name)
        same = known is not None and known.ndim == value.ndim + 1 and known.shape[0] == 1
        shaped[name] = value.unsqueeze(0) if same else value  # inducing points without their leading axis
    try:
        loading.fit_state(net, shaped)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from None
