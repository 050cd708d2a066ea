"""Parses the command line of a request."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from paribus.config.quoting import readable
from paribus.errors import ConfigError, nearest
from paribus.tracking.login import taken_out

_NOT_OURS = ("config_path", "config_name", "experimental_rerun")


@dataclass(frozen=True)
class Words:
    """A command line, taken apart.

    Attributes:
        overrides: The words with a ``=``, in order.
        multirun: Whether to sweep.
        config_dir: The user's folder of options, if any.
        passed_on: Hydra's own flags that show something and run nothing (``--cfg job``, ``--info``), as given.
        shows_config: Whether they show a configuration.
    """

    overrides: tuple[str, ...]
    multirun: bool = False
    config_dir: str | None = None
    passed_on: tuple[str, ...] = ()
    shows_config: bool = False

    @property
    def config_dirs(self) -> tuple[str, ...]:
        """The user's folders as a tuple."""
        return () if self.config_dir is None else (self.config_dir,)


def read(arguments: Sequence[str]) -> Words:
    """Parse a command line; flags may come anywhere.

    Raises:
        ConfigError: If a flag is unknown or not supported.
    """
    from hydra._internal.utils import get_args_parser  # slow, and not needed for help, lists and verbs

    parser = get_args_parser()
    flags = [flag for action in parser._actions for flag in action.option_strings]

    def error(message: str) -> NoReturn:
        unknown = [word for word in arguments if word.startswith("-") and word.split("=")[0] not in flags]
        if unknown and "unrecognized" in message:
            raise ConfigError(f"{unknown[0]}: there is no such flag; {nearest(unknown[0], _offered(flags), show=20)}")
        raise ConfigError(message)

    parser.error = error  # type: ignore[method-assign]
    try:
        found = parser.parse_intermixed_args(list(arguments))
    except (argparse.ArgumentError, TypeError) as problem:
        raise ConfigError(str(problem)) from problem
    for name in _NOT_OURS:
        if getattr(found, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')}: is not used here; own options are added with --config-dir")
    shows = found.cfg is not None or found.info is not None or found.hydra_help or found.shell_completion
    if found.cfg is None and (found.resolve or found.package is not None):
        raise ConfigError(
            f"{'--resolve' if found.resolve else '--package'}: goes with --cfg, which shows a configuration"
        )
    for word in found.overrides:
        if not shows and "=" not in word and not word.startswith("~"):
            raise ConfigError(f"{word}: wants KEY=VALUE (a verb comes first: paribus {word} ...)")
    mode = [
        word.split("=", 1)[1].strip().upper() for word in found.overrides if word.lstrip("+").startswith("hydra.mode=")
    ]
    return Words(
        overrides=tuple(_without_login(word) for word in readable(found.overrides)),
        multirun=found.multirun or mode[-1:] == ["MULTIRUN"],
        config_dir=found.config_dir,
        passed_on=tuple(arguments) if shows else (),
        shows_config=found.cfg is not None
        or found.info in ("all", "config", "defaults", "defaults-tree", "searchpath"),
    )


def _without_login(word: str) -> str:
    """Return a word without the user and password in the address of a store: words are written into many files."""
    return taken_out(word) if word.lstrip("+").startswith("tracking.uri=") else word


def _offered(flags: Sequence[str]) -> list[str]:
    hidden = {f"--{name.replace('_', '-')}" for name in _NOT_OURS}
    return [flag for flag in flags if flag.startswith("--") and flag not in hidden]
