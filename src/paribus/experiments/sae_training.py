"""Training a sparse autoencoder and reporting on it, wherever its vectors are from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from paribus.experiments.base import Recorder, Setup
from paribus.experiments.history import history_figure, history_of
from paribus.experiments.train_sae import TrainSAE
from paribus.models.nets.sae import SparseAutoencoder
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.training.loops.sae import SAERun, quality, random_baseline, train_sae
from paribus.training.sae import SAEQuality, SAETraining

QUALITY_COLUMNS = {
    "mse": "mean squared error of a component, on held-out vectors",
    "explained_variance": "1 - residual variance / variance",
    "l0": "mean number of active features",
    "active_share": "mean share of active features",
    "dead_share": "share of features that never fire on held-out vectors",
}


@dataclass(frozen=True)
class Vectors:
    """What an autoencoder is trained on.

    Attributes:
        train: Vectors ``[n, d]``, on the device to train on.
        held_out: Vectors of others ``[m, d]``.
        identity: What network and data they are from.
        held_out_said: What is held out, for captions.
        scale: What they are divided by while it is trained; the autoencoder is then brought back to their own scale.
    """

    train: Tensor
    held_out: Tensor
    identity: str
    held_out_said: str
    scale: float = 1.0


def train_and_report(
    experiment: TrainSAE,
    sae: SparseAutoencoder,
    vectors: Vectors,
    setup: Setup,
    recorder: Recorder,
    publish: Callable[[SAERun], None],
) -> Aggregates:
    """Train ``sae`` in place, and say how well it reconstructs held-out vectors beside a random one of its shape.

    Args:
        experiment: How it is trained.
        sae: With its starting weights, on the device to train on.
        vectors: What it is trained on.
        setup: Gives seed and streams of randomness.
        recorder: Gets tables and figures.
        publish: Keeps what was trained.

    Raises:
        DivergedError: If the loss is not finite; the history so far is handed over first.
    """
    run = _trained(experiment, sae, vectors, setup, recorder)
    if run.resumed_from is not None:
        recorder.warn(f"training was interrupted and taken up again after step {run.resumed_from}")
    baseline = random_baseline(sae, vectors.train, setup.torch_rng("random_sae"))
    found, random = quality(sae, vectors.held_out), quality(baseline, vectors.held_out)
    recorder.table(_comparison({"trained": found, "random": random}))
    recorder.table(_features(sae, vectors.held_out))
    _figures(vectors.held_out_said, recorder)
    publish(run)
    for name in QUALITY_COLUMNS:
        recorder.metric(f"final_{name}", getattr(found, name))
    recorder.metric("random_explained_variance", random.explained_variance)
    recorder.diagnose(n_contexts_tested=len(vectors.held_out))
    return Aggregates(
        n_samples=len(vectors.train),
        n_conditions=len(run.history),
        custom={
            **dataclasses.asdict(found),
            **{f"random_{name}": value for name, value in dataclasses.asdict(random).items()},
            "revived": run.revived,
            "n_features": experiment.n_features,
        },
    )


def _trained(
    experiment: TrainSAE, sae: SparseAutoencoder, vectors: Vectors, setup: Setup, recorder: Recorder
) -> SAERun:
    """Train, on the scale that vectors are brought to, and hand the history over, also where it fails."""
    names = [f.name for f in dataclasses.fields(SAETraining)]
    settings = SAETraining(**{name: getattr(experiment, name) for name in names})
    if sae.top_k is not None:
        settings = replace(settings, l1=0.0)
    scaled = vectors.scale != 1.0
    with history_of(recorder, {"step": "optimiser steps so far", **QUALITY_COLUMNS}) as observe:

        def evaluated(step: int, found: SAEQuality) -> None:
            observe({"step": step, **dataclasses.asdict(replace(found, mse=found.mse * vectors.scale**2))})

        run = train_sae(
            sae,
            vectors.train / vectors.scale if scaled else vectors.train,
            vectors.held_out / vectors.scale if scaled else vectors.held_out,
            settings,
            seed=setup.seed,
            identity=vectors.identity,
            workspace=recorder.workspace,
            observe=evaluated,
            progress=lambda parts: recorder.progress(parts, total=len(parts), description="evaluations"),
        )
    if scaled:  # ReLU, top-k and a linear decoder commute with a scale
        with torch.no_grad():
            for bias in (sae.encoder.bias, sae.decoder_bias):
                bias.mul_(vectors.scale)
    return run


def _figures(held_out: str, recorder: Recorder) -> None:
    for column, title, caption in (
        ("explained_variance", "Variance explained", f"On vectors of {held_out}."),
        ("l0", "Active features", "Mean number of active features of a vector."),
    ):
        recorder.figure(
            history_figure(f"figure_{column}", column, title, caption, x="step", ylabel=column.replace("_", " "))
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


def _features(sae: SparseAutoencoder, held_out: Tensor) -> Table:
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
