"""Designs of many levels are measured block by block: the same tables, and no more memory with more contexts."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from paribus.experiments.base import perform
from paribus.experiments.builds.conditional_interactions import ConditionalInteractions
from paribus.experiments.builds.family_1d_sweep import Family1dSweep
from paribus.experiments.builds.family_2d_heatmap import Family2dHeatmap
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.builds.pairwise_interactions import PairwiseInteractions
from paribus.experiments.builds.within_family_interference import WithinFamilyInterference
from paribus.experiments.recording import MemoryRecorder
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds import subject
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.planted_feature import PlantedFeature

NAMES = ["QR", "SS", "SSU", "SCU"]
COSTLY = {
    "sweep": Family1dSweep(family="SSU", placebo_contexts=0),
    "interference": WithinFamilyInterference(),
    "heatmap": Family2dHeatmap(family_x="QR", family_y="SS", rungs_x=[3, 12, 29]),
    "pairs": PairwiseInteractions(candidates=NAMES),
    "shapley": PairwiseInteractions(candidates=NAMES, method="sii"),
    "conditional": ConditionalInteractions(candidates=NAMES[:3], modulator="SCU"),
}


def setup_of(n_builds, feature="noisy"):
    return build_setup(
        data=BuildsGenerated(n_builds=n_builds, seed=6).load(),
        model=Planted(),
        feature=PlantedFeature(feature),
        seed=0,
        stats=StatsSpec(n_bootstrap=100, n_permutations=99, n_null=10),
    )


def _numbers(custom):
    return {name: value for name, value in custom.items() if isinstance(value, int | float)}


@pytest.mark.parametrize("kind", COSTLY)
def test_blocks_change_no_table(kind, monkeypatch):
    before = perform(COSTLY[kind], setup_of(150), MemoryRecorder())
    monkeypatch.setattr(subject, "CHUNK_CELLS", 40 * 13)
    after = perform(COSTLY[kind], setup_of(150), MemoryRecorder())
    assert after.diagnostics.engine.n_requested == before.diagnostics.engine.n_requested
    for name, table in before.tables.items():
        numbers = table.frame.select_dtypes("number").columns
        np.testing.assert_allclose(table.frame[numbers], after.tables[name].frame[numbers], atol=2e-6, rtol=1e-4)
    assert _numbers(before.aggregates.custom) == pytest.approx(_numbers(after.aggregates.custom), abs=2e-6, rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "n"),
    [
        ("sweep", 2000),
        pytest.param("interference", 500, marks=pytest.mark.soak),
        ("heatmap", 500),
        ("pairs", 500),
        pytest.param("conditional", 500, marks=pytest.mark.soak),
    ],
)
def test_memory_does_not_grow_with_the_contexts(kind, n, monkeypatch):
    monkeypatch.setattr(subject, "CHUNK_CELLS", subject.CHUNK_CELLS // 2)
    perform(COSTLY[kind], setup_of(60, "and"), MemoryRecorder())  # what is imported or made once is not counted
    peaks = []
    for n_builds in (n, 4 * n):
        setup = setup_of(n_builds, "and")
        setup.describe(MemoryRecorder())
        tracemalloc.start()
        perform(COSTLY[kind], setup, MemoryRecorder())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], peaks
