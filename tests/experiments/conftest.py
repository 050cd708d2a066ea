"""A small setup on planted features, for the experiments on builds."""

from __future__ import annotations

import pytest


@pytest.fixture
def planted_run():
    """Return ``run(experiment, feature, **changes)``: an experiment performed on the planted model; ``run.setup``."""
    from paribus.experiments.base import perform
    from paribus.experiments.builds.loading import build_setup
    from paribus.experiments.recording import MemoryRecorder
    from paribus.stats.spec import StatsSpec
    from paribus.subjects.builds.generated import BuildsGenerated
    from paribus.subjects.builds.models.planted import Planted
    from paribus.subjects.builds.planted_feature import PlantedFeature

    def setup(feature, *, n_builds=250, seed=1, data=None, stats=None, model=None, **changes):
        return build_setup(
            data=BuildsGenerated(n_builds=n_builds, seed=seed, **(data or {})),
            model=Planted() if model is None else model,
            feature=PlantedFeature(feature),
            seed=0,
            stats=StatsSpec(**({"n_bootstrap": 200, "n_permutations": 999, "n_null": 50} | (stats or {}))),
            **changes,
        )

    def run(experiment, feature, **changes):
        made = setup(feature, **changes)
        return perform(experiment, made, MemoryRecorder()), made

    run.setup = setup
    return run


@pytest.fixture(scope="session")
def hard():
    """Return the module :file:`hard_features.py`, with ``hard.MODEL`` among its names."""
    import importlib.util
    import sys
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("hard_features", Path(__file__).with_name("hard_features.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
