"""Reading the arguments of a verb."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from paribus.errors import ConfigError, nearest


class Arguments(argparse.ArgumentParser):
    """An argument parser that refuses like the rest of the program: one line, exit code 2.

    Example:
        >>> parser = Arguments("runs")
        >>> parser.store_options()
        >>> parser.take(["tracking.folder=here", "--config-dir", "conf"]).overrides
        ['tracking.folder=here']
    """

    def __init__(self, verb: str) -> None:
        """Parse the arguments of ``verb``; its help is the file's USAGE."""
        super().__init__(prog=f"paribus {verb}", add_help=False, allow_abbrev=False)
        self._verb = verb

    def error(self, message: str) -> NoReturn:
        """Refuse.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self._verb}: {message}")

    def take(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse ``arguments``; flags may come anywhere.

        Raises:
            ConfigError: If something is unknown or missing.
        """
        found, rest = self.parse_known_intermixed_args(list(arguments))
        if rest:
            flags = [flag for action in self._actions for flag in action.option_strings]
            raise ConfigError(f"{self._verb}: does not know {rest[0]!r}; {nearest(rest[0], flags)}")
        return found

    def store_options(self) -> None:
        """Add what all verbs about a store take: ``--config-dir`` and overrides such as ``tracking=server``."""
        self.add_argument("--config-dir")
        self.add_argument("overrides", nargs="*")
