"""Which columns of a file have a role, checked before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paribus.errors import ConfigError

ROLES = ("label", "domain", "cluster", "split")


def check_roles(spec: Any, further: Mapping[str, str] | None = None) -> dict[str, str]:
    """Check that no column has two roles, and that domains are named only where a column says them.

    Args:
        spec: A data set's options, with ``label, domain, cluster, split, train_domains, val_domain, ood_domain``.
        further: Other roles and their columns.

    Returns:
        The role of each column that has one.

    Raises:
        ConfigError: If a column has two, or domains are named without need.

    Example:
        >>> from types import SimpleNamespace
        >>> none = dict.fromkeys(("domain", "cluster", "split", "train_domains", "val_domain", "ood_domain"))
        >>> check_roles(SimpleNamespace(label="sick", **none))
        {'sick': 'label'}
    """
    kind = type(spec).__name__
    roles = {**(further or {}), **{role: getattr(spec, role) for role in ROLES}}
    used: dict[str, str] = {}
    for role, name in roles.items():
        if name is None:
            continue
        if name in used:
            raise ConfigError(f"{kind}.{role}: the column {name!r} is the {used[name]} already")
        used[name] = role
    for role in ("train_domains", "val_domain", "ood_domain"):
        if not getattr(spec, role):
            continue
        if spec.domain is None:
            raise ConfigError(f"{kind}.{role}: name the column of domains (data.domain=COLUMN)")
        if spec.split is not None:
            raise ConfigError(f"{kind}.{role}: the column {spec.split!r} says the splits; leave one of the two out")
    return used
