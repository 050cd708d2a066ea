"""Every latent of an autoencoder at a glance, and which of them to look at closely."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from paribus.arrays import Floats, Ints
from paribus.engine.normalised import normalised
from paribus.experiments.builds.setup import BuildSetup
from paribus.subjects.builds.families import Family
from paribus.subjects.builds.states import States

LATENTS_AT_ONCE = 1024
WEAPON = "weapon"


def latents_of(setup: BuildSetup, states: States, rows: Ints) -> Floats:
    """Return f of latents ``rows`` in states ``[n]`` as they are, ``[n, rows]`` (one forward pass for all of them)."""
    sae = setup.model.require_sae()
    vectors = torch.from_numpy(setup.vectors(states)[0])
    weight = sae.encoder.weight
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), LATENTS_AT_ONCE):
            wanted = torch.tensor(rows[start : start + LATENTS_AT_ONCE], device=weight.device)
            f, _ = sae.encode(vectors.to(weight), wanted)
            parts.append(f.double().cpu().numpy())
    return np.concatenate(parts, axis=1)


def factors(setup: BuildSetup, states: States) -> tuple[list[str], Ints]:
    """Return the names of the families and the weapon, and the group of every context in each ``[factors, n]``."""
    families = setup.vocabulary.families()
    rungs = [setup.edits.highest_rung(states, family) for family in families]
    weapon = setup.contexts.weapon
    return [*(family.name for family in families), WEAPON], np.stack([*rungs, weapon]).astype(np.int64)


def as_written(setup: BuildSetup, states: States, f: Floats) -> Floats:
    """Return what each latent adds along its decoder column ``[n, F]``, of activations ``f`` in states ``[n]``.

    Where inputs are normalised, outputs get each input's size back, and so does what a latent adds.
    """
    kind = setup.model.require_sae().normalise
    if kind == "none":
        return f
    scale = normalised(torch.from_numpy(setup.vectors(states)[0]), kind).scale
    assert scale is not None
    return np.asarray(f * scale.double().numpy())


def logit_effects(setup: BuildSetup, sd: Floats) -> Floats:
    """Return how far one sd of what each latent adds moves the logits of the ability tokens, rms once centred."""
    sae = setup.model.require_sae()
    with torch.inference_mode():
        layer = setup.model.network.get_submodule("output_layer")
        out = layer.get_parameter("weight").double().cpu()[setup.vocabulary.ability_ids]
        column = sae.columns().double().cpu() @ (out - out.mean(0)).T
    effects: Floats = np.asarray(column.square().mean(1).sqrt().numpy() * sd)
    return effects


def screen(setup: BuildSetup, states: States, latents: Ints, rung: int | None) -> pd.DataFrame:
    """Return the mean effect of every family on some latents: set to a rung, minus absent, in the same contexts.

    Args:
        setup: The model and its edits.
        states: Contexts ``[n]``.
        latents: Which latents.
        rung: AP that stacking families are set to; None: every rung, of which that with the largest effect counts,
            contexts in which it is not legal counting as unmoved.

    Returns:
        One row per latent and family: latent, family, rung, mean_delta (in the contexts in which it is legal), n.
    """
    families, rows = setup.vocabulary.families(), []
    for order, family in enumerate(families):
        levels = _levels(setup, family, rung)
        edited = setup.enforce(setup.edits.sweep(states, family, [None, *levels]))
        f = np.full((*edited.shape, len(latents)), np.nan)
        f[edited.ok] = latents_of(setup, edited[edited.ok], latents)
        delta = f[1:] - f[:1]
        n, total = (~np.isnan(delta)).sum(1), np.nansum(delta, axis=1)
        best = np.abs(total).argmax(0)
        for place, latent in enumerate(latents.tolist()):
            level, known = int(best[place]), int(n[best[place], place])
            mean = float(total[level, place] / known) if known else float("nan")
            rows.append((place, order, latent, family.name, levels[level], mean, known))
    columns = ["latent", "family", "rung", "mean_delta", "n"]
    return pd.DataFrame([row[2:] for row in sorted(rows)], columns=columns)


def _levels(setup: BuildSetup, family: Family, rung: int | None) -> list[int]:
    known = list(setup.edits.levels(family))
    if family.main_only or rung is None:
        return known
    return [setup.vocabulary.nearest_rung(family, rung)]
