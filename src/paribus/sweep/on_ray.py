"""The Hydra launcher ``ray``: the jobs of a sweep are tasks of a Ray cluster."""

from __future__ import annotations

import inspect
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from hydra.core.utils import configure_log
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from paribus.config.locate import conf_dir
from paribus.errors import ConfigError, nearest, one_line
from paribus.running.failures import WORKER
from paribus.sweep import outcome as outcomes
from paribus.sweep.batch import Batch, Policy, not_started
from paribus.sweep.live import Live
from paribus.sweep.outcome import Outcome
from paribus.sweep.task import Task
from paribus.sweep.workers.worker import Order, Start, context_of, done, orders
from paribus.tracking import login

log = logging.getLogger("paribus.sweep")
ANSWER_SECONDS = 5.0
"""Seconds in which the address of a cluster must take a connection."""
RAY = "hydra_plugins.paribus_sweeps.RayLauncher"
"""The launcher's name among Hydra's plug-ins."""


class OnRay:
    """Submits the jobs of a batch to Ray, which runs as many at once as the cluster has room for.

    Every node must see the working folder under the same path, and a store that several machines can write to: a
    tracking server; a cluster whose nodes are all on this machine can use the embedded one.
    """

    def __init__(self, task: object, config: DictConfig, *, init: Any, remote: Any) -> None:
        """Take Hydra's arguments.

        Args:
            task: The job function.
            config: The configuration of the sweep.
            init: Arguments of ``ray.init``, such as ``address``.
            remote: Resources of a job as options of a Ray task, such as ``num_cpus`` and ``num_gpus``.

        Raises:
            ConfigError: If the task is not one of the entrypoint's, or see :func:`check`.
        """
        if not isinstance(task, Task) or task.batch is None:
            raise ConfigError("hydra/launcher=ray: runs sweeps of paribus alone")
        self._ray = check(init, remote)
        self._task, self._batch, self._config = task, task.batch, config
        self._init, self._remote = _plain(init), _plain(remote)

    def launch(self) -> None:
        """Run the jobs; their outcomes are in ``task.ended``."""
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        ray, mine = self._ray, not self._ray.is_initialized()
        if mine:
            ended_by = signal.getsignal(signal.SIGTERM)
            ray.init(**{"log_to_driver": False, "include_dashboard": False, **self._init})
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, ended_by)  # Ray's own handler would abort the sweep
        try:
            self._run(self._batch)
        finally:
            if mine:
                ray.shutdown()

    def _run(self, batch: Batch) -> None:
        ray, task, policy = self._ray, self._task, Policy(batch.settings)
        start = ray.put(Start(self._config, conf_dir(), replace(task.surroundings, workers_are_children=False)))
        run = ray.remote(**_options(self._remote))(run_order)
        todo, needs = orders(batch), asked(self._remote)
        going: dict[Any, Order] = {}
        with Live(batch, workers=min(max(1, room(ray.nodes(), needs)), len(todo))) as live:
            while todo or going:
                places = room(ray.nodes(), needs)  # nodes come and go
                if not places and todo:
                    live.heard(
                        f"no node of the Ray cluster has room for a job ({_said(needs)}): waits for one that has"
                    )
                while todo and len(going) < max(1, places) and policy.stopped is None:
                    if todo[0].last and any(not order.last for order in going.values()):
                        break
                    order = replace(todo.pop(0), waits=True)
                    going[run.remote(start, order, os.environ.get(login.VARIABLE, ""))] = order
                    live.told(order.number, None, len(going))
                if not going:
                    break
                ready, _ = ray.wait(list(going), num_returns=1)
                order = going.pop(ready[0])
                ended = self._outcome(ready[0], order)
                policy.ended(ended)
                task.ended.append(ended)
                live.told(order.number, ended, len(going))
        left = [order.number for order in todo]
        task.ended += not_started(left, batch.words, task.surroundings.sweep, policy.stopped or "")

    def _outcome(self, reference: Any, order: Order) -> Outcome:
        try:
            ended: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            message = f"its Ray task was lost ({one_line(str(error))[:200]}); the same command runs it again"
            sweep = self._task.surroundings.sweep
            return Outcome(outcomes.FAILED, order.words, sweep, message=message, kind=WORKER, number=order.number)
        return replace(ended, number=order.number)


def check(init: Any, remote: Any) -> Any:
    """Return the package ``ray``, if it can be started with these arguments; nothing is started.

    Raises:
        ConfigError: If Ray is not installed, knows no such argument of ``ray.init`` or option of a task, or nothing
            answers at its address.
    """
    try:
        import ray  # an optional package
    except ImportError:
        raise ConfigError("hydra/launcher=ray: Ray is not installed; pip install 'paribus[ray]'") from None
    known = [name for name in inspect.signature(ray.init).parameters if name != "kwargs"]
    for name in _plain(init):
        if name not in known and not name.startswith("_"):
            raise ConfigError(f"hydra.launcher.init.{name}: ray.init has no such argument; {nearest(name, known)}")
    try:
        ray.remote(**_options(_plain(remote)))(run_order)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"hydra.launcher.remote: {one_line(str(error))}") from None
    _refuse_unreachable(_plain(init).get("address"))
    return ray


def _refuse_unreachable(asked: str | None) -> None:
    """Refuse an address at which nothing answers, which Ray itself would try for minutes.

    Args:
        asked: ``address`` of ``ray.init``; where it names no machine, Ray takes that of the environment.

    Raises:
        ConfigError: If no connection can be made.
    """
    named = asked if asked and asked != "auto" else os.environ.get("RAY_ADDRESS", "")
    try:
        parts = urlsplit(named if "://" in named else f"ray://{named}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"hydra/launcher=ray: {named} is no address of a Ray cluster ({error})") from None
    if parts.scheme != "ray" or host is None or port is None:
        return
    try:
        socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"hydra/launcher=ray: no cluster answers at {named} ({error.strerror or error}); try ray start --head"
        ) from None


def _options(remote: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a task; one that is lost with its process is a failed job, which the same command runs."""
    return {"max_retries": 0, "num_cpus": 1, **remote}


def asked(remote: Mapping[str, Any]) -> dict[str, float]:
    """Return how much of each resource of a node a job takes, by Ray's names of them.

    Example:
        >>> asked({"num_cpus": 2, "num_gpus": 0.5, "resources": {"disk": 1}})
        {'CPU': 2, 'GPU': 0.5, 'disk': 1}
        >>> asked({"num_cpus": 0})  # one for each processor, rather than without end
        {'CPU': 1}
    """
    said = {"CPU": remote.get("num_cpus", 1), "GPU": remote.get("num_gpus"), "memory": remote.get("memory")}
    takes = {name: amount for name, amount in {**said, **(remote.get("resources") or {})}.items() if amount}
    return takes or {"CPU": 1}


def room(nodes: Iterable[Mapping[str, Any]], needs: Mapping[str, float]) -> int:
    """Return how many jobs the nodes of a cluster (``ray.nodes()``) can run at once: no job is spread over two.

    Example:
        >>> room([{"Alive": True, "Resources": {"CPU": 3.0}}] * 2, {"CPU": 2})
        2
    """
    return sum(
        min(math.floor(node["Resources"].get(name, 0.0) / amount + 1e-9) for name, amount in needs.items())
        for node in nodes
        if node["Alive"]
    )


def _said(needs: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in needs.items())


def _plain(node: Any) -> dict[str, Any]:
    found = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


_contexts: dict[str, HydraContext] = {}


def run_order(start: Start, order: Order, logins: str) -> Outcome:
    """Run one job in a Ray process, which is reused for further jobs and keeps what they load."""
    os.environ[login.VARIABLE] = logins
    key = f"{start.surroundings.sweep}"
    if key not in _contexts:
        _contexts.clear()
        _contexts[key] = context_of(start)
    return done(order, start, _contexts[key])
