"""The two autoencoders that are matched, each at its place in its network, and what they read."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Floats, Ints
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.experiments.any._features import surveyed
from paribus.experiments.any.match_features.spec import MatchFeatures
from paribus.experiments.checkpoints import Checkpoint
from paribus.experiments.setup import NetworkSetup
from paribus.features.columns import Latents
from paribus.measure.executor import Executor
from paribus.models.hf import files_of
from paribus.models.nets.hf import load
from paribus.models.nets.sae import SparseAutoencoder
from paribus.models.state import state_digest


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


def sides_of(experiment: MatchFeatures, setup: NetworkSetup, *, read: bool) -> tuple[Side, Side]:
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
    second = _side("second", own, beside or setup, read=read, on=first if beside is None else None)
    if beside is not None and not _same_contexts(setup, beside):
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
    found = surveyed(setup, executor, place=named.place, path=named.path, clamp=named.clamp)
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


def same_place(first: Side, second: Side) -> bool:
    """Return whether both read the same place of the same weights."""
    if Site.parse(first.site) != Site.parse(second.site):
        return False
    if first.executor is second.executor:
        return True
    return state_digest(first.executor.network.state_dict()) == state_digest(second.executor.network.state_dict())


def vectors_of(experiment: MatchFeatures, side: Side, rows: Ints) -> Tensor:
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
