"""Runs one experiment as a run of its own, on a model that is trained first where necessary."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.config.opened import recording
from paribus.engine.batches import heard_by
from paribus.errors import ConfigError
from paribus.experiments import plugins
from paribus.experiments.base import perform
from paribus.models.untrained import UNTRAINED
from paribus.running import caches, handed, inputs, keeping
from paribus.running.derived import keep_groups
from paribus.running.identify import Identified, identified
from paribus.running.kept_models import from_trained
from paribus.running.life import Living, live, once, spec_id
from paribus.running.on_model import with_source
from paribus.running.on_the_spot import recipe
from paribus.running.resolved import Resolved
from paribus.running.setup import asked, refuse_default_format, refuse_format
from paribus.running.tags import model_label, weights

if TYPE_CHECKING:
    from paribus.experiments.base import Setup
    from paribus.results.schema import Result
    from paribus.running.request import Request
    from paribus.running.source import ModelSource
    from paribus.tracking.interface import Store


def run_experiment(resolved: Resolved, store: Store, folder: Path, *, parent: str | None = None) -> Result:
    """Run one experiment as a run of its own, or take a finished run of the same identity.

    Args:
        resolved: The resolved request.
        store: Where runs are kept.
        folder: The run's output folder.
        parent: The run it is nested in.

    Raises:
        ExperimentError: If the experiment failed; the run is FAILED, and the error's ``run_id`` names it.
        ParibusError: If it turned out only now that the request is wrong.
        KeyboardInterrupt: On a signal; the run is KILLED.
    """
    request = resolved.request
    refuse_format(request.experiment, request.nodes["device"], step=request.step)
    refuse_default_format()
    resolved, known = known_run(resolved, store)

    def measure() -> Result:
        return _measured(trained(resolved, store, folder), store, folder, known=known, parent=parent)

    result = once(request, store, known.identity, measure, lambda result: inputs.check_run(result, store, resolved))
    keep_groups(result, store)
    return result


def known_run(resolved: Resolved, store: Store) -> tuple[Resolved, Identified]:
    """Return a resolved request with the runs that it is currently made from, and what determines its numbers.

    Args:
        resolved: The resolved request.
        store: Where runs are kept.
    """
    made_from = plugins.named(resolved.request.subject).made_from(asked(resolved, store))
    if made_from is None:
        return resolved, identified(resolved)
    resolved = replace(resolved, runs=made_from.runs)
    return resolved, identified(resolved, runs=made_from.digest)


def trained(resolved: Resolved, store: Store, folder: Path) -> Resolved:
    """Return a resolved request with an existing model: trained now, or from finished runs of the same identity.

    Args:
        resolved: A request whose model may only be planned.
        store: Where runs are kept.
        folder: The run's output folder; files of training runs go under it.

    Raises:
        ExperimentError: If a training fails.
        ConfigError: If the model is not trained and has no recipe.
    """
    if resolved.source is None or not resolved.source.planned:
        return resolved
    source: ModelSource | None = None
    for training in recipe(resolved.asked or resolved.request):
        step = with_source(training, source) if source is not None else Resolved(training, None)
        place = folder / training.experiment.type
        result = run_experiment(step, store, place)
        source = from_trained(result, step, store, place)
    if source is None:
        raise ConfigError(f"model: {resolved.source.label} is not trained, and nothing says how to")
    made = with_source(resolved.asked or resolved.request, source)
    return replace(made, asked=resolved.asked, beside=resolved.beside)


def _measured(resolved: Resolved, store: Store, folder: Path, *, known: Identified, parent: str | None) -> Result:
    """Set up and run an experiment as a run of its own, and keep the list of files that it read."""
    request, identity = resolved.request, known.identity

    def work(living: Living) -> Result:
        own = (living.run.folder, living.workspace.folder)
        plugin, wanted = plugins.named(request.subject), asked(resolved, store)
        with recording() as opened, heard_by(living.recorder.warn), caches.using() as used:
            setup = plugin.setup(wanted)
            for line in plugin.notes(wanted, setup):
                living.recorder.warn(line)
            if wanted.beside is not None:
                for line in plugin.notes(wanted.beside, setup):
                    living.recorder.warn(line)
            if weights(resolved) == UNTRAINED:
                living.recorder.warn("The model, or a part of it, is untrained: weights are drawn from the run's seed.")
            for line in handed.notes(request):
                living.recorder.warn(line)
            living.origin |= keeping.inputs_of(resolved, setup) | handed.keep(request, living.run)
            living.workspace.made_from(inputs.read_by(known, opened, own).digest())
            with inside(request, setup), used.unchanged() if known.code else contextlib.nullcontext():
                result = perform(
                    request.experiment,
                    setup,
                    living.recorder,
                    spec_id=spec_id(resolved, identity),
                    feature=setup.feature_name,
                    model=model_label(resolved),
                    subject=request.subject,
                )
        living.origin |= inputs.keep(inputs.read_by(known, opened, own), living.run)
        if known.code:
            living.origin["code"] = dict(known.code)
        return result

    return live(resolved, store, folder, identity=identity, parent=parent, work=work)


@contextlib.contextmanager
def inside(request: Request, setup: Setup) -> Iterator[None]:
    """Run an experiment in the requested folder, after its inputs were read."""
    if request.inside is None:
        yield
        return
    if "feature" in request.experiment.needs:
        setup.read_ahead()
    request.inside.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(request.inside):
        yield
