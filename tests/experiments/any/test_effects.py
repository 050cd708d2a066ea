"""What holds for every table of effects, whatever the experiment."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paribus.experiments.any._effects import Part, Reported, effects
from paribus.experiments.any._session import Rows
from paribus.experiments.any.ablate.spec import Ablate
from paribus.experiments.any.interact.spec import Interact
from paribus.experiments.base import perform
from paribus.experiments.recording import MemoryRecorder
from paribus.factors.spec import Units
from paribus.measure import Contexts
from paribus.stats.clusters import reduce_to_clusters

from .conftest import setup_of

N = 40


def test_an_adjusted_p_of_flips_of_its_own_is_never_below_p():
    """Both are shares of drawn flips, of other draws each: by chance the adjusted one may come out smaller."""
    contexts, rng, equal = Contexts(inputs=torch.zeros(N, 1)), np.random.default_rng(0), 0
    for seed in range(6):
        setup = setup_of(torch.nn.Linear(1, 1), contexts, seed=seed, n_permutations=199, n_bootstrap=100)
        to = Reported(setup, MemoryRecorder(), "output", Rows(np.arange(N), np.empty(0, np.int64), "all"))
        sums = reduce_to_clusters(rng.normal(0.2, 1, (1, N)), np.arange(N))
        (row,) = effects(to, [Part(0, [{"level": "one"}], sums)], what="A row.", largest=True).to_dict("records")
        assert row["p_adj"] >= row["p"]
        equal += row["p_adj"] == row["p"]
    assert 0 < equal < 6, "some were smaller, not all"


@pytest.mark.parametrize(
    ("ablation", "readout", "warned"), [("mean", "output", 1), ("zero", "output", 0), ("mean", "kl", 0)]
)
def test_an_order_that_is_chance_by_construction_is_called_so(ablation, readout, warned):
    """A mean of a linear readout does not change when its inputs are set to their means."""
    torch.manual_seed(0)
    contexts = Contexts(inputs=torch.randn(N, 4), splits={"train": np.arange(20), "test": np.arange(20, N)})
    asked = Ablate(place="auto", factor=Units(ablation=ablation), readout=readout, outputs=["1"][: readout == "output"])
    recorder = MemoryRecorder()
    perform(asked, setup_of(torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(4, 3)), contexts), recorder)
    assert sum("linear in them" in one for one in recorder.diagnostics.warnings) == warned


def test_a_divergence_is_bounded_by_0_and_what_is_made_of_several_is_tested():
    """Its interval ended below 0; interactions in it had no test, for the reason that they are never below 0."""
    torch.manual_seed(0)
    x = torch.randn(N, 4) * torch.rand(N, 1) ** 4
    contexts = Contexts(inputs=x, splits={"train": np.arange(20), "test": np.arange(20, N)})
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3))
    setup, units = setup_of(network, contexts), Units(ablation="zero")
    alone = perform(Ablate(place="1", factor=units, readout="kl"), setup, MemoryRecorder()).tables["effects"].frame
    found = perform(Interact(place="1", factor=units, readout="kl"), setup, MemoryRecorder()).tables
    joint, presence = found["effects"].frame, found["presence"].frame
    for frame, ends in ((alone, (0, np.inf)), (presence, (-np.inf, 0))):
        assert frame["p"].isna().all() and (frame["ci_low"] < frame["ci_high"]).all()
        assert frame[["ci_low", "ci_high", "ci_adj_low", "ci_adj_high"]].stack().between(*ends).all()
    assert (joint["mean_delta"] < 0).any() and joint["p"].notna().all() and (joint["p_method"] == "monte_carlo").all()


def test_a_warning_names_rows_by_their_table_and_direction():
    contexts = Contexts(inputs=torch.zeros(N, 1))
    to = Reported(
        setup_of(torch.nn.Linear(1, 1), contexts),
        MemoryRecorder(),
        "output",
        Rows(np.arange(N), np.empty(0, np.int64), "all"),
    )
    sums = reduce_to_clusters(np.tile(np.r_[np.zeros(N - 1), 10.0], (2, 1)), np.arange(N))
    rows = [{"level": "L0H1", "direction": way} for way in ("denoise", "noise")]
    effects(to, [Part(0, rows, sums)], name="patches", what="A row.")
    assert any(
        one.startswith("patches: ") and "(L0H1 denoise, L0H1 noise)" in one for one in to.recorder.diagnostics.warnings
    )
