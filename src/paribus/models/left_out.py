"""Modules whose weights are not taken from a file."""

from __future__ import annotations

from collections.abc import Sequence

from paribus.errors import ConfigError


def check_left_out(leave_out: Sequence[str], weights: str | None, where: str) -> None:
    """Check that modules are only left out of a file that there is.

    Raises:
        ConfigError: If there is none.

    Example:
        >>> check_left_out(["fc"], "weights.pt", "ResNet18")
    """
    if leave_out and weights is None:
        raise ConfigError(f"{where}.leave_out: names modules of a file, and there is none; set weights too")
