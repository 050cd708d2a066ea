"""The work of matching latents."""

from __future__ import annotations

from typing import Any

import pandas as pd

from paribus.errors import ConfigError, size_of
from paribus.experiments.any._session import refuse_several, rows_to_choose_on
from paribus.experiments.any.match_features.sides import Side, same_place, sides_of, vectors_of
from paribus.experiments.any.match_features.spec import ACTIVATION, WAYS, MatchFeatures
from paribus.experiments.any.match_features.tables import (
    MATCHED,
    MATCHES,
    RANKED,
    draw,
    matches_of,
    ranked_of,
    total_of,
)
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.features.matching import LatentMatches, match_latents
from paribus.models.state import state_digest
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Table

MOST_BYTES = 2 << 30
"""Bytes of activations that are held at once: of the first, the second and a random autoencoder."""


def validate(experiment: MatchFeatures, setup: NetworkSetup) -> None:
    """Look up both autoencoders and the split, and count what is held in memory.

    Raises:
        ConfigError: If no second one is named, one does not exist, or too much memory would be taken.
    """
    if experiment.other_run is None and experiment.other_path is None:
        raise ConfigError(
            "match_features: name the second autoencoder: experiment.other_run=RUN (one that a run trained, or the "
            "model of a run), or experiment.other_path=FILE (one that reads the same network, or other_model)"
        )
    refuse_several(setup, "two networks are matched")
    rows, _ = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    first, second = sides_of(experiment, setup, read=False)
    _shared(experiment, first, second)
    _refuse_large(experiment, first, second, len(rows))


def run(experiment: MatchFeatures, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Match; hand over ``matches``, ``matched`` and ``ranked``, and their figures."""
    for note in setup.notes:
        recorder.warn(note)
    rows, said = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    recorder.diagnose(n_contexts_tested=len(rows))
    first, second = sides_of(experiment, setup, read=True)
    same_channels = _shared(experiment, first, second)
    if experiment.decoder == "auto" and not same_channels:
        recorder.warn(
            "Decoder directions are not compared: the two do not read the same place of the same weights, so that "
            "channels need not mean the same (experiment.decoder=always compares anyway)."
        )
    level = 1 - setup.stats.confidence
    if (experiment.n_random + 1) * level < 1:
        recorder.warn(
            f"Nothing can be established at {level:g} with {experiment.n_random} random autoencoders; take more "
            "(experiment.n_random)."
        )
    beside = same_place(first, second)
    if beside and state_digest(first.sae.state_dict()) == state_digest(second.sae.state_dict()):
        recorder.warn("Both are one autoencoder, read at one place: each latent is its own partner by construction.")
    vectors = vectors_of(experiment, first, rows)
    others = vectors if beside else vectors_of(experiment, second, rows)
    found = match_latents(
        first.sae,
        second.sae,
        vectors,
        other_vectors=others,
        generator=setup.torch_rng("match_features"),
        n_random=experiment.n_random,
        same_channels=same_channels,
        least=experiment.least_fired,
    )
    if not len(found.latent) or not found.n_others:
        raise ConfigError(
            f"match_features: {len(found.latent)} latents of the first and {found.n_others} of the second fire on at "
            f"least {experiment.least_fired} of {len(vectors)} vectors; take more contexts (experiment.n_contexts), or "
            "lower experiment.least_fired"
        )
    ways = [way for way in WAYS if way == ACTIVATION or same_channels]
    where = f"{first.label} and {second.label}, {len(vectors)} vectors of {len(rows)} contexts of {said}"
    by = _hand_over(recorder, found, ways, first, second, level=level, where=where)
    return Aggregates(
        n_samples=len(rows),
        n_conditions=len(found.latent),
        custom={
            "first": first.label,
            "second": second.label,
            "split": said,
            "n_vectors": len(vectors),
            "n_features": len(found.latent),
            "n_features_other": found.n_others,
            "n_seldom": first.sae.n_features - len(found.latent),
            "n_seldom_other": second.sae.n_features - found.n_others,
            "least_fired": experiment.least_fired,
            "n_established": by[ACTIVATION]["n_established"],
            "by_decoder": same_channels,
            "n_agree": by[ACTIVATION]["n_agree"],
        },
    )


def _hand_over(
    recorder: Recorder, found: LatentMatches, ways: list[str], first: Side, second: Side, *, level: float, where: str
) -> dict[str, dict[str, Any]]:
    """Hand tables, figures and metrics over; return the totals of each way."""
    parts = [matches_of(found, way, first, level) for way in ways]
    says = f"One row per latent of the first and way: {where}; established at {level:g}."
    recorder.table(Table("matches", says, Evidence.OBSERVATIONAL, pd.concat(parts, ignore_index=True), MATCHES))
    by = {way: total_of(found, way, part, first, second) for way, part in zip(ways, parts, strict=True)}
    says = f"One row per way of matching: {where}."
    recorder.table(Table("matched", says, Evidence.OBSERVATIONAL, pd.DataFrame(list(by.values())), MATCHED))
    ranked = pd.concat([ranked_of(found, way, part) for way, part in zip(ways, parts, strict=True)], ignore_index=True)
    says = f"One row per way and rank, the most alike first: {where}."
    recorder.table(Table("ranked", says, Evidence.OBSERVATIONAL, ranked, RANKED))
    draw(recorder, first, second)
    for way, total in by.items():
        recorder.metric(f"matched_{way}_mean", total["mean"])
        recorder.metric(f"matched_{way}_established", total["share_established"])
    return by


def _shared(experiment: MatchFeatures, first: Side, second: Side) -> bool:
    """Return whether decoder directions are compared.

    Raises:
        ConfigError: If it is to be, and the two are not as wide.
    """
    if experiment.decoder == "always" and first.sae.width != second.sae.width:
        raise ConfigError(
            f"experiment.decoder=always: the first autoencoder writes to {first.sae.width} channels, the second to "
            f"{second.sae.width}; what they write cannot be compared"
        )
    return experiment.decoder == "always" or (experiment.decoder == "auto" and same_place(first, second))


def _refuse_large(experiment: MatchFeatures, first: Side, second: Side, n: int) -> None:
    """Refuse what would take too much memory.

    Raises:
        ConfigError: If it would.
    """
    several = first.sae.by_position or second.sae.by_position
    vectors = max(n, experiment.n_vectors) if several else n
    needed = 8 * vectors * sum(side.sae.n_features for side in (first, second, second))
    if needed > MOST_BYTES:
        raise ConfigError(
            f"match_features: the activations of {first.sae.n_features} and {second.sae.n_features} latents on "
            f"{vectors} vectors take {size_of(needed)} (at most {size_of(MOST_BYTES)}); lower "
            "experiment.n_contexts or n_vectors"
        )
