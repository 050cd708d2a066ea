"""What a request needs its subject to set up, and checks of the number format."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import torch

from paribus.errors import ConfigError
from paribus.experiments.asked import Asked
from paribus.experiments.base import KEPT_RUNS, STEP_RESULTS, Experiment
from paribus.running import caches
from paribus.running.contents import contents, fingerprint, without_start
from paribus.running.resolved import Resolved
from paribus.tracking.interface import Store

DEFAULT_DTYPE = "float32"
WITHOUT_MODEL = (KEPT_RUNS, STEP_RESULTS)
"""Subjects whose experiments run no model."""


class Caches:
    """The caches shared by the jobs of this process."""

    def data(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the data set cached under ``key``, making it if necessary."""
        return caches.data_sets.get(key, make)

    def model(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the model cached under ``key``, making it if necessary."""
        return caches.models.get(key, make)

    def key(self, node: Any) -> str:
        """Return a digest of everything that determines what a spec makes."""
        return fingerprint(node)

    def contents(self, node: Any) -> str:
        """Return a digest of the files and the code of a spec."""
        return contents(node).digest()

    def network_key(self, node: Any) -> str:
        """Return the key of a trained network."""
        return fingerprint(without_start(node))


def asked(resolved: Resolved, store: Store) -> Asked:
    """Return what a resolved request needs its subject to set up."""
    request = resolved.request
    device = request.nodes["device"]
    return Asked(
        experiment=request.experiment,
        subject=request.subject,
        nodes=request.nodes,
        options=request.choices,
        seed=request.seed,
        shared=Caches(),
        store=store,
        checkpoint=request.checkpoint,
        step=request.step,
        named_fields=request.named_fields,
        trained=resolved.source,
        other=resolved.other,
        given=resolved.given,
        runs=request.runs,
        tracked=request.tracking.kind != "off",
        study=request.tracking.experiment,
        beside=None if resolved.beside is None else asked(resolved.beside, store),
        basics={
            "seed": request.seed,
            "stats": request.nodes["stats"],
            "device": device.resolve(),
            "batch_limit": device.batch_limit,
            "dtype": device.dtype,
        },
    )


def refuse_format(experiment: Experiment, device: Any, *, step: str | None = None) -> None:
    """Refuse a number format that would have no effect on an experiment.

    Args:
        experiment: The experiment.
        device: The ``device`` group.
        step: Its name, where it is a step of a sequence; there, one that runs no model at all is allowed.

    Raises:
        ConfigError: If a format other than float32 is requested and the experiment does not run the model in it.
    """
    if device.dtype == DEFAULT_DTYPE or experiment.takes_dtype:
        return
    trains = experiment.produces_model
    if step is not None and not trains and experiment.subject in WITHOUT_MODEL:
        return
    why = (
        "trains in float32; train the model by itself and measure it with model=tracked in this format"
        if trains
        else "does not run a model in the format that is asked for"
    )
    where = f"step {step}: " if step is not None else ""
    raise ConfigError(f"device.dtype={device.dtype}: {where}{experiment.type} {why}; use device.dtype={DEFAULT_DTYPE}")


def refuse_default_format() -> None:
    """Refuse to work if torch's default dtype is not float32.

    Networks and arrays would silently have it, and it is no part of the identity.

    Raises:
        ConfigError: If ``torch.set_default_dtype`` was called.
    """
    if torch.get_default_dtype() is not torch.float32:
        raise ConfigError(
            f"torch.get_default_dtype() is {torch.get_default_dtype()}; set it back to torch.float32 and choose the "
            "number format with device.dtype"
        )
