import pytest
import torch

from paribus.errors import CheckpointError, ExperimentError
from paribus.experiments.recording import MemoryWorkspace
from paribus.models.autoencoders import random_sae
from paribus.training.loops.sae import _Loop, quality, random_baseline, train_sae
from paribus.training.sae import SAETraining

D, TRUE = 16, 24
SETTINGS = SAETraining(
    n_features=40, clamp=None, l1=0.01, steps=600, batch_size=256, lr=3e-3, n_evaluations=6, dead_after=60,
    revive_until=0.7,
)  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def planted(n, seed):
    """Sparse sums of known unit directions."""
    directions = torch.nn.functional.normalize(torch.randn(TRUE, D, generator=generator(0)), dim=1)
    active = torch.rand(n, TRUE, generator=generator(seed)) < 0.08
    amount = 1 + torch.rand(n, TRUE, generator=generator(seed + 1))
    return (active * amount) @ directions + 0.5, directions


TRAIN, DIRECTIONS = planted(4000, 1)
HELD_OUT, _ = planted(1000, 5)


def train(workspace=None, seed=0, observe=lambda _, __: None, settings=SETTINGS):
    sae = random_sae(D, settings.n_features, generator(2), clamp=settings.clamp)
    run = train_sae(
        sae,
        TRAIN,
        HELD_OUT,
        settings,
        seed=seed,
        identity="x",
        workspace=workspace or MemoryWorkspace(),
        observe=observe,
    )
    return sae, run


def test_it_finds_planted_directions_with_unit_columns():
    sae, run = train(settings=SAETraining(**{**vars(SETTINGS), "l1": 0.1, "steps": 1200, "lr": 5e-3}))
    found = (sae.directions() @ DIRECTIONS.T).max(0).values.detach()
    assert float(found.median()) > 0.97
    assert torch.allclose(sae.decoder.weight.norm(dim=0), torch.ones(40), atol=1e-5)
    first, last = run.history[0][1], run.history[-1][1]
    assert last.explained_variance > first.explained_variance and last.explained_variance > 0.85
    assert 0 < last.active_share < 0.35
    assert float(sae.decoder.bias.abs().max()) == 0.0 and float(sae.usage_ema.max()) > 0
    random = quality(random_baseline(sae, TRAIN, generator(4)), HELD_OUT)
    assert random.explained_variance < last.explained_variance - 0.05
    assert abs(random.active_share - last.active_share) < 0.05


def test_the_decoder_moves_and_only_across_its_columns():
    sae = random_sae(D, 40, generator(2))
    before = sae.directions().detach().clone()
    loop = _Loop(sae, TRAIN, HELD_OUT, SETTINGS, 0, "x", MemoryWorkspace())
    projected = []
    original = loop._project_gradient

    def spy():
        original()
        columns = sae.directions().T
        projected.append(float((sae.decoder.weight.grad * columns.detach()).sum(0).abs().max()))

    loop._project_gradient = spy
    for step in range(20):
        loop.step(step)
    assert max(projected) < 1e-5
    assert float((sae.directions() - before).detach().norm(dim=1).min()) > 1e-3


def test_dead_features_are_revived():
    sae = random_sae(D, 40, generator(2))
    with torch.no_grad():
        sae.encoder.bias[:15] = -1e3
    run = train_sae(sae, TRAIN, HELD_OUT, SETTINGS, seed=0, identity="x", workspace=MemoryWorkspace())
    assert run.revived >= 15
    assert run.history[-1][1].dead_share <= 0.1


def test_a_clamp_holds_in_training():
    settings = SAETraining(**{**vars(SETTINGS), "clamp": 0.4, "steps": 60, "n_evaluations": 1})
    sae, _ = train(settings=settings)
    assert float(sae.encode(HELD_OUT)[0].detach().max()) <= 0.4 + 1e-6


class Killed(Exception):
    pass


def test_a_killed_training_ends_as_an_uninterrupted_one():
    straight, whole = train()

    def kill(step, _):
        if step == 300:
            raise Killed

    workspace = MemoryWorkspace()
    with pytest.raises(Killed):
        train(workspace, observe=kill)
    resumed, run = train(workspace)
    assert run.resumed_from == 300 and run.history == whole.history and run.revived == whole.revived
    assert all(torch.equal(v, resumed.state_dict()[n]) for n, v in straight.state_dict().items())
    with pytest.raises(CheckpointError, match="belongs to a training with other"):
        train(workspace, seed=1)


def test_a_loss_that_is_not_finite_stops_it():
    sae = random_sae(D, 40, generator(2))
    with torch.no_grad():
        sae.encoder.bias.fill_(float("inf"))
    with pytest.raises(ExperimentError, match="loss became"):
        train_sae(sae, TRAIN, HELD_OUT, SETTINGS, seed=0, identity="x", workspace=MemoryWorkspace())


def test_quality_of_a_perfect_and_of_a_mean_reconstruction():
    x = torch.relu(torch.randn(500, 4, generator=generator(1)))
    from paribus.models.nets.sae import identity_autoencoder

    perfect = quality(identity_autoencoder(4, torch.full((4,), torch.inf)), x)
    assert perfect.mse == 0 and perfect.explained_variance == 1
    assert perfect.l0 == pytest.approx(float((x > 0).float().sum(1).mean()))
    silent = random_sae(4, 3, generator())
    with torch.no_grad():
        silent.encoder.bias.fill_(-100)
        silent.decoder_bias.copy_(x.mean(0))
    found = quality(silent, x)
    assert found.explained_variance == pytest.approx(0, abs=1e-5) and found.dead_share == 1 and found.l0 == 0
