"""Another token at a position: swept, swapped and validated; every number is that of a loop over edited sequences."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from paribus.errors import ConfigError
from paribus.experiments.any.swap.spec import Swap
from paribus.experiments.any.sweep.spec import Sweep
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.validation.split_half import SplitHalf
from paribus.features.latent import Latent
from paribus.measure import Executor
from paribus.measure.binding import Binding
from paribus.models.autoencoders import random_sae
from paribus.models.nets.modular_transformer import ModularTransformer
from paribus.stats.spec import StatsSpec
from paribus.subjects.tokens.factors import TokenAt
from paribus.subjects.tokens.modular_addition import ModularAddition
from paribus.subjects.tokens.subject import TokenSubject
from paribus.subjects.tokens.token_file import TokenFile

STATS = StatsSpec(n_bootstrap=100, n_permutations=99, n_null=5)


@pytest.fixture(scope="module")
def setup():
    torch.manual_seed(0)
    data = ModularAddition(p=13, train_share=0.3, seed=1).load()
    sae = random_sae(16, 24, torch.Generator().manual_seed(0), clamp=None)
    return NetworkSetup(
        seed=0, stats=STATS, contexts=TokenSubject(data), network=ModularTransformer(13, d_model=16).eval(),
        parts={"blocks.0": sae}, feature=Latent(id=3, site="blocks.0"),
    )  # fmt: skip


def latent(setup, ids):
    seen = []
    hook = setup.network.blocks[0].register_forward_hook(lambda module, given, value: seen.append(value))
    with torch.inference_mode():
        setup.network(ids)
        hook.remove()
        return setup.parts["blocks.0"].encode(seen[0].mean(1))[0][:, 3].double().numpy()


def effects(experiment, setup):
    experiment.validate(setup)
    return perform(experiment, setup, MemoryRecorder()).tables["effects"].frame.set_index("level")


def test_a_sweep_of_tokens_moves_a_latent_of_the_stream_as_a_loop_says(setup):
    frame = effects(Sweep(factor=TokenAt(position=1, tokens=[4, 0, 7])), setup)
    ids = setup.contexts.data.ids[setup.contexts.splits["id_val"]]
    read = {token: latent(setup, torch.stack([ids[:, 0], torch.full_like(ids[:, 1], token)], 1)) for token in (4, 0, 7)}
    assert frame.index.tolist() == ["0", "7"] and (frame["readout"] == "latent 3").all()
    for token in (0, 7):
        assert frame.loc[str(token), "mean_delta"] == pytest.approx((read[token] - read[4]).mean(), abs=1e-5)


def test_a_swap_compares_each_sequence_with_its_own_token(setup):
    frame = effects(Swap(factor=TokenAt(position=0, tokens=[2, 9, 11])), setup)
    ids = setup.contexts.data.ids[setup.contexts.splits["id_val"]]
    mine = ids[ids[:, 0] == 2]
    moved = latent(setup, torch.stack([torch.full_like(mine[:, 0], 9), mine[:, 1]], 1)) - latent(setup, mine)
    assert frame.loc["2 -> 9", "mean_delta"] == pytest.approx(moved.mean(), abs=1e-5)
    assert frame.loc["2 -> 9", "n"] == len(mine)


def test_halves_agree_on_what_tokens_do(setup):
    experiment = SplitHalf(target=Sweep(factor=TokenAt(position=1, most=8), n_contexts=100), n_splits=10, n_shuffles=39)
    experiment.validate(setup)
    custom = perform(experiment, setup, MemoryRecorder()).aggregates.custom
    assert custom["n_entries"] == 7 and custom["readout"] == "latent 3"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"position": 2}, "sequences have 2 positions"),
        ({"tokens": [1, 13]}, "there are 13, from 0 on, got 13"),
        ({"tokens": [1, 1]}, "name each once, at least two"),
    ],
)
def test_what_does_not_exist_is_refused(changes, words, setup):
    with pytest.raises(ConfigError, match=words):
        Sweep(factor=TokenAt(**changes)).validate(setup)


def test_unnamed_tokens_are_evenly_spread_and_any_position_may_count_from_the_end(setup):
    bound = TokenAt(position=-1, most=5).bind(Binding(setup.executor(), "", np.random.default_rng(0), {}))
    assert bound.tokens == (0, 3, 6, 9, 12) and bound.position == 1
    assert bound.observed(np.arange(13)).tolist() == [0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4]


@pytest.mark.parametrize("padding", ["left", "right"])
def test_a_position_is_one_of_every_sequence_and_no_sink_among_those_tried_unasked(tmp_path, padding):
    """Another token in place of padding does nothing, so that the mean would be too small without a word."""
    file = tmp_path / "ids.jsonl"
    file.write_text("\n".join(json.dumps({"ids": [1, *range(2, 2 + n)]}) for n in (2, 3, 3)))
    subject = TokenSubject(TokenFile(path=str(file), n_tokens=9, padding=padding).load())
    binding = Binding(Executor(torch.nn.Embedding(9, 2), subject), "", np.random.default_rng(0), {})
    with pytest.raises(ConfigError, match="padding in 1 of 3 sequences"):
        TokenAt(position=0 if padding == "left" else -1).bind(binding)
    tried = [one.position for one in subject.usual_factors(4)]
    assert tried == ([-2, -1] if padding == "left" else [1, 2])
    assert all(one.bind(binding).labels for one in subject.usual_factors(4))
