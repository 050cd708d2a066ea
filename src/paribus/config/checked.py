"""From a composed tree to a checked job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from paribus.config.check import build, build_settings
from paribus.config.foreign import Foreign
from paribus.config.job import GROUPS, Job
from paribus.config.locate import target_object
from paribus.config.settings import NOT_SAID, OF_A_SWEEP, ClaimSettings, Settings
from paribus.errors import ConfigError, nearest
from paribus.spec import DataSpec

REQUIRED_GROUPS = ("device", "stats", "tracking", "experiment")
"""Groups that cannot be left empty."""

FIXED = {
    "device": "paribus.engine.device.DeviceSpec",
    "stats": "paribus.stats.spec.StatsSpec",
    "tracking": "paribus.tracking.spec.TrackingSpec",
    "training": "paribus.training.spec.TrainingSpec",
}
"""The class whose instances a group holds, where there is only one."""


class Checker:
    """Checks composed trees; what a node describes is built once, however many jobs hold it."""

    def __init__(self, options: Callable[[str], list[str]], folders: tuple[str, ...]) -> None:
        """Take what lists the options of a group, and the folders that a job remembers."""
        self._options, self._folders = options, folders
        self._built: dict[tuple[str, str], Any] = {}

    def job(
        self, overrides: tuple[str, ...], choices: Mapping[str, str | None], tree: Any, named: frozenset[str]
    ) -> Job:
        """Check a composed tree, build its nodes, and return it as a job.

        Args:
            overrides: The words that it was composed from.
            choices: The option chosen in each group.
            tree: The composition as plain data.
            named: The groups whose option the words name.

        Raises:
            ConfigError: If anything in it is wrong.
        """
        declared = [setting.name for setting in fields(Settings)]
        for key in tree:
            if key not in declared and key not in GROUPS:
                raise ConfigError(f"{key}: unknown key; {nearest(key, [*declared, *GROUPS, 'study'], show=20)}")
        settings = build_settings(Settings, {key: tree[key] for key in declared if key in tree})
        nodes = {group: self.node(group, tree.get(group)) for group in GROUPS}
        self._refuse_unmet_needs(nodes)
        _refuse_unprovided(nodes)
        unsaid = {key for key in NOT_SAID if getattr(settings, key) in (None, ClaimSettings())}
        kept = {key: value for key, value in tree.items() if key not in OF_A_SWEEP and key not in unsaid}
        given = {name: getattr(settings, name) for name in declared}
        return Job(overrides, choices, kept, nodes, **given, named=named, config_dirs=self._folders)

    def _refuse_unmet_needs(self, nodes: Mapping[str, Any]) -> None:
        experiment = nodes["experiment"]
        for group in ("data", "model", "feature"):
            needed = set(getattr(experiment, "needs", ())) - set(getattr(experiment, "may_lack", ()))
            if nodes[group] is None and group in needed:
                listed = nearest("", self._options(group), show=20)
                raise ConfigError(f"{group}: {experiment.type} needs one; say {group}=NAME; {listed}")

    def node(self, group: str, node: Any) -> Any:
        """Check and build the node of a group, each distinct one once; None where it is empty.

        Raises:
            ConfigError: If it is wrong, or the group cannot be empty.
        """
        if node is None:
            if group in REQUIRED_GROUPS:
                listed = nearest("", self._options(group))
                extra = " or study=NAME" if group == "experiment" else ""
                raise ConfigError(f"{group}: nothing is chosen; say {group}=NAME{extra}; {listed}")
            return None
        key = (group, repr(node))
        if key not in self._built:
            self._built[key] = _built_node(group, node)
        return self._built[key]


def _refuse_unprovided(nodes: Mapping[str, Any]) -> None:
    """Check that a function that makes the model has every argument, by itself or from the data.

    Where only loading the data tells what they provide, that is looked at when they are.

    Raises:
        ConfigError: If one is missing; the message names what the data provide.
    """
    model, data = nodes.get("model"), nodes.get("data")
    if isinstance(model, Foreign) and isinstance(data, DataSpec):
        model.refuse_unprovided(data.provides, "model", data.subject)


def _built_node(group: str, node: Any) -> Any:
    made = build(node, group)
    if group in FIXED and not isinstance(made, target_object(FIXED[group], group)):
        raise ConfigError(f"{group}._target_: {node['_target_']} is no {FIXED[group].rsplit('.', 1)[1]}")
    if group == "experiment" and not all(hasattr(made, name) for name in ("type", "evidence", "run")):
        raise ConfigError(f"{group}._target_: {node['_target_']} is no experiment type (paribus.experiments.base)")
    return made
