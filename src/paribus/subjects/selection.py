"""Choosing examples: domains by name, held-out clusters, balanced draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Ints
from paribus.errors import ConfigError, DataError, nearest


@dataclass(frozen=True)
class Roles:
    """The domains by role, as indices into the domain names.

    Attributes:
        train: Domains that are trained on, ascending.
        val: Domain on which choices are made; None takes held-out clusters of the training domains instead.
        ood: Domain that is only reported; None where there is none.
    """

    train: tuple[int, ...]
    val: int | None
    ood: int | None


def resolve_roles(
    names: Sequence[str],
    domains: Ints,
    where: str,
    *,
    train: Sequence[str],
    val: str | None,
    ood: str | None,
    numbers: bool = True,
) -> Roles:
    """Find the domains of each role.

    Args:
        names: Names of all domains.
        domains: Domain of every example, an index into the names.
        where: The data set, for messages.
        train: Names or indices of the training domains; empty for all that play no other role.
        val: Name or index of the validation domain, or None.
        ood: Name or index of the OOD domain, or None.
        numbers: Whether a domain may be named by its index.

    Raises:
        DataError: If a domain does not exist, has no images, or plays two roles.
    """
    counts = np.bincount(domains, minlength=len(names))

    def index(asked: str, role: str) -> int:
        if asked in names:
            return list(names).index(asked)
        if numbers and asked.isdecimal() and int(asked) < len(names):
            return int(asked)
        raise DataError(f"{where}: {role}: no such domain {asked!r}; {nearest(asked, names)}")

    held = [index(name, role) for name, role in ((val, "val_domain"), (ood, "ood_domain")) if name]
    chosen = [index(name, "train_domains") for name in train]
    if not train:
        chosen = [k for k in range(len(names)) if k not in held and counts[k]]
    for k in (*chosen, *held):
        if not counts[k]:
            raise DataError(f"{where}: the domain {names[k]!r} has no images")
    twice = sorted({names[k] for k in held if k in chosen} | {names[k] for k in held if held.count(k) > 1})
    if twice:
        raise DataError(f"{where}: the domain {twice[0]!r} has two roles; train, val and ood must differ")
    if not chosen:
        raise DataError(f"{where}: no domain is left to train on; domains: {', '.join(names)}")
    return Roles(train=tuple(sorted(set(chosen))), val=held[0] if val else None, ood=held[-1] if ood else None)


def domain_number(name: str, names: Sequence[str]) -> int:
    """Return the number of a domain that a factor names.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in names:
        raise ConfigError(f"experiment.factor: no such domain {name!r}; {nearest(name, names)}")
    return list(names).index(name)


def class_numbers(chosen: Sequence[str], names: Sequence[str], where: str) -> Ints:
    """Return the new number of each class ``[names]`` where some are chosen: their place, -1 for all others.

    Raises:
        DataError: If there is no such class.
    """
    for name in chosen:
        if name not in names:
            raise DataError(f"{where}: classes: no such class {name!r}; {nearest(name, names)}")
    numbers = np.full(len(names), -1)
    numbers[[list(names).index(name) for name in chosen]] = np.arange(len(chosen))
    return numbers


def hold_out(
    rows: Ints,
    share: float,
    *,
    domains: Ints,
    clusters: Ints,
    rng: np.random.Generator,
    where: str,
    names: Sequence[str],
) -> Ints:
    """Return the rows of about ``share`` of the clusters of each domain, at least one; clusters stay whole.

    A cluster that occurs in several domains (a patient seen by two scanners) is held out of all of them.

    Args:
        rows: Candidate rows.
        share: Share of the clusters, in (0, 1).
        domains: Domain of every image.
        clusters: Cluster of every image.
        rng: Draws the clusters.
        where: The data set, for messages.
        names: Names of the domains.

    Raises:
        DataError: If a domain has a single cluster, or would lose all of its clusters.
    """
    held = np.empty(0, dtype=clusters.dtype)
    for domain in np.unique(domains[rows]):
        of_domain = rows[domains[rows] == domain]
        present = rng.permutation(np.unique(clusters[of_domain]))
        if len(present) < 2:
            raise DataError(
                f"{where}: the domain {names[domain]!r} has a single cluster, so nothing of it can be held out"
            )
        known = np.isin(present, held)  # held out in a domain before this one
        if known.all():
            raise DataError(f"{where}: all clusters of the domain {names[domain]!r} are held out with other domains")
        n_held = min(max(1, round(share * len(present))), len(present) - 1)
        fresh = present[~known][: max(0, n_held - int(known.sum()))]
        held = np.concatenate([held, fresh])
    found: Ints = np.sort(rows[np.isin(clusters[rows], held)])
    return found


def draw(
    rows: Ints,
    n: int | None,
    *,
    labels: Ints,
    domains: Ints,
    balance: bool,
    rng: np.random.Generator,
    where: str,
    names: tuple[Sequence[str], Sequence[str]],
) -> Ints:
    """Return ``n`` of ``rows`` (all for None), equally many of each domain and class if ``balance``.

    Args:
        rows: Candidate rows.
        n: How many to draw without replacement.
        labels: Class of every image.
        domains: Domain of every image.
        balance: Whether each cell of domain x class gives equally many, up to one.
        rng: Draws the rows.
        where: What is drawn, for messages.
        names: Names of the domains and of the classes.

    Raises:
        DataError: If there are not enough images, or not enough in some cell.
    """
    if n is None:
        return rows
    if n > len(rows):
        raise DataError(f"{where}: {n} are asked for, there are {len(rows)}")
    if not balance:
        return np.sort(rng.permutation(rows)[:n])
    cells = [
        (int(domain), int(label), rows[(domains[rows] == domain) & (labels[rows] == label)])
        for domain in np.unique(domains[rows])
        for label in np.unique(labels[rows])
    ]
    extra = set(rng.permutation(len(cells))[: n % len(cells)].tolist())
    drawn = []
    for number, (domain, label, members) in enumerate(cells):
        quota = n // len(cells) + (number in extra)
        if quota > len(members):
            most = min(len(cell) for _, _, cell in cells) * len(cells)
            cell_name = f"{names[0][domain]} x {names[1][label]}"
            raise DataError(
                f"{where}: a balanced draw of {n} needs {quota} images of {cell_name}, there are {len(members)}; "
                f"ask for at most {most}, or set balance=false"
            )
        drawn.append(rng.permutation(members)[:quota])
    return np.sort(np.concatenate(drawn))
