"""What Hydra finds of Paribus: its sweeper, which the entrypoint chooses, and the launcher ``workers``.

Hydra reads every module of this namespace at every start, and more than once: what does the work is elsewhere, and
is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class WorkersLauncher(Launcher):
    """Processes of this machine share the jobs (``workers=N``)."""

    def __init__(self, n: Any = None) -> None:
        """Take the number of workers, which is in the batch of the task as well."""
        self.n = n
        self.does: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Get ready."""
        from paribus.sweep.launcher import Workers

        self.does = Workers(task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs of the task's batch."""
        self.does.launch()
        return ()


class RayLauncher(Launcher):
    """Tasks of a Ray cluster (``hydra/launcher=ray``)."""

    def __init__(self, init: Any = None, remote: Any = None) -> None:
        """Take the arguments of ``ray.init`` and what a task needs."""
        self.init, self.remote = init, remote
        self.does: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Get ready."""
        from paribus.sweep.on_ray import OnRay

        self.does = OnRay(task_function, config, init=self.init, remote=self.remote)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs of the task's batch."""
        self.does.launch()
        return ()


class BatchSweeper(Sweeper):
    """Runs the jobs that the entrypoint has composed and checked."""

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None) -> None:
        """Take what Hydra's basic sweeper takes; what ``params`` say is in the batch already."""
        self.max_batch_size = max_batch_size
        self.does: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Get ready."""
        from paribus.sweep.sweeper import Sweep

        self.does = Sweep(hydra_context, task_function, config, most=self.max_batch_size)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs; the words of the command line have been expanded before."""
        return self.does.run()


for kind, name, target, settings in (
    ("launcher", "workers", "WorkersLauncher", {"n": None}),
    ("launcher", "ray", "RayLauncher", {"init": {}, "remote": {"num_cpus": 1, "num_gpus": 0}}),
    ("sweeper", "paribus", "BatchSweeper", {"max_batch_size": None, "params": None}),
):
    node = {"_target_": f"hydra_plugins.paribus_sweeps.{target}", **settings}
    ConfigStore.instance().store(group=f"hydra/{kind}", name=name, node=node, provider="paribus")
