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


def cpu_state(module: nn.Module) -> dict[str, Any]:
    """Return a copy of a module's state on the CPU."""
    return {name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items()}


def history_table(rows: Sequence[dict[str, Any]], meanings: dict[str, str]) -> Table:
    """Return the history of a training, one row per evaluation."""
    return Table(
        name="history",
        description="One row per evaluation during training.",
        evidence=Evidence.TRAINING,
        frame=pd.DataFrame(list(rows), columns=list(meanings)),
        columns=meanings,
    )


def checkpoint_table(epoch: int) -> Table:
    """Return the index of what was kept: the one best state."""
    return Table(
        name="checkpoints",
        description="One row per checkpoint that was kept.",
        evidence=Evidence.TRAINING,
        frame=pd.DataFrame(
            {"epoch": [epoch], "checkpoint": [checkpoint_name(epoch)], "peak_val": [True], "final": [True]}
        ),
        columns={"peak_val": "best on the validation builds"},
    )


def history_figure(name: str, y: str, title: str, caption: str, *, x: str, ylabel: str) -> Figure:
    """Return the curve of one column of the history."""
    return Figure(
        name=name,
        kind="curve",
        tables=("history",),
        columns={"x": x, "y": y},
        title=title,
        caption=caption,
        options={"xlabel": x, "ylabel": ylabel},
    )
