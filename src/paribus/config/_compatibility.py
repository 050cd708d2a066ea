"""All code that depends on Hydra's internals. Written for Hydra 1.3."""

from __future__ import annotations

import copy
import io
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache, partial, partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import hydra
import hydra.core.utils
import yaml
from hydra import version
from hydra._internal import config_repository, defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins import file_config_source, importlib_resources_config_source
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf._utils import get_omega_conf_dumper

from paribus.config import installed
from paribus.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig, ListConfig

VERSION_BASE = "1.3"
CONFIG_NAME = "config"
JOB_NAME = "paribus"
KNOWN_SWEEPERS = (
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
    "hydra_plugins.paribus_sweeps.BatchSweeper",
)
"""Sweepers whose jobs can be listed before the first one starts."""

MOST_KEPT = 200
"""Number of compositions of the shipped configuration that a process caches, of some 40 kB each."""
Stamp = frozenset[tuple[str, int, int, int]]
_kept: dict[tuple[str, Stamp, tuple[str, ...], bool], bytes] = {}
"""Cached compositions, by search path, state of the shipped files, words and mode."""


class Loader:
    """Hydra's loader over the shipped ``conf`` and the user's folders, without Hydra's global state."""

    def __init__(self, conf: Path, config_dirs: Sequence[Path]) -> None:
        """Make the search path: the shipped folder first, then ``config_dirs``."""
        version.setbase(VERSION_BASE)
        setup_globals()
        JobRuntime.instance().set("name", JOB_NAME)
        path = create_config_search_path(str(conf))
        schema = path.get_path().pop(-1)
        for folder in config_dirs:
            path.append("command-line", f"file://{folder.resolve()}")
        path.append(schema.provider, schema.path)
        self.loader = ConfigLoaderImpl(config_search_path=path)
        self._shipped = None if config_dirs or installed.folders() else (str(path), stamp(conf))
        self._parser = OverridesParser.create(config_loader=self.loader)
        self._run, self._multirun = RunMode.RUN, RunMode.MULTIRUN

    def parse(self, text: str) -> Override:
        """Return one parsed override."""
        return self._parser.parse_overrides([text])[0]

    def repository(self, hydra_overrides: Sequence[str]) -> Any:
        """Return the config files as Hydra sees them, ``hydra.searchpath`` included."""
        with _warnings_as_errors(), _quickly():
            return self.loader._parse_overrides_and_create_caching_repo(CONFIG_NAME, list(hydra_overrides))[1]

    def compose(self, texts: Sequence[str], *, multirun: bool = False) -> DictConfig:
        """Return Hydra's whole configuration, its own ``hydra`` node included.

        Compositions of shipped options alone are cached by the process, because Hydra takes a tenth of a second or more
        for each. Words that refer to something outside (the environment, further folders) are composed anew, and so is
        anything that involves a user's files, which may do the same.
        """
        key = None
        if self._shipped is not None and not any("$" in text or "hydra" in text for text in texts):
            key = (*self._shipped, tuple(texts), multirun)
        if key in _kept:
            return _from_here(_kept[key])
        mode = self._multirun if multirun else self._run
        with _warnings_as_errors(), _quickly():
            made = self.loader.load_configuration(CONFIG_NAME, list(texts), run_mode=mode)
        if key is not None:
            while len(_kept) >= MOST_KEPT:
                del _kept[next(iter(_kept))]
            _kept[key] = frozen(made)
        return made


def _from_here(kept: bytes) -> DictConfig:
    """Return a cached composition adjusted to the current working folder."""
    made: DictConfig = pickle.loads(kept)
    made.hydra.runtime.cwd = os.getcwd()
    return made


def stamp(folder: Path) -> Stamp:
    """Return the files of a folder of options, with the moment of the last change, the size and the inode of each."""
    found = [os.path.join(root, name) for root, _, names in os.walk(folder) for name in names if name.endswith(".yaml")]
    states = [os.stat(file) for file in found]
    return frozenset(
        (file, state.st_mtime_ns, state.st_size, state.st_ino) for file, state in zip(found, states, strict=True)
    )


def frozen(config: DictConfig | ListConfig) -> bytes:
    """Return a configuration in a form that is copied five times faster than by ``copy.deepcopy``."""
    return pickle.dumps(config, pickle.HIGHEST_PROTOCOL)


def copied(config: DictConfig) -> DictConfig:
    """Return a copy of a configuration."""
    made: DictConfig = pickle.loads(frozen(config))
    return made


def apply_values(base: bytes, overrides: Sequence[Override]) -> DictConfig:
    """Return a copy of the :func:`frozen` ``base`` with value overrides applied as Hydra applies them."""
    changed: DictConfig = pickle.loads(base)
    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), changed)
    return changed


@contextmanager
def hydra_node(config: DictConfig) -> Iterator[None]:
    """Let ``${hydra:...}`` interpolations see the ``hydra`` node of ``config``."""
    holder: Any = HydraConfig.instance()
    before = holder.cfg
    holder.cfg = config
    try:
        yield
    finally:
        holder.cfg = before


@contextmanager
def quick_jobs(copied: Callable[[Any], Any]) -> Iterator[None]:
    """Make Hydra's job runner three times as fast; it otherwise takes a tenth of a short job.

    It makes four copies of the whole configuration by ``copy.deepcopy``, of each of which it uses a part, two of them
    node by node; and it writes three YAML files by a writer that is slower than libyaml's.

    Args:
        copied: Returns a deep copy of a configuration.
    """
    runner: Any = hydra.core.utils
    holder: Any = HydraConfig
    before = runner.copy, runner._save_config, holder.set_config
    runner.copy, runner._save_config = SimpleNamespace(deepcopy=partial(_for_job, copied)), _save
    holder.set_config = partialmethod(_set_config, copied)
    try:
        yield
    finally:
        runner.copy, runner._save_config, holder.set_config = before


def _set_config(self: Any, copied: Callable[[Any], Any], config: DictConfig) -> None:
    """Do what ``HydraConfig.set_config`` does: hold a copy of the ``hydra`` node alone, inside of ``config``.

    A job asks twice. The first time the folder of the job is not known yet, and the node is looked at to find it: then
    it is held itself.
    """
    OmegaConf.set_readonly(config.hydra, True)
    node: Any = config._get_node("hydra")
    if not OmegaConf.is_missing(node.runtime, "output_dir"):
        node._set_parent(None)  # with its parent, the whole configuration would be copied
        try:
            held = copied(node)
        finally:
            node._set_parent(config)
        node = held
    holder = OmegaConf.create({}, flags={"no_deepcopy_set_nodes": True})
    holder["hydra"] = node
    holder._set_flag("no_deepcopy_set_nodes", None)
    holder.hydra._set_parent(config)
    self.cfg = holder


def _for_job(copied: Callable[[Any], Any], config: Any) -> Any:
    """Return the copies that a job gets: its own configuration, and Hydra's part.

    Of the first Hydra takes its own part away, so that need not be copied. The second is the one that ``HydraConfig``
    holds, which is read-only and belongs to this job alone.
    """
    if config is HydraConfig.instance().cfg:
        return config
    content = config._content
    kept = content["hydra"]
    content["hydra"] = OmegaConf.create({}, parent=config)
    try:
        return copied(config)
    finally:
        content["hydra"] = kept


def _save(config: Any, name: str, folder: Path) -> None:
    """Write a configuration as Hydra writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(to_yaml(config), encoding="utf-8")


def to_yaml(config: Any) -> str:
    """Return what ``OmegaConf.to_yaml`` returns, by libyaml where it is installed."""
    container = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    return str(yaml.dump(container, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=_dumper()))


@cache
def _dumper() -> Any:
    """Return OmegaConf's own dumper, over libyaml's writer."""
    theirs: Any = get_omega_conf_dumper()
    if not yaml.__with_libyaml__:
        return theirs
    return type("Dumper", (yaml.CDumper,), {"yaml_representers": dict(theirs.yaml_representers)})


@contextmanager
def _quickly() -> Iterator[None]:
    """Let Hydra compose in two thirds of the time; the rest went into work that it does again or for nothing.

    Each file is parsed once per process, Hydra's own too. The sources of files are not copied but shared: they are
    never changed. Lists of defaults are copied by :mod:`pickle`. And the choices made so far are put into a
    configuration of their own only where an option is named by one of them (``${...}``), not for every file.
    """
    before = [(module, name, getattr(module, name)) for module, name, _ in _QUICKER]
    for module, name, quicker in _QUICKER:
        setattr(module, name, quicker)
    try:
        yield
    finally:
        for module, name, original in before:
            setattr(module, name, original)


_interpolation_map = defaults_list._create_interpolation_map


def _choices_where_needed(overrides: Any, defaults: Sequence[Any], self_added: bool) -> DictConfig | None:
    """Return the choices that the name of an option may refer to; None where no name of ``defaults`` refers to any."""
    if any(one.is_interpolation() for one in defaults if not one.is_override()):
        return _interpolation_map(overrides, list(defaults), self_added)
    return None


@lru_cache(maxsize=1000)
def _taken_apart(text: str) -> bytes:
    """Return the parsed content of a text, :func:`frozen`; a changed file has another text."""
    return frozen(OmegaConf.load(io.StringIO(text)))


_LOADING = SimpleNamespace(load=lambda file: pickle.loads(_taken_apart(file.read())))
_QUICKER: tuple[tuple[Any, str, Any], ...] = (
    (file_config_source, "OmegaConf", _LOADING),
    (importlib_resources_config_source, "OmegaConf", _LOADING),
    (config_repository, "copy", SimpleNamespace(deepcopy=copy.copy)),
    (defaults_list, "copy", SimpleNamespace(copy=copy.copy, deepcopy=lambda one: pickle.loads(pickle.dumps(one)))),
    (defaults_list, "_create_interpolation_map", _choices_where_needed),
)
"""Modules of Hydra, names in them, and what stands for these while something is composed."""


@contextmanager
def _warnings_as_errors() -> Iterator[None]:
    """Raise an error for a search path that does not exist, of which Hydra only warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*is not available.*", category=UserWarning)
        try:
            yield
        except UserWarning as warning:
            raise ConfigError(f"hydra.searchpath: {warning}") from None


def run_main(task: Callable[[DictConfig], None], words: Sequence[str], conf: Path) -> None:
    """Pass ``words`` to ``hydra.main``, which calls ``task`` in every job; exceptions pass through unchanged.

    Args:
        task: The job function.
        words: The command line without the program's name; it is a sweep only if ``--multirun`` is among them.
        conf: The shipped configuration folder.
    """
    argv, sys.argv = sys.argv, [JOB_NAME, *words]
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints the exception itself and exits
    try:
        with _mode_is_known():
            hydra.main(version_base=VERSION_BASE, config_path=str(conf), config_name=CONFIG_NAME)(task)()
    finally:
        sys.argv = argv
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


@contextmanager
def _mode_is_known() -> Iterator[None]:
    """Prevent Hydra from composing everything once more only to read ``hydra.mode``."""
    before = Hydra.get_mode
    Hydra.get_mode = lambda self, config_name, overrides: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = before  # type: ignore[method-assign]
