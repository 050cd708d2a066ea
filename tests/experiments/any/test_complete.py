"""Where the contexts are all there are, no table says a p or an interval over them; a sample of them has both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import paribus
from paribus.errors import ConfigError
from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.any.activation_patching.spec import ActivationPatching
from paribus.experiments.any.cores.spec import Cores
from paribus.experiments.any.generic import Generic
from paribus.experiments.any.grid.spec import Grid
from paribus.experiments.any.head_ablation.spec import HeadAblation
from paribus.experiments.any.interact.spec import Interact
from paribus.experiments.any.latent_intervention.spec import LatentIntervention
from paribus.experiments.any.patch.spec import Patch
from paribus.experiments.any.probe.spec import Probe
from paribus.experiments.any.scan_features.spec import ScanFeatures
from paribus.experiments.any.swap.spec import Swap
from paribus.experiments.any.sweep.spec import Sweep
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.setup import NetworkSetup
from paribus.experiments.validation.shuffle_null.spec import ShuffleNull
from paribus.experiments.validation.split_half.spec import SplitHalf
from paribus.factors import spec as factors
from paribus.figures.draw import draw
from paribus.models.autoencoders import random_sae
from paribus.models.nets.modular_transformer import ModularTransformer
from paribus.stats.effects import established
from paribus.stats.interchanged import NAME as INTERCHANGED
from paribus.stats.intervals import NO_SAMPLE
from paribus.stats.spec import StatsSpec
from paribus.subjects.handed import digest_of, handed_contexts, let_go
from paribus.subjects.tokens.data import modular_addition
from paribus.subjects.tokens.factors import TokenAt
from paribus.subjects.tokens.subject import TokenSubject

P, PLACE = 7, "blocks.0"
TOKEN = TokenAt(position=1, tokens=[1, 2, 3])
STEERED = factors.Directions(alphas=[-1.0, 1.0, 2.0])
TYPES = (
    Ablate(factor=factors.Units(ids=[0, 1, 2]), place=PLACE, ks=[2]),
    ActivationPatching(ks=[1, 2], n_donors=2),
    Cores(factor=factors.Units(ids=[0, 1, 2]), place=PLACE, n_units=3),
    Grid(factor=TOKEN, other=STEERED, place=PLACE, readout="label_margin"),
    HeadAblation(ks=[1], ablations=["mean"]),
    Interact(factor=factors.Units(ids=[0, 1, 2]), place=PLACE, n_units=3),
    LatentIntervention(latents=[1], place=PLACE, set_to=["zero", "max"]),
    Patch(factor=factors.Patch(donors="other_label"), place=PLACE, n_donors=2),
    Probe(place=PLACE),
    ScanFeatures(place=PLACE, most_levels=3),
    Swap(factor=TOKEN),
    Sweep(factor=STEERED, place=PLACE),
    Sweep(factor=TOKEN),
)
TESTED = ("p", "p_adj", "trend_p", "ci_low", "ci_high", "ci_adj_low", "ci_adj_high", "inclusion")


def made():
    torch.manual_seed(0)
    data = modular_addition(P, 0.3, 0)
    network = ModularTransformer(P, d_model=8, n_heads=2).eval()
    setup = NetworkSetup(
        seed=0,
        stats=StatsSpec(n_null=4, n_bootstrap=100, n_permutations=99),
        contexts=TokenSubject(data),
        network=network,
        data=data,
        parts={PLACE: random_sae(8, 12, torch.Generator().manual_seed(1), by_position=True)},
    )
    return setup


def found(experiment):
    recorder = MemoryRecorder()
    result = perform(experiment, made(), recorder)
    return result, recorder


@pytest.mark.parametrize("experiment", TYPES, ids=lambda one: one.type)
def test_nothing_is_inferred_over_all_contexts_there_are(experiment):
    result, recorder = found(experiment)
    tested = 0
    for table in recorder.tables.values():
        frame = table.frame
        ends = [name for name in frame if name.endswith(("_low", "_high")) and "null_" not in name]
        for name in {*ends, *TESTED} & set(frame):
            assert frame[name].isna().all(), f"{table.name}.{name}"
            tested += 1
        for name in (name for name in frame if name.endswith("_method")):
            assert frame[name].eq(NO_SAMPLE).all(), f"{table.name}.{name}"
        if "established" in frame:
            assert frame["established"].eq("complete").all() and frame["mean_delta"].notna().any()
            assert not established(frame, level=0.05).any()
        assert "null" not in frame or not frame["null"].eq(INTERCHANGED).any(), "made of the contexts themselves"
    assert tested and "n_established" not in recorder.metrics and "n_established" not in result.aggregates.custom
    assert result.aggregates.custom["population"] == "complete"
    assert not any("established" in line or "undecided" in line for line in result.aggregates.custom["summary"])
    for figure in recorder.figures:
        assert "outline" not in figure.columns and "95 % interval" not in figure.caption
    if isinstance(experiment, HeadAblation | Sweep):
        draw(recorder.figures[0], {name: one.frame for name, one in recorder.tables.items()})


@pytest.mark.parametrize(
    ("experiment", "asked", "n"),
    [(TYPES[0], {"n_contexts": 15}, 15), (TYPES[1], {"n_contexts": 15}, 15), (TYPES[0], {"fit_split": "id_val"}, 17)],
    ids=["drawn", "pairs drawn", "half of them"],
)
def test_a_sample_of_them_is_tested(experiment, asked, n):
    assert isinstance(experiment, Generic)
    result, recorder = found(replace(experiment, **asked))
    frame = next(iter(recorder.tables.values())).frame
    assert frame["n"].max() == n and frame["p"].notna().all() and frame["ci_low"].notna().any()
    assert set(frame["established"]) <= {True, False} and "population" not in result.aggregates.custom


def test_halves_and_signs_of_all_there_are_are_refused():
    setup = made()
    for kind in (SplitHalf, ShuffleNull):
        with pytest.raises(ConfigError, match="are all there are, so that their halves and signs are no sample"):
            kind(target=replace(TYPES[0], factor=factors.Units(ids=list(range(8))))).validate(setup)


def test_contexts_handed_over_may_be_all_there_are():
    x = np.stack(np.meshgrid([0.0, 1.0], [0.0, 1.0], [0.0, 1.0]), -1).reshape(-1, 3)
    some, whole = (paribus.Contexts(inputs=x, complete=complete) for complete in (False, True))
    assert digest_of(some) != digest_of(whole)
    spec = handed_contexts(whole)
    assert spec.load().notes[0].startswith("population: complete. These are all 8 contexts")
    let_go(spec)
