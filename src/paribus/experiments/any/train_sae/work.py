"""Trains a sparse autoencoder at a place of any network; every position of a map or a sequence is a vector."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Ints
from paribus.engine.sites import Site
from paribus.errors import ConfigError, DataError
from paribus.experiments.any._session import only_network, place_of, refuse_several, rows_to_choose_on
from paribus.experiments.base import Recorder
from paribus.experiments.checkpoints import Checkpoint
from paribus.experiments.history import checkpoint_table
from paribus.experiments.sae_training import Vectors, train_and_report
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.train_sae import TrainSAE
from paribus.measure.executor import Executor
from paribus.models.autoencoders import packed, random_sae
from paribus.models.handed import HandedModel
from paribus.models.nets.sae import SparseAutoencoder
from paribus.models.state import cpu_state, state_digest
from paribus.results.schema import Aggregates
from paribus.training.loops.sae import SAERun
from paribus.training.loops.workspace import autoencoder_name, checkpoint_name

CONTEXTS_AT_ONCE = 256
"""Contexts whose values are held at once."""
LEAST_VECTORS = 100
"""Vectors below which nothing is trained."""


def validate(experiment: TrainSAE, setup: NetworkSetup) -> None:
    """Look up place and split; there must be clusters to hold out.

    Raises:
        ConfigError: If something is not there.
    """
    refuse_several(setup, "an autoencoder is of one network")
    executor = setup.executor()
    executor.width(_site(experiment, executor))
    _parts(experiment, setup)


def stand_in(experiment: TrainSAE, setup: NetworkSetup) -> tuple[str, SparseAutoencoder]:
    """Return where the autoencoder is going to read, and one of its shape that is not trained."""
    executor = setup.executor()
    site = _site(experiment, executor)
    return site, _start(experiment, setup, executor.width(site))


def run(experiment: TrainSAE, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Train on positions of contexts of the split, and keep the autoencoder beside the network.

    Raises:
        DataError: If there are hardly any positions.
        DivergedError: If the loss is not finite; the history so far is handed over first.
    """
    checkpoint, executor = only_network(setup, recorder)
    site = _site(experiment, executor)
    rows, held_out, said = _parts(experiment, setup)
    rng = setup.rng("vectors")
    train = _drawn(executor, site, rows, experiment.n_vectors, rng, recorder)
    others = _drawn(executor, site, held_out, max(LEAST_VECTORS, experiment.n_vectors // 10), rng, recorder)
    if min(len(train), 10 * len(others)) < LEAST_VECTORS:
        raise DataError(
            f"experiment.split={said}: {len(train)} vectors at {site} to train on and {len(others)} held out are too "
            f"few; at least {LEAST_VECTORS} and {LEAST_VECTORS // 10}"
        )
    scale = float((train - train.mean(0)).square().mean().sqrt())
    if not scale > 0:
        raise DataError(f"experiment.place={site}: has the same value in all contexts, so there is nothing to learn")
    sae = _start(experiment, setup, train.shape[1]).to(setup.device)
    told = f"{site}/{experiment.top_k}/{setup.digest or state_digest({'train': train})}"
    vectors = Vectors(
        train.to(setup.device),
        others.to(setup.device),
        identity=f"{told}/{state_digest(setup.network.state_dict())}",
        held_out_said=f"held-out clusters of {said}",
        scale=scale,
    )

    def publish(run: SAERun) -> None:
        _publish(setup, checkpoint, site, sae, recorder)

    found = train_and_report(experiment, sae, vectors, setup, recorder, publish)
    custom = {**found.custom, "place": site, "split": said}
    return Aggregates(
        n_samples=found.n_samples,
        n_conditions=found.n_conditions,
        custom={**custom, "summary": _sentences(experiment, found, site, len(others))},
    )


def _site(experiment: TrainSAE, executor: Executor) -> str:
    """Return the one whole site that is read.

    Raises:
        ConfigError: If there is none of that name, or a part of one is named.
    """
    text = place_of(experiment.place, executor)
    if "|" in text or "*" in text:
        raise ConfigError(f"experiment.place={text}: an autoencoder reads one module, all channels and positions")
    site = Site.parse(text)
    site.validate(executor.network)
    return str(site)


def _start(experiment: TrainSAE, setup: NetworkSetup, width: int) -> SparseAutoencoder:
    return random_sae(width, experiment.n_features, setup.torch_rng("sae"), top_k=experiment.top_k, by_position=True)


def _parts(experiment: TrainSAE, setup: NetworkSetup) -> tuple[Ints, Ints, str]:
    """Return the contexts to train on, those of other clusters to evaluate on, and the name of their split.

    Raises:
        ConfigError: If there is no such split, or only one cluster in it.
    """
    rows, said = rows_to_choose_on(experiment.split, setup, 0)
    cluster = setup.contexts.cluster[rows]
    ids = setup.rng("held_out").permutation(np.unique(cluster))
    n_held_out = max(1, round(experiment.val_share * len(ids)))
    if n_held_out >= len(ids):
        raise ConfigError(
            f"experiment.split={said}: {len(ids)} clusters, of which {n_held_out} would be held out "
            "(experiment.val_share), leave none to train on"
        )
    held_out = np.isin(cluster, ids[:n_held_out])
    return rows[~held_out], rows[held_out], said


def _drawn(
    executor: Executor, site: str, rows: Ints, wanted: int, rng: np.random.Generator, recorder: Recorder
) -> Tensor:
    """Return at most ``wanted`` vectors ``[n, d]`` at positions of contexts, as many contexts as there are places."""
    if len(rows) > wanted:
        rows = np.sort(rng.choice(rows, wanted, replace=False))
    of_each = -(-wanted // len(rows))
    parts = []
    starts = range(0, len(rows), CONTEXTS_AT_ONCE)
    for start in recorder.progress(starts, total=len(starts), description="vectors"):
        block = rows[start : start + CONTEXTS_AT_ONCE]
        found = executor.at_positions(site, block)
        some = rng.choice(len(found), min(len(found), of_each * len(block)), replace=False)
        parts.append(found[torch.from_numpy(np.sort(some))])
    found = torch.cat(parts)
    return found if len(found) <= wanted else found[torch.from_numpy(np.sort(rng.permutation(len(found))[:wanted]))]


def _publish(
    setup: NetworkSetup, checkpoint: Checkpoint, site: str, sae: SparseAutoencoder, recorder: Recorder
) -> None:
    """Keep the network as it was read, this autoencoder, and those that the network had at other sites."""
    name = checkpoint_name(checkpoint.epoch)
    recorder.workspace.save(name, {"model": cpu_state(setup.network), "epoch": checkpoint.epoch})
    recorder.workspace.publish(name)
    before = {at: one for at, one in setup.parts.items() if isinstance(one, SparseAutoencoder)}
    for number, (at, one) in enumerate({**before, site: sae}.items(), 1):
        recorder.workspace.save(autoencoder_name(number), {**packed(one), "site": at})
        recorder.workspace.publish(autoencoder_name(number))
    if isinstance(setup.architecture, HandedModel):
        recorder.warn(
            "model=tracked cannot take a network that was an object of a notebook. To use the autoencoder hand the "
            f"network over again, and name the file {autoencoder_name(1)} of this run's checkpoints (experiment.path, "
            f"feature.path or factor.path) and the place {site}."
        )
    recorder.table(checkpoint_table(checkpoint.epoch, "the network that the autoencoder reads"))


def _sentences(experiment: TrainSAE, found: Aggregates, site: str, n: int) -> list[str]:
    said = found.custom
    kind = "an autoencoder with ReLU and L1" if experiment.top_k is None else f"a top-{experiment.top_k} autoencoder"
    return [
        f"At {site}, {kind} of {experiment.n_features} features explains {said['explained_variance']:.1%} of the "
        f"variance of {n} held-out vectors with {said['l0']:.1f} active features a vector; random encoder rows with as "
        f"many active and the best linear decoder explain {said['random_explained_variance']:.1%}.",
        f"{said['dead_share']:.1%} of its features are active in none of these vectors.",
    ]
