"""Fields that apply to one kind of data only."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from paribus.errors import ConfigError
from paribus.experiments.base import Experiment


def refuse_said(experiment: Experiment, names: Collection[str], why: str) -> None:
    """Refuse those of the fields ``names`` that are not at their default: they do not apply to the data at hand.

    Raises:
        ConfigError: If one is set.

    Example:
        >>> from paribus.experiments.train_sae import TrainSAE
        >>> refuse_said(TrainSAE(top_k=4), ["top_k"], "belongs to others")
        Traceback (most recent call last):
        paribus.errors.ConfigError: experiment.top_k=4: belongs to others; leave it out
    """
    for declared in dataclasses.fields(experiment):
        said = getattr(experiment, declared.name)
        if declared.name in names and said != declared.default:
            raise ConfigError(f"experiment.{declared.name}={said}: {why}; leave it out")
