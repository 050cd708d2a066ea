"""Shared by the trainings of set models."""

from __future__ import annotations

from torch import nn

from paribus.errors import ConfigError
from paribus.experiments.builds.setup import BuildSetup

CHOSEN = "best on the validation builds"
"""What the kept state of a set model is, for readers."""


def trainable(setup: BuildSetup) -> nn.Module:
    """Return the network to train.

    Raises:
        ConfigError: If the model learns nothing.
    """
    network = setup.model.network
    if setup.model.reads_source or not any(p.requires_grad for p in network.parameters()):
        raise ConfigError(f"model={setup.model.name} is not trained; use model=set_completion_small or set_completion")
    return network
