"""Which file knows how to set an experiment of a subject up."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING, Any, Protocol

import paribus.running.subjects
from paribus.errors import ConfigError, nearest

if TYPE_CHECKING:
    from paribus.experiments.base import Experiment, Setup
    from paribus.running.resolved import Resolved
    from paribus.tracking.interface import Store


class SetupBuilder(Protocol):
    """What ``paribus.running.subjects.<subject>`` offers; a module with these two functions is one.

    It may also offer ``notes(resolved, setup)``, which returns warnings that a result is to carry.
    """

    def validate(self, resolved: Resolved, store: Store) -> None:
        """Look up what the request names: files, layers, checkpoints; raise a ``ParibusError`` where one is wrong."""

    def setup(self, resolved: Resolved, store: Store, *, identity: str) -> Setup:
        """Load what the experiment works on."""


DEFAULT_DTYPE = "float32"
WITHOUT_MODEL = ("runs", "results")
"""Subjects whose experiments run no model."""
_registered: dict[str, Any] = {}


def register(subject: str, builder: SetupBuilder) -> None:
    """Make a subject from outside Paribus known under its name."""
    _registered[subject] = builder


def registered(subject: str) -> SetupBuilder | None:
    """Return what was registered for a subject from outside, None for one of Paribus's own."""
    found: SetupBuilder | None = _registered.get(subject)
    return found


def subjects() -> tuple[str, ...]:
    """Return the names of all subjects, sorted."""
    shipped = (module.name for module in pkgutil.iter_modules(paribus.running.subjects.__path__))
    return tuple(sorted({*shipped, *_registered}))


def builder(subject: str) -> SetupBuilder:
    """Return what sets experiments of a subject up.

    Raises:
        ConfigError: If there is no such subject.
    """
    if subject in _registered:
        registered: SetupBuilder = _registered[subject]
        return registered
    if subject not in subjects():
        raise ConfigError(f"experiment.subject: nothing is known about {subject!r}; {nearest(subject, subjects())}")
    found: Any = importlib.import_module(f"paribus.running.subjects.{subject}")
    shipped: SetupBuilder = found
    return shipped


def refuse_format(experiment: Experiment, device: Any, *, step: str | None = None) -> None:
    """Refuse a number format that would have no effect on an experiment.

    Args:
        experiment: The experiment.
        device: The ``device`` group.
        step: Its name, where it is a step of a sequence; there, one that runs no model at all is allowed.

    Raises:
        ConfigError: If another format than float32 is asked for and the experiment does not run the model in it.
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
    """Refuse to work where the process makes all new numbers in another format than float32.

    Networks and arrays would silently be in it, and no identity says so.

    Raises:
        ConfigError: If ``torch.set_default_dtype`` was called.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_default_dtype() is not torch.float32:
        raise ConfigError(
            f"torch.get_default_dtype() is {torch.get_default_dtype()}; set it back to torch.float32 and choose the "
            "number format with device.dtype"
        )


def basics(resolved: Resolved) -> dict[str, Any]:
    """Return the arguments that every setup takes: seed, statistics, device, batch limit and number format."""
    request = resolved.request
    device = request.nodes["device"]
    return {
        "seed": request.seed,
        "stats": request.nodes["stats"],
        "device": device.resolve(),
        "batch_limit": device.batch_limit,
        "dtype": device.dtype,
    }
