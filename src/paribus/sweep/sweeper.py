"""The Hydra sweeper of Paribus: runs the jobs that the entrypoint has composed, checked and identified."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from paribus.errors import ConfigError
from paribus.sweep import collector
from paribus.sweep import outcome as outcomes
from paribus.sweep.batch import Batch, Policy, not_started
from paribus.sweep.live import Live
from paribus.sweep.loader import NUMBER, NumberedLoader, SweepLoader, run_one
from paribus.sweep.on_ray import RAY
from paribus.sweep.processors import one_gpu
from paribus.sweep.task import Task

log = logging.getLogger("paribus.sweep")
HERE = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""Hydra's own launcher, by name, because Hydra re-imports its plug-ins and classes of different imports differ."""
WORKERS = "hydra_plugins.paribus_sweeps.WorkersLauncher"
OURS = (HERE, WORKERS, RAY)
"""Launchers that take the jobs from the batch or run in this process."""
ON_THIS_MACHINE = (
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
)
"""Third-party launchers whose jobs would all see the same GPUs and use the first."""


class Sweep:
    """Passes the jobs of the task's batch to the launcher; without one, runs them here sequentially."""

    def __init__(self, context: HydraContext, task: object, config: DictConfig, *, most: int | None = None) -> None:
        """Set up the launcher with a loader that composes each choice of groups once.

        Args:
            context: Hydra's loader and callbacks.
            task: The job function.
            config: The configuration of the sweep.
            most: Maximum number of jobs that a launcher gets at once.

        Raises:
            ConfigError: If the task is not one of the entrypoint's.
        """
        if not isinstance(task, Task) or task.batch is None:
            raise ConfigError("hydra/sweeper=paribus: runs sweeps of paribus alone")
        assert isinstance(context.config_loader, ConfigLoaderImpl)
        launcher = config.hydra.launcher.get("_target_", "")
        ours, self._here = launcher in OURS, launcher == HERE
        own = _gpus(task.batch) if launcher in ON_THIS_MACHINE else None
        loader = SweepLoader(context.config_loader) if ours else NumberedLoader(context.config_loader, own)
        self._context = HydraContext(config_loader=loader, callbacks=context.callbacks)
        self._task, self._batch, self._config, self._most = task, task.batch, config, most
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self._context, task_function=task, config=config
        )

    def run(self) -> None:
        """Run the jobs."""
        task, batch, config = self._task, self._batch, self._config
        folder = Path(str(config.hydra.sweep.dir))
        folder.mkdir(parents=True, exist_ok=True)
        config.hydra.overrides.task = list(batch.asked)
        OmegaConf.save(config, folder / "multirun.yaml")
        if self._here:
            with collector.seldom():
                self._run_here(task, batch, config)
            return
        for among in (False, True):
            numbers = [number for number in batch.todo if (number in batch.last) is among]
            words = [[*batch.words[number], f"{NUMBER}{number}"] for number in numbers]
            size = max(1, self._most or len(words))
            for first in range(0, len(words), size):
                self._launcher.launch(words[first : first + size], initial_job_idx=first)

    def _run_here(self, task: Task, batch: Batch, config: DictConfig) -> None:
        setup_globals()
        policy = Policy(batch.settings)
        live = Live(batch)
        for place, number in enumerate(batch.todo):
            configure_log(config.hydra.hydra_logging, config.hydra.verbose)
            log.info("%s", live.heading(number))
            found = outcomes.read(run_one(self._context, config, task, number, batch.words[number]))
            if found is not None:
                policy.ended(found)
                live.note(found)
            if policy.stopped is not None:
                rest: Sequence[int] = batch.todo[place + 1 :]
                task.ended += not_started(rest, batch.words, task.surroundings.sweep, policy.stopped)
                break
        configure_log(config.hydra.hydra_logging, config.hydra.verbose)


def _gpus(batch: Batch) -> Callable[[int], Mapping[str, str]]:
    """Return the environment variables by which each job sees one GPU, taken in turn."""
    return partial(one_gpu, there=batch.places, device=batch.device)
