"""Trains an autoencoder on vectors of partial builds, and compares it with a random one."""

from __future__ import annotations

import numpy as np
import torch

from paribus.arrays import Floats
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.builds import _set_training as shared
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.history import checkpoint_table
from paribus.experiments.sae_training import Vectors, train_and_report
from paribus.experiments.train_sae import TrainSAE
from paribus.models.autoencoders import random_sae
from paribus.models.state import cpu_state, state_digest
from paribus.results.schema import Aggregates
from paribus.subjects.builds.contexts import remove_some
from paribus.subjects.builds.models.set_model import SAE_SITE
from paribus.subjects.builds.states import States
from paribus.subjects.builds.tokens import n_tokens
from paribus.training.loops.sae import SAERun
from paribus.training.loops.workspace import checkpoint_name


def validate(experiment: TrainSAE, setup: BuildSetup) -> None:
    """Check that the model learns, and has the vector that the autoencoder reads.

    Raises:
        ConfigError: If it does not.
    """
    try:
        Site.parse(SAE_SITE).validate(shared.trainable(setup))
    except ConfigError as error:
        raise ConfigError(f"model: an autoencoder of builds reads {SAE_SITE}; {error}") from None


def run(experiment: TrainSAE, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Train the autoencoder of ``setup.model``, or resume a killed run.

    Raises:
        ExperimentError: If the loss is not finite; the history so far is handed over first.
    """
    network = shared.trainable(setup)
    train, held_out = (torch.from_numpy(part).to(setup.device) for part in _vectors(experiment, setup, recorder))
    sae = random_sae(train.shape[1], experiment.n_features, setup.torch_rng("sae"), clamp=experiment.clamp).to(
        setup.device
    )

    def publish(run: SAERun) -> None:
        step = run.history[-1][0]
        name = checkpoint_name(step)
        state = {"model": cpu_state(network), "sae": cpu_state(sae), "sae_clamp": experiment.clamp, "epoch": step}
        recorder.workspace.save(name, state)
        recorder.workspace.publish(name)
        recorder.table(checkpoint_table(step, shared.CHOSEN))

    identity = f"{setup.corpus.digest}/{state_digest(network.state_dict())}"
    return train_and_report(
        experiment, sae, Vectors(train, held_out, identity, "held-out builds"), setup, recorder, publish
    )


def _vectors(experiment: TrainSAE, setup: BuildSetup, recorder: Recorder) -> tuple[Floats, Floats]:
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
