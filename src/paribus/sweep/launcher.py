"""The Hydra launcher ``workers``, which distributes the jobs of a sweep over processes of this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hydra.core.utils import configure_log
from omegaconf import DictConfig

from paribus.config.locate import conf_dir
from paribus.errors import ConfigError
from paribus.sweep.batch import Policy, not_started
from paribus.sweep.live import Live
from paribus.sweep.processors import environment
from paribus.sweep.task import Task
from paribus.sweep.workers.pool import Pool
from paribus.sweep.workers.worker import Start, orders


class Workers:
    """Distributes the jobs of a sweep to workers; their number is in the batch of the task (``workers=N``)."""

    def __init__(self, task: object, config: DictConfig) -> None:
        """Take Hydra's arguments.

        Raises:
            ConfigError: If the task is not one of the entrypoint's.
        """
        if not isinstance(task, Task) or task.batch is None:
            raise ConfigError("hydra/launcher=workers: runs sweeps of paribus alone")
        self._task, self._batch, self._config = task, task.batch, config

    def launch(self) -> None:
        """Run the jobs; their outcomes are in ``task.ended``."""
        task, batch, config = self._task, self._batch, self._config
        configure_log(config.hydra.hydra_logging, config.hydra.verbose)
        folder = Path(str(config.hydra.sweep.dir)).absolute() / "workers"
        start = Start(config, conf_dir(), task.surroundings)
        number = max(1, min(batch.workers, len(batch.todo)))
        policy = Policy(batch.settings)
        pool = Pool(number, start, folder, partial(environment, there=batch.places, device=batch.device))
        with Live(batch, workers=number) as live:
            left = pool.run(orders(batch), policy, live.told, task.ended, live.heard)
        task.ended += not_started(left, batch.words, task.surroundings.sweep, policy.stopped or "")
