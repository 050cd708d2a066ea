"""The effect of a latent's decoder column on the output: its weights, and the latent set to other values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from paribus.arrays import Bools, Floats, Ints, Singles
from paribus.engine.hooks import visiting
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.experiments.builds.setup import BuildSetup
from paribus.subjects.builds.models.set_model import SAE_SITE
from paribus.subjects.builds.states import States

FEATURES_AT_ONCE = 4096


@dataclass(frozen=True)
class Weights:
    """The decoder columns seen from the output, for the ability tokens in canonical order.

    Attributes:
        raw: Change of each token's logit per unit of the latent ``[T]`` (unit-norm column).
        centred: The same without its mean over the tokens ``[T]``.
        others: ``centred`` of every other latent ``[F - 1, T]``: the null.
        cosine: Cosine between the decoder column and the encoder row.
        other_cosines: The same of every other latent ``[F - 1]``.
        norm: Length of the column as the autoencoder uses it.
    """

    raw: Floats
    centred: Floats
    others: Floats
    cosine: float
    other_cosines: Floats
    norm: float


@dataclass(frozen=True)
class SetTo:
    """One value the latent was set to in every context.

    Attributes:
        name: ``zero``, ``mean`` or ``max``.
        value: The value.
        measured: Change of every token's logit in every context ``[n, T]``, from a forward pass with the edit.
        predicted: The same from the weights.
        parity: Largest difference between the two.
        f_after: The latent read again behind the edit ``[n]``.
        z_after: Its pre-activation there.
    """

    name: str
    value: float
    measured: Floats
    predicted: Floats
    parity: float
    f_after: Floats
    z_after: Floats


@dataclass(frozen=True)
class Base:
    """The contexts before anything is set: vectors, logits of the ability tokens, and the latent."""

    states: States
    x: Singles
    logits: Floats
    f: Floats
    z: Floats


class Decoder:
    """The latent under study, its autoencoder, and the weights that make logits of the ability tokens.

    Attributes:
        sae: The autoencoder.
        latent: Number of the latent.
        out: Output weights of the ability tokens in canonical order ``[T, d]``.
    """

    def __init__(self, setup: BuildSetup) -> None:
        """Look the latent up.

        Raises:
            ConfigError: If the feature is no latent of the model's autoencoder, or what a unit of it adds depends on
                the context.
        """
        if setup.reader.latent is None:
            raise ConfigError(
                f"decoder_output_analysis reads the decoder column of a latent, and {setup.reader.name} is none; "
                "use feature=latent feature.id=N"
            )
        self.sae, self.latent = setup.model.require_sae(), setup.reader.latent
        if self.sae.normalise != "none":
            raise ConfigError(
                "decoder_output_analysis predicts from the weights alone, and this autoencoder brings inputs to a "
                f"common size ({self.sae.normalise}), so that what a unit of a latent adds differs by context; use "
                "experiment=latent_intervention"
            )
        weight = setup.model.network.get_submodule("output_layer").get_parameter("weight").detach()
        self.out = weight.double()[torch.as_tensor(setup.vocabulary.ability_ids)].cpu()

    @torch.inference_mode()
    def weights(self) -> Weights:
        """Return what the weights say, for the latent and for all others."""
        sae, latent = self.sae, self.latent
        directions = sae.directions().double().cpu()
        rows = torch.nn.functional.normalize(sae.encoder.weight.double().cpu(), dim=-1)
        cosines = (directions * rows).sum(-1).numpy()
        raw = torch.cat([some @ self.out.T for some in torch.split(directions, FEATURES_AT_ONCE)]).numpy()
        centred = raw - raw.mean(1, keepdims=True)
        return Weights(
            raw=raw[latent],
            centred=centred[latent],
            others=np.delete(centred, latent, axis=0),
            cosine=float(cosines[latent]),
            other_cosines=np.delete(cosines, latent),
            norm=1.0 if sae.unit_norm else float(sae.decoder.weight[:, latent].norm()),
        )

    @torch.inference_mode()
    def encoded(self, x: Singles, rows: Ints | None = None) -> tuple[Floats, Floats]:
        """Return f and z ``[n, rows]`` of vectors at the site ``[n, d]``; of the latent under study by default."""
        weight = self.sae.encoder.weight
        wanted = torch.as_tensor(np.array([self.latent]) if rows is None else rows, device=weight.device)
        f, z = self.sae.encode(torch.as_tensor(x, dtype=weight.dtype, device=weight.device), wanted)
        return f.double().cpu().numpy(), z.double().cpu().numpy()

    @torch.inference_mode()
    def effects(self, rows: Ints) -> Floats:
        """Return what one unit of latents ``rows`` adds to the logits ``[T, rows]``."""
        columns = self.sae.columns()[torch.as_tensor(rows)].double().cpu()
        effects: Floats = (self.out @ columns.T).numpy()
        return effects


def base_of(setup: BuildSetup, decoder: Decoder, states: States) -> Base:
    """Run the model on states ``[n]`` as they are."""
    x, logits = setup.vectors(states)
    f, z = decoder.encoded(x)
    return Base(states, x, logits[:, setup.vocabulary.ability_ids].astype("float64"), f[:, 0], z[:, 0])


def set_latent(setup: BuildSetup, decoder: Decoder, base: Base, name: str, value: float) -> SetTo:
    """Set the latent in every context and run the model again, with everything the autoencoder misses kept.

    The edit is ``x' = x + (value - f(x)) d``: only the latent's own part is exchanged, the error term stays in ``x``.
    It is made in a forward pass of the whole network, and held against ``(value - f) W_out d``.
    """
    with torch.inference_mode():
        column = decoder.sae.columns()[decoder.latent]
    chosen = torch.tensor([decoder.latent], device=column.device)

    def edit(x: torch.Tensor) -> torch.Tensor:
        f, _ = decoder.sae.encode(x.to(column.dtype), chosen)
        return x + ((value - f) * column).to(x.dtype)

    with visiting(setup.model.network, Site.parse(SAE_SITE), edit):
        _, logits = setup.vectors(base.states)
    measured = logits[:, setup.vocabulary.ability_ids].astype(np.float64) - base.logits
    predicted = np.outer(value - base.f, decoder.effects(chosen.cpu().numpy()))
    moved = base.x + np.outer(value - base.f, column.double().cpu().numpy()).astype(np.float32)
    f_after, z_after = decoder.encoded(moved.astype(np.float32))
    parity = float(np.abs(measured - predicted).max(initial=0.0))
    return SetTo(name, value, measured, predicted, parity, f_after[:, 0], z_after[:, 0])


def null_changes(setup: BuildSetup, decoder: Decoder, base: Base, name: str) -> Floats:
    """Return the mean logit change ``[T, n_null]`` of like latents set to their own zero, mean or maximum."""
    rows = setup.nulls.rows
    if not len(rows):
        return np.zeros((base.logits.shape[1], 0))
    f, _ = decoder.encoded(base.x, rows)
    value = {"zero": np.zeros(len(rows)), "mean": f.mean(0), "max": f.max(0)}[name]
    return np.asarray(decoder.effects(rows) * (value - f.mean(0)))


def top_tokens(logits: Floats, k: int) -> Bools:
    """Return which tokens are among the ``k`` of the highest logits in each context, ``[n, T]``."""
    chosen = np.zeros(logits.shape, bool)
    order = np.argsort(-logits, axis=1, kind="stable")[:, : min(k, logits.shape[1])]
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen
