"""Trains an autoencoder on vectors of partial builds, and compares it with a random one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import torch

from paribus.experiments.base import Recorder
from paribus.experiments.builds import _set_training as shared
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.builds.train_sae.spec import TrainSAE
from paribus.models.autoencoders import random_sae
from paribus.models.nets.sae import SparseAutoencoder
from paribus.models.state import state_digest
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.subjects.builds.contexts import remove_some
from paribus.subjects.builds.states import States
from paribus.subjects.builds.tokens import n_tokens
from paribus.training.loops.sae import SAERun, quality, random_baseline, train_sae
from paribus.training.loops.workspace import checkpoint_name, cpu_state
from paribus.training.sae import SAEQuality, SAETraining

QUALITY_COLUMNS = {
    "mse": "mean squared error of a component, on held-out vectors",
    "explained_variance": "1 - residual variance / variance",
    "l0": "mean number of active features",
    "active_share": "mean share of active features",
    "dead_share": "share of features that never fire on held-out vectors",
}


def run(experiment: TrainSAE, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Train the autoencoder of ``setup.model``, or go on where a killed run stopped.

    Raises:
        ExperimentError: If the loss is not finite; the history so far is handed over first.
    """
    network = shared.trainable(setup)
    train, held_out = (torch.from_numpy(part).to(setup.device) for part in _vectors(experiment, setup, recorder))
    names = [f.name for f in dataclasses.fields(SAETraining)]
    settings = SAETraining(**{name: getattr(experiment, name) for name in names})
    sae = random_sae(train.shape[1], experiment.n_features, setup.torch_rng("sae"), clamp=experiment.clamp).to(
        setup.device
    )
    seen: list[dict[str, Any]] = []

    def observe(step: int, found: SAEQuality) -> None:
        seen.append({"step": step, **dataclasses.asdict(found)})
        for name in QUALITY_COLUMNS:
            recorder.metric(name, getattr(found, name), step=step)

    def hand_over() -> None:
        recorder.table(shared.history_table(seen, {"step": "optimiser steps so far", **QUALITY_COLUMNS}))

    try:
        run = train_sae(
            sae,
            train,
            held_out,
            settings,
            seed=setup.seed,
            identity=f"{setup.corpus.digest}/{state_digest(network.state_dict())}",
            workspace=recorder.workspace,
            observe=observe,
            progress=lambda parts: recorder.progress(parts, total=len(parts), description="evaluations"),
        )
    except BaseException:
        if seen:
            hand_over()
        raise
    hand_over()
    if run.resumed_from is not None:
        recorder.warn(f"training was interrupted and taken up again after step {run.resumed_from}")
    baseline = random_baseline(sae, train, setup.torch_rng("random_sae"))
    found, random = quality(sae, held_out), quality(baseline, held_out)
    recorder.table(_comparison({"trained": found, "random": random}))
    recorder.table(_features(sae, held_out))
    _figures(experiment, recorder)
    _publish(experiment, network, sae, run, recorder)
    for name in QUALITY_COLUMNS:
        recorder.metric(f"final_{name}", getattr(found, name))
    recorder.metric("random_explained_variance", random.explained_variance)
    recorder.diagnose(n_contexts_tested=len(held_out))
    return Aggregates(
        n_samples=len(train),
        n_conditions=len(run.history),
        custom={
            **dataclasses.asdict(found),
            **{f"random_{name}": value for name, value in dataclasses.asdict(random).items()},
            "revived": run.revived,
            "n_features": experiment.n_features,
        },
    )


def _vectors(
    experiment: TrainSAE, setup: BuildSetup, recorder: Recorder
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return vectors of partial builds to train on and of other builds to evaluate on, ``[n, d]`` each."""
    rng = setup.rng("vectors")
    builds = setup.corpus.builds
    order = rng.permutation(len(builds))
    n_val = max(1, round(experiment.val_share * len(builds)))
    parts = []
    for rows, wanted in ((order[n_val:], experiment.n_vectors), (order[:n_val], max(100, experiment.n_vectors // 10))):
        chosen = rng.choice(rows if len(rows) else order, wanted)
        partial = remove_some(builds[chosen], rng)
        partial = partial[n_tokens(partial) > 0]
        states = States.of(partial, np.zeros(len(partial), np.int64))
        pieces = np.array_split(np.arange(len(partial)), max(1, len(partial) // 4096))
        shown = recorder.progress(pieces, total=len(pieces), description="vectors")
        parts.append(np.concatenate([setup.vectors(states[piece])[0] for piece in shown]))
    return parts[0], parts[1]


def _publish(
    experiment: TrainSAE, network: torch.nn.Module, sae: SparseAutoencoder, run: SAERun, recorder: Recorder
) -> None:

    step = run.history[-1][0]
    name = checkpoint_name(step)
    state = {
        "model": cpu_state(network),
        "sae": cpu_state(sae),
        "sae_clamp": experiment.clamp,
        "epoch": step,
    }
    recorder.workspace.save(name, state)
    recorder.workspace.publish(name)
    recorder.table(shared.checkpoint_table(step))


def _figures(experiment: TrainSAE, recorder: Recorder) -> None:

    for column, title, caption in (
        ("explained_variance", "Variance explained", "On vectors of held-out builds."),
        ("l0", "Active features", "Mean number of active features of a vector."),
    ):
        recorder.figure(
            shared.history_figure(f"figure_{column}", column, title, caption, x="step", ylabel=column.replace("_", " "))
        )
    drawn = Figure.of("histogram", "features", name="figure_firing_rates", value="firing_rate")
    says = "One count per feature; held-out vectors."
    looks = {"xlabel": "share of vectors in which the feature is active"}
    recorder.figure(drawn.titled("How often features fire", says, **looks))


def _comparison(found: dict[str, SAEQuality]) -> Table:

    return Table(
        name="quality",
        description="The trained autoencoder beside random encoder rows with as many active features.",
        evidence=Evidence.TRAINING,
        frame=pd.DataFrame([{"autoencoder": name, **dataclasses.asdict(q)} for name, q in found.items()]),
        columns={"autoencoder": "random: random encoder, decoder fitted by ridge regression", **QUALITY_COLUMNS},
    )


def _features(sae: SparseAutoencoder, held_out: torch.Tensor) -> Table:
    """Return what each feature does on held-out vectors."""
    with torch.no_grad():
        f, _ = sae.encode(held_out)
        cosine = torch.nn.functional.cosine_similarity(sae.encoder.weight, sae.decoder.weight.T)
    frame = pd.DataFrame(
        {
            "feature": np.arange(sae.n_features),
            "firing_rate": (f > 0).float().mean(0).cpu().numpy(),
            "mean_activation": f.mean(0).cpu().numpy(),
            "max_activation": f.amax(0).cpu().numpy(),
            "clamped_share": (f >= (sae.clamp if sae.clamp is not None else torch.inf)).float().mean(0).cpu().numpy(),
            "encoder_decoder_cosine": cosine.cpu().numpy(),
        }
    )
    meanings = {
        "firing_rate": "share of vectors in which it is active",
        "clamped_share": "share of vectors in which it is at the clamp",
        "encoder_decoder_cosine": "cosine of its encoder row and its decoder column",
    }
    says = "One row per feature, measured on held-out vectors."
    return Table("features", says, Evidence.TRAINING, frame, meanings)
