"""A small setup on planted features, for the experiments on builds."""

from __future__ import annotations

import pytest


@pytest.fixture
def planted_run():
    """Return ``run(experiment, feature, **changes)``: an experiment performed on the planted model."""
    from paribus.experiments.base import MemoryRecorder, perform
    from paribus.experiments.setup_builds import build_setup
    from paribus.features.planted import PlantedFeature
    from paribus.models.planted import Planted
    from paribus.stats.spec import StatsSpec
    from paribus.subjects.builds.generated import BuildsGenerated

    def run(experiment, feature, *, n_builds=250, seed=1, data=None, stats=None, **changes):
        setup = build_setup(
            data=BuildsGenerated(n_builds=n_builds, seed=seed, **(data or {})),
            model=Planted(),
            feature=PlantedFeature(feature),
            seed=0,
            stats=StatsSpec(**({"n_bootstrap": 200, "n_permutations": 999, "n_null": 50} | (stats or {}))),
            **changes,
        )
        result = perform(experiment, setup, MemoryRecorder())
        return result, setup

    return run
