"""Shared by the trainings of set models: the published state, and tables and figures of their histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import nn

from paribus.errors import ConfigError
from paribus.experiments.builds.setup import BuildSetup
from paribus.results.evidence import Evidence
from paribus.results.schema import Figure, Table
from paribus.training.loops.workspace import checkpoint_name


def trainable(setup: BuildSetup) -> nn.Module:
    """Return the network to train.

    Raises:
        ConfigError: If the model learns nothing.
    """
    network = setup.model.network
    if setup.model.reads_source or not any(p.requires_grad for p in network.parameters()):
        raise ConfigError(f"model={setup.model.name} is not trained; use model=set_completion_small or set_completion")
    return network


def history_table(rows: Sequence[dict[str, Any]], meanings: dict[str, str]) -> Table:
    """Return the history of a training, one row per evaluation."""
    says = "One row per evaluation during training."
    return Table("history", says, Evidence.TRAINING, pd.DataFrame(list(rows), columns=list(meanings)), meanings)


def checkpoint_table(epoch: int) -> Table:
    """Return the index of what was kept: the one best state."""
    return Table(
        "checkpoints",
        "One row per checkpoint that was kept.",
        Evidence.TRAINING,
        pd.DataFrame({"epoch": [epoch], "checkpoint": [checkpoint_name(epoch)], "peak_val": [True], "final": [True]}),
        {"peak_val": "best on the validation builds"},
    )


def history_figure(name: str, y: str, title: str, caption: str, *, x: str, ylabel: str) -> Figure:
    """Return the curve of one column of the history."""
    return Figure.of("curve", "history", name=name, x=x, y=y).titled(title, caption, xlabel=x, ylabel=ylabel)
