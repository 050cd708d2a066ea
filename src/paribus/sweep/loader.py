"""Hydra's loader for the jobs of a sweep, with each distinct choice of groups composed once."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import run_job
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from paribus.config import _compatibility as hydra_parts
from paribus.config._compatibility import hydra_node

MOST_FOLDERS = 10_000
NUMBER, JOB = "hydra.job.num=", "PARIBUS_JOB"
"""The override that passes a job's number through third-party launchers, and the job's environment variable of it."""


class SweepLoader(ConfigLoaderImpl):
    """Composes the same as Hydra, ten times as fast, by setting values in a copy of the composed groups.

    Hydra composes every job of a sweep anew, a tenth of a second each.
    """

    def __init__(self, given: ConfigLoaderImpl) -> None:
        """Use the search path of ``given``."""
        super().__init__(config_search_path=given.get_search_path())
        self._bases: dict[tuple[str, ...], bytes | DictConfig] = {}
        self._parsed: dict[str, Override] = {}
        self._groups: dict[tuple[str, tuple[str, ...]], bool] = {}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Return the configuration of one job, Hydra's own part included."""
        hydra_words = tuple(OmegaConf.to_container(master_config.hydra.overrides.hydra) or ())
        parsed = [self._parse(word) for word in sweep_overrides]
        if any(each.is_hydra_override() or each.is_delete() for each in parsed):
            return super().load_sweep_config(master_config, list(sweep_overrides))
        values = [each for each in parsed if not self._chooses(each, hydra_words)]
        groups = tuple(str(each.input_line) for each in parsed if each not in values)
        config = self._copy(master_config, (*map(str, hydra_words), *groups))
        self._apply_overrides_to_config(values, config)
        words = [str(each.input_line) for each in parsed]
        config.hydra.overrides.task = words
        config.hydra.runtime.cwd = os.getcwd()
        naming = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=parsed, kv_sep=naming.kv_sep, item_sep=naming.item_sep, exclude_keys=naming.exclude_keys
        )
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def _copy(self, master: DictConfig, words: tuple[str, ...]) -> DictConfig:
        if words not in self._bases:
            made = self.load_configuration(master.hydra.job.config_name, list(words), run_mode=RunMode.RUN)
            self._bases[words] = _frozen(made)
        return _thawed(self._bases[words])

    def _parse(self, word: str) -> Override:
        if word not in self._parsed:
            self._parsed[word] = OverridesParser.create(config_loader=self).parse_overrides([word])[0]
        return self._parsed[word]

    def _chooses(self, override: Override, hydra_words: tuple[Any, ...]) -> bool:
        """Return whether Hydra takes an override as the choice of a group's option."""
        if override.package is not None:
            return True
        path = tuple(str(word) for word in hydra_words if "searchpath" in str(word))
        key = (str(override.key_or_group), path)
        if key not in self._groups:
            _, repository = self._parse_overrides_and_create_caching_repo("config", list(path))
            self._groups[key] = bool(repository.group_exists(key[0]))
        return self._groups[key] and not isinstance(override.value(), dict)


class NumberedLoader(SweepLoader):
    """The same for third-party launchers, which number their jobs from 0 and name the folders accordingly.

    The number of a job is among its words, as ``hydra.job.num=N``; its folder is its own, made when it is composed.
    """

    def __init__(self, given: ConfigLoaderImpl, variables: Callable[[int], Mapping[str, str]] | None = None) -> None:
        """Use the search path of ``given``; ``variables`` returns the environment variables of job ``k``."""
        super().__init__(given)
        self._variables = variables

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Return the configuration of one job."""
        *words, number = sweep_overrides
        config = super().load_sweep_config(master_config, words)
        with open_dict(config):
            config.hydra.job.num = int(number.removeprefix(NUMBER))
            config.hydra.job.env_set[JOB] = str(config.hydra.job.num)
            if self._variables is not None:
                config.hydra.job.env_set = {**self._variables(config.hydra.job.num), **config.hydra.job.env_set}
        own_folder(config)
        return config


def _frozen(config: DictConfig) -> bytes | DictConfig:
    """Return a configuration in a form that is copied five times faster, if possible."""
    try:
        return pickle.dumps(config, pickle.HIGHEST_PROTOCOL)
    except pickle.PicklingError:  # Hydra imports the modules of plugins twice, so there are two classes of one name
        return config


def _thawed(frozen: bytes | DictConfig) -> DictConfig:
    made: DictConfig = pickle.loads(frozen) if isinstance(frozen, bytes) else copy.deepcopy(frozen)
    return made


def _copied(config: DictConfig) -> DictConfig:
    """Return a deep copy; Hydra makes four of each job's configuration."""
    return _thawed(_frozen(config))


def run_one(context: HydraContext, master: DictConfig, task: TaskFunction, number: int, words: Sequence[str]) -> Path:
    """Run one job of a sweep in this process as Hydra does, and return its output folder, which no other job uses.

    Args:
        context: Hydra's loader and callbacks.
        master: The configuration of the sweep.
        task: The job function.
        number: The job's number.
        words: The job's overrides.
    """
    config = context.config_loader.load_sweep_config(master, list(words))
    with open_dict(config):
        config.hydra.job.id = number
        config.hydra.job.num = number
    folder = own_folder(config)
    with hydra_parts.quick_jobs(_copied):
        run_job(
            hydra_context=context,
            task_function=task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    return folder


def own_folder(config: DictConfig) -> Path:
    """Make the output folder of a job and write it into its configuration.

    A number is appended if the name is taken, so that no folder is used twice.
    """
    with hydra_node(config):
        asked = Path(str(config.hydra.sweep.dir)).absolute() / str(config.hydra.sweep.subdir)
    folder = Path(os.path.normpath(asked))
    for attempt in range(2, MOST_FOLDERS):
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            folder = asked.with_name(f"{asked.name}.{attempt}")
    else:
        raise FileExistsError(f"{asked}: {MOST_FOLDERS} jobs have used this folder; choose another hydra.sweep.dir")
    with open_dict(config):
        config.hydra.sweep.subdir = os.path.relpath(folder, Path(str(config.hydra.sweep.dir)).absolute())
    return folder
