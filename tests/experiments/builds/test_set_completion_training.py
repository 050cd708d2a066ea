import pytest
import torch

from paribus.errors import CheckpointError, DataError, ExperimentError
from paribus.experiments.builds.train_set_completion.loop import SetCompletionLoop
from paribus.experiments.builds.train_set_completion.settings import SetCompletionTraining
from paribus.experiments.recording import MemoryWorkspace
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models import _set_completion
from paribus.subjects.builds.models.set_completion import SetCompletion

CORPUS = BuildsGenerated(n_builds=200, seed=1).load()
SETTINGS = SetCompletionTraining(epochs=4, batch_size=32, lr=5e-3, weight_decay=0.01, clip=1.0, val_share=0.2)
SPEC = SetCompletion(embedding=8, hidden=16, n_layers=1, n_heads=2, n_inducing=2)


def network(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return _set_completion.network(SPEC, CORPUS.vocabulary.size, CORPUS.weapons.size, generator)


def train(net, workspace=None, *, settings=SETTINGS, seed=3, builds=CORPUS.builds, **options):
    loop = SetCompletionLoop(
        net, builds, CORPUS.vocabulary, settings, seed=seed, identity="data", workspace=workspace or MemoryWorkspace()
    )
    return loop.run(**options)


def equal(a, b):
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_it_learns_and_keeps_the_best_epoch():
    net = network()
    run = train(net, settings=SetCompletionTraining(8, 32, 5e-3, 0.01, 1.0, 0.2))
    assert [entry.epoch for entry in run.history] == list(range(1, 9))
    assert run.history[-1].val_loss < 0.7 * run.history[0].val_loss
    assert run.history[-1].recall > 0.15
    assert run.best_epoch == min(run.history, key=lambda e: e.val_loss).epoch
    assert run.n_val == 40 and run.n_train + run.n_val == len(CORPUS.builds)


def test_the_weights_are_those_of_the_best_epoch_and_not_of_the_last():
    kept = {}
    net = network()
    settings = SetCompletionTraining(10, 16, 0.2, 0.0, 100.0, 0.2)  # far too fast, so that the loss goes up and down
    run = train(
        net, settings=settings, observe=lambda e: kept.update({e.epoch: net.state_dict()["output_layer.bias"].clone()})
    )
    assert run.best_epoch < 10
    assert torch.equal(net.state_dict()["output_layer.bias"], kept[run.best_epoch])


class Killed(Exception):
    pass


def test_a_killed_training_ends_as_an_uninterrupted_one():
    straight = network()
    whole = train(straight)

    def kill(entry):
        if entry.epoch == 2:
            raise Killed

    workspace, resumed = MemoryWorkspace(), network()
    with pytest.raises(Killed):
        train(resumed, workspace, observe=kill)
    fresh = network()
    run = train(fresh, workspace)
    assert run.resumed_from == 2 and run.history == whole.history
    assert equal(fresh, straight)


def test_a_state_of_another_training_is_refused():
    workspace = MemoryWorkspace()
    train(network(), workspace)
    with pytest.raises(CheckpointError, match="belongs to a training with other"):
        train(network(), workspace, seed=4)


def test_it_draws_from_nothing_but_its_seed():
    before = torch.get_rng_state()
    a, b = network(), network()
    train(a), train(b)
    assert equal(a, b)
    assert torch.equal(before, torch.get_rng_state())


def test_what_cannot_be_trained():
    with pytest.raises(DataError, match="at least 2 distinct builds"):
        train(network(), builds=CORPUS.builds[:1])
    with pytest.raises(ExperimentError, match="loss became"):
        net = network()
        with torch.no_grad():
            net.output_layer.bias.fill_(float("nan"))
        train(net)
