"""The work of matching latents."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.any._features import surveyed
from paribus.experiments.any._session import rows_to_choose_on
from paribus.experiments.any.generic import ALL
from paribus.experiments.any.match_features.spec import ACTIVATION, DECODER, NULL, WAYS, MatchFeatures
from paribus.experiments.base import Recorder
from paribus.experiments.checkpoints import Checkpoint
from paribus.experiments.setup import NetworkSetup
from paribus.features.columns import Latents
from paribus.features.matching import UNMATCHED, LatentMatches, match_latents
from paribus.measure.executor import Executor
from paribus.models.hf import files_of
from paribus.models.nets.hf import load
from paribus.models.nets.sae import SparseAutoencoder
from paribus.models.state import state_digest
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.matching import p_of_matches
from paribus.stats.nulls import null_percentile, null_quantiles
from paribus.stats.permutation import MONTE_CARLO

MOST_BYTES = 2 << 30
"""Bytes of activations that are held at once: of the first, the second and a random autoencoder."""
NOTHING_DRAWN = "none: no random autoencoder, or no partner"
MATCHES = {
    "epoch": "checkpoint of the first",
    "way": "activation: matched by when they fire; decoder: by what they write",
    "feature": "number of the latent of the first; those that fire on too few vectors are left out",
    "partner": "number of the latent of the second that it is matched with, one to one; -1: none is left",
    "similarity": "what is matched by: the correlation, or the cosine",
    "cosine": "cosine of what the two write; missing where channels do not mean the same",
    "correlation": "correlation of their activations over the vectors",
    "null": "what the null is made of: matched in the same way",
    "null_low": "2.5 % quantile of the similarity of this latent's match there",
    "null_median": "median of that null",
    "null_high": "97.5 % quantile of it",
    "null_percentile": "percentile of similarity in that null, 0 to 100; not a p",
    "p": "share of random autoencoders in which its match is at least as alike, this one counted among them",
    "p_method": "monte_carlo: by random autoencoders, itself counted among them; none: why there is no p",
    "p_adj": "the same against the best match of any latent in each, in sd of its own null: holds for all latents",
    "established": "whether p_adj is within the level; undecided is not absent",
    "mutual": "whether each is the other's most similar one",
    "agree": "whether the other way names the same partner",
    "firing_rate": "share of the vectors on which the latent of the first fires",
    "partner_rate": "the same of its partner",
}
MATCHED = {
    "epoch": MATCHES["epoch"],
    "way": MATCHES["way"],
    "first": "the first autoencoder",
    "second": "the second one",
    "n": "latents of the first that fire often enough",
    "n_other": "latents of the second that do",
    "n_matched": "how many are matched",
    "mean": "mean similarity of these",
    "null_low": "2.5 % quantile of that mean where the second one is random",
    "null_median": "median of it",
    "null_high": "97.5 % quantile of it",
    "null_percentile": "percentile of mean in that null, 0 to 100; not a p",
    "n_established": "latents with an established partner",
    "share_established": "their share of the latents of the first that fire often enough",
    "n_mutual": "matches in which each is the other's most similar one",
    "n_agree": "latents for which the other way names the same partner",
}
RANKED = {
    "way": MATCHES["way"],
    "rank": "place of the match by similarity, from 1",
    "similarity": "the similarity there",
    "null_low": "2.5 % quantile of the similarity at this rank where the second one is random",
    "null_median": "median of it",
    "null_high": "97.5 % quantile of it",
}


@dataclass(frozen=True)
class Named:
    """Which autoencoder, where it reads, and what to call where it is from."""

    place: str
    path: str | None
    clamp: float | None
    said: str = ""


@dataclass(frozen=True)
class Side:
    """One autoencoder at its place in its network.

    Attributes:
        label: What it is called.
        setup: Contexts and network.
        site: Where it reads.
        sae: The autoencoder.
        checkpoint: The checkpoint of its network; None before one is read.
        executor: Runs the network.
    """

    label: str
    setup: NetworkSetup
    site: str
    sae: SparseAutoencoder
    executor: Executor
    checkpoint: Checkpoint | None = None

    @property
    def epoch(self) -> int:
        """Epoch of the checkpoint; 0 before one is read."""
        return 0 if self.checkpoint is None else self.checkpoint.epoch


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
    if setup.checkpoint == ALL:
        raise ConfigError(f"checkpoint={ALL}: two networks are matched; say checkpoint=final, peak_val or epoch:N")
    rows, _ = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    first, second = _sides(experiment, setup, read=False)
    _shared(experiment, first, second)
    _refuse_large(experiment, first, second, len(rows))


def run(experiment: MatchFeatures, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Match; hand over ``matches``, ``matched`` and ``ranked``, and their figures."""
    for note in setup.notes:
        recorder.warn(note)
    rows, said = rows_to_choose_on(experiment.split, setup, experiment.n_contexts)
    recorder.diagnose(n_contexts_tested=len(rows))
    first, second = _sides(experiment, setup, read=True)
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
    vectors = _vectors(experiment, first, rows)
    others = vectors if _same(first, second) else _vectors(experiment, second, rows)
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
    parts = [_rows(found, way, first, level) for way in ways]
    where = f"{first.label} and {second.label}, {len(vectors)} vectors of {len(rows)} contexts of {said}"
    says = f"One row per latent of the first and way: {where}; established at {level:g}."
    recorder.table(Table("matches", says, Evidence.OBSERVATIONAL, pd.concat(parts, ignore_index=True), MATCHES))
    totals = [_total(found, way, part, first, second) for way, part in zip(ways, parts, strict=True)]
    says = f"One row per way of matching: {where}."
    recorder.table(Table("matched", says, Evidence.OBSERVATIONAL, pd.DataFrame(totals), MATCHED))
    ranked = pd.concat([_ranked(found, way, part) for way, part in zip(ways, parts, strict=True)], ignore_index=True)
    says = f"One row per way and rank, the most alike first: {where}."
    recorder.table(Table("ranked", says, Evidence.OBSERVATIONAL, ranked, RANKED))
    _draw(recorder, first, second)
    by = {total["way"]: total for total in totals}
    for way, total in by.items():
        recorder.metric(f"matched_{way}_mean", total["mean"])
        recorder.metric(f"matched_{way}_established", total["share_established"])
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


def _sides(experiment: MatchFeatures, setup: NetworkSetup, *, read: bool) -> tuple[Side, Side]:
    """Return both autoencoders, with the weights of the chosen checkpoints where ``read`` says so.

    Raises:
        ConfigError: If one of them does not exist, or the two networks are not given the same contexts.
    """
    first = _side("first", Named(experiment.place, experiment.path, experiment.clamp), setup, read=read)
    place = experiment.other_place
    if place == "auto":
        place = experiment.place if setup.beside is not None else first.site
    beside, said = setup.beside, ""
    if experiment.other_run is not None:
        said = f"run {experiment.other_run[:8]}"
    if experiment.other_model is not None:
        beside, said = _other_model(experiment.other_model, setup), Path(experiment.other_model).name
    own = Named(place, experiment.other_path, experiment.clamp, said)
    if beside is None:
        second = _side("second", own, setup, read=read, on=first)
        _refuse_unlike(first, second)
        return first, second
    second = _side("second", own, beside, read=read)
    if not _same_contexts(setup, beside):
        raise ConfigError(
            "match_features: the slice gives the two models other contexts (it looks at what the model does); use "
            "slice=all or slice=sample"
        )
    _refuse_unlike(first, second)
    return first, second


def _other_model(path: str, setup: NetworkSetup) -> NetworkSetup:
    """Return the same contexts, read by the network of a file.

    Raises:
        ConfigError: If contexts are no tokens, or both folders have a tokenizer and it is not the same.
        CheckpointError: If the network cannot be read.
    """
    where = f"experiment.other_model={path}"
    n_tokens = getattr(setup.data, "n_tokens", None)
    if n_tokens is None:
        raise ConfigError(f"{where}: a language model reads tokens; these are {setup.contexts.name}")
    own = getattr(setup.architecture, "path", None)
    tokenizers = [Path(folder).expanduser() / "tokenizer.json" for folder in (own, path) if folder is not None]
    if len(tokenizers) == 2 and all(one.is_file() for one in tokenizers):
        texts = [json.loads(one.read_text(encoding="utf-8")).get("model") for one in tokenizers]
        if texts[0] != texts[1]:
            raise ConfigError(
                f"{where}: has another tokenizer than model.path={own}: the same ids are other texts there"
            )
    family = getattr(setup.architecture, "family", "causal")
    network = load(files_of(path, "experiment.other_model"), family, where, int(n_tokens))
    return replace(setup, network=network, parts={}, checkpoints=None, beside=None, network_key=where)


def _refuse_unlike(first: Side, second: Side) -> None:
    """Refuse to match an autoencoder of positions with one of pooled vectors.

    Raises:
        ConfigError: If they are so.
    """
    if first.sae.by_position != second.sae.by_position:
        reads = {True: "each position by itself", False: "one vector of each context"}
        raise ConfigError(
            f"match_features: the first autoencoder reads {reads[first.sae.by_position]}, the second "
            f"{reads[second.sae.by_position]}; on these there are no common activations"
        )


def _side(which: str, named: Named, setup: NetworkSetup, *, read: bool, on: Side | None = None) -> Side:
    checkpoint = on.checkpoint if on is not None else None
    if on is None and read:
        (checkpoint,) = setup.selected()
    executor = on.executor if on is not None else setup.executor(checkpoint)
    found = surveyed(named, setup, executor)
    if not isinstance(found.columns, Latents):
        raise ConfigError(
            f"match_features: the {which} model has no autoencoder at {found.site}; train one (experiment=train_sae), "
            f"or name a file (experiment.{'other_path' if which == 'second' else 'path'}=FILE)"
        )
    label = ", ".join([*([named.said] if named.said else []), f"{found.columns.size} latents of {found.site}"])
    return Side(f"{which} autoencoder ({label})", setup, found.site, found.columns.sae, executor, checkpoint)


def _same_contexts(one: NetworkSetup, other: NetworkSetup) -> bool:
    """Return whether two setups hold the same contexts in the same order."""
    a, b = one.contexts, other.contexts
    return len(a) == len(b) and np.array_equal(a.cluster, b.cluster) and a.splits.keys() == b.splits.keys() and all(
        np.array_equal(a.splits[name], b.splits[name]) for name in a.splits
    )  # fmt: skip


def _same(first: Side, second: Side) -> bool:
    """Return whether both read the same place of the same weights."""
    if first.site != second.site:
        return False
    if first.executor is second.executor:
        return True
    return state_digest(first.executor.network.state_dict()) == state_digest(second.executor.network.state_dict())


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
    return experiment.decoder == "always" or (experiment.decoder == "auto" and _same(first, second))


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
            f"{vectors} vectors take {needed / 2**30:.1f} GiB (at most {MOST_BYTES >> 30}); lower "
            "experiment.n_contexts or n_vectors"
        )


def _vectors(experiment: MatchFeatures, side: Side, rows: Ints) -> Tensor:
    """Return what an autoencoder reads ``[n, d]``: the vector of each context, or positions drawn of those that count.

    Which positions are drawn does not depend on network or batches, so that two networks are read at the same ones.
    """
    like = side.sae.encoder.weight
    if not side.sae.by_position:
        return torch.from_numpy(side.executor.vectors(side.site, rows)).to(like)
    of_each = max(1, round(experiment.n_vectors / len(rows)))
    own = side.setup.rng("match_positions").integers(2**63, size=len(rows))
    kept: dict[int, Tensor] = {}

    def visit(batch: slice, h: Tensor, weight: Tensor) -> None:
        counts = (weight > 0).cpu().numpy()
        picked = [
            h[row, torch.from_numpy(_drawn(counts[row], of_each, int(seed))).to(h.device)]
            for row, seed in enumerate(own[batch])
        ]
        kept[batch.start] = torch.cat(picked).to(like)

    side.executor.visit_positions(side.executor.subject.cells(rows), side.site, visit)
    return torch.cat([kept[start] for start in sorted(kept)])


def _drawn(counts: Floats, n: int, seed: int) -> Ints:
    """Return at most ``n`` of the positions that count, in order."""
    there = np.flatnonzero(counts)
    if len(there) <= n:
        return np.asarray(there)
    return np.sort(np.random.default_rng(seed).choice(there, n, replace=False))


def _of(found: LatentMatches, way: str) -> tuple[Ints, Floats, Floats]:
    """Return partners, similarities ``[k]`` and those with random autoencoders ``[draws, k]``; NaN without any."""
    partner, value, drawn = {
        ACTIVATION: (found.by_activation, found.correlation, found.random_correlation),
        DECODER: (found.by_decoder, found.cosine, found.random_cosine),
    }[way]
    return partner, value, drawn if len(drawn) else np.full((1, len(value)), np.nan)


def _rows(found: LatentMatches, way: str, first: Side, level: float) -> pd.DataFrame:
    partner, value, drawn = _of(found, way)
    low, median, high = null_quantiles(drawn.T)
    p, p_adj = p_of_matches(value, drawn)
    rate = np.where(partner != UNMATCHED, found.other_rate[partner], np.nan)
    beside = found.beside[way]
    verdict = np.where(np.isfinite(p_adj), np.where(p_adj <= level, "established", "undecided"), "untested")
    return pd.DataFrame(
        {
            "epoch": first.epoch,
            "way": way,
            "feature": found.latent,
            "partner": partner,
            "similarity": value,
            "cosine": value if way == DECODER else beside,
            "correlation": value if way == ACTIVATION else beside,
            "null": NULL,
            "null_low": low,
            "null_median": median,
            "null_high": high,
            "null_percentile": null_percentile(value, drawn.T),
            "p": p,
            "p_method": np.where(np.isfinite(p), MONTE_CARLO, NOTHING_DRAWN),
            "p_adj": p_adj,
            "established": verdict,
            "mutual": found.mutual[way],
            "agree": found.agree,
            "firing_rate": found.rate[found.latent],
            "partner_rate": rate,
        }
    )


def _total(found: LatentMatches, way: str, part: pd.DataFrame, first: Side, second: Side) -> dict[str, Any]:
    _, value, drawn = _of(found, way)
    known = np.isfinite(value)
    mean = float(value[known].mean()) if known.any() else float("nan")
    means = _mean_of_known(drawn)[None]
    low, median, high = null_quantiles(means)
    established = int((part["established"] == "established").sum())
    return {
        "epoch": first.epoch,
        "way": way,
        "first": first.label,
        "second": second.label,
        "n": len(part),
        "n_other": found.n_others,
        "n_matched": int(known.sum()),
        "mean": mean,
        "null_low": float(low[0]),
        "null_median": float(median[0]),
        "null_high": float(high[0]),
        "null_percentile": float(null_percentile(np.array([mean]), means)[0]),
        "n_established": established,
        "share_established": established / len(part),
        "n_mutual": int(part["mutual"].sum()),
        "n_agree": int(part["agree"].sum()),
    }


def _mean_of_known(drawn: Floats) -> Floats:
    """Return the mean of each draw over the rows that found a partner ``[draws]``."""
    known = np.isfinite(drawn)
    count = known.sum(1)
    return np.where(count > 0, np.where(known, drawn, 0.0).sum(1) / np.maximum(count, 1), np.nan)


def _ranked(found: LatentMatches, way: str, part: pd.DataFrame) -> pd.DataFrame:
    """Return the similarities from the most alike on, beside those of each random autoencoder in its own order."""
    _, value, drawn = _of(found, way)
    order = -np.sort(-value[np.isfinite(value)])
    low, median, high = (each[: len(order)] for each in null_quantiles(-np.sort(-drawn, axis=1).T))
    columns = {"similarity": order, "null_low": low, "null_median": median, "null_high": high}
    return pd.DataFrame({"way": way, "rank": np.arange(1, len(order) + 1), **columns})


def _draw(recorder: Recorder, first: Side, second: Side) -> None:
    both = f"{first.label} and {second.label}"
    roles = {"x": "rank", "y": "similarity", "panel": "way"}
    band = {"null": "null_median", "null_low": "null_low", "null_high": "null_high"}
    drawn = Figure.of("curve", "ranked", name="ranked", **roles, **band)
    says = f"Matched latents from the most alike on; the band is the middle 95 % of {NULL}."
    looks = {"xlabel": "rank of the match", "ylabel": "similarity", "null_label": NULL}
    recorder.figure(drawn.titled(f"Matches of the {both}", says, **looks))
    drawn = Figure.of("scatter", "matches", name="matches", x="null_high", y="similarity", group="established",
                      panel="way")  # fmt: skip
    says = f"A point per latent; across: what 97.5 % of its matches with {NULL} stay below."
    recorder.figure(
        drawn.titled(f"Each match of the {both}", says, xlabel=f"97.5 % of {NULL}", ylabel="similarity", identity=True)
    )
