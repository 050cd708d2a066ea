"""The class, domain, cluster and split of the rows of a file, from its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from paribus import seeds
from paribus.arrays import Ints
from paribus.errors import DataError, nearest
from paribus.subjects.columns_by_role import RowsFromFile
from paribus.subjects.in_splits import ALL, splits_by_name
from paribus.subjects.labelled import not_crossed, not_learned
from paribus.subjects.selection import class_numbers, draw, hold_out, resolve_roles

if TYPE_CHECKING:
    import pandas as pd

MOST_CLASSES = 1000
MOST_GRADES = 20
"""Different numbers with fractions that may be classes."""


@dataclass(frozen=True)
class Coded:
    """A column of names as codes.

    Attributes:
        names: The names, sorted: numbers by size, texts by letter.
        codes: Index into them ``[n]``.
    """

    names: tuple[str, ...]
    codes: Ints


@dataclass(frozen=True, eq=False)
class Placed:
    """Rows with their roles.

    Attributes:
        frame: The rows that are kept.
        labels: Classes.
        domains: Domains; the single one ``all`` where no column says them.
        clusters: Clusters; no names, and every row by itself, where no column says them.
        splits: Rows of each split.
        notes: What is to be said of them.
    """

    frame: pd.DataFrame
    labels: Coded
    domains: Coded
    clusters: Coded
    splits: Mapping[str, Ints]
    notes: tuple[str, ...]


def check_columns(asked: Mapping[str, Sequence[str]], present: Sequence[str], where: str) -> None:
    """Check that a file has all columns that are asked for, by what asks for them.

    Raises:
        DataError: If it lacks one.
    """
    for role, names in asked.items():
        for name in names:
            if name not in present:
                raise DataError(f"{where}: {role}: no such column {name!r}; {nearest(name, present)}")


def placed(spec: RowsFromFile, frame: pd.DataFrame, *, where: str, draws: str) -> Placed:
    """Give rows their roles.

    Args:
        spec: Which column says what.
        frame: The rows; columns with a role hold texts.
        where: The file, for messages.
        draws: Name of the random stream that splits are drawn from.

    Raises:
        DataError: If a class, domain or split does not exist, or a split would be empty.
    """
    labels = _labels(frame[spec.label], spec, where)
    if spec.classes:
        kept = labels.codes >= 0
        frame, labels = frame[kept].reset_index(drop=True), Coded(labels.names, labels.codes[kept])
    domains = coded(frame[spec.domain]) if spec.domain else Coded((ALL,), np.zeros(len(frame), np.int64))
    clusters = coded(frame[spec.cluster]) if spec.cluster else Coded((), np.arange(len(frame)))
    splits = _splits(spec, frame, labels, domains, clusters.codes, where, draws)
    notes = [
        *_cluster_notes(spec, splits, clusters),
        *not_learned(labels.codes, labels.names, splits),
        *not_crossed(labels.codes, domains.codes, (domains.names, labels.names), splits["train"]),
    ]
    return Placed(frame, labels, domains, clusters, splits, tuple(notes))


def coded(column: ArrayLike, known: Ints | None = None) -> Coded:
    """Return the different texts of a column, sorted, and which one each row has.

    Args:
        column: The texts.
        known: Rows whose texts count; others that have none of these have the code -1. None for all.
    """
    texts = np.asarray(column, dtype=object)
    present = sorted(set(texts if known is None else texts[known]), key=by_size)
    number = {name: k for k, name in enumerate(present)}
    return Coded(tuple(present), np.array([number.get(text, -1) for text in texts], dtype=np.int64))


def by_size(name: str) -> tuple[int, float, str]:
    """Sort numbers by size, and before all other texts.

    Example:
        >>> sorted(["10", "b", "9"], key=by_size)
        ['9', '10', 'b']
    """
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def without_gaps(frame: pd.DataFrame, counts: Mapping[str, int], where: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that lack no value, and what is said of the others.

    Raises:
        DataError: If every row lacks one.
    """
    kept = frame.dropna().reset_index(drop=True)
    if not len(kept):
        raise DataError(f"{where}: every row lacks a value; {counted(counts)}")
    return kept, [f"{len(frame) - len(kept)} of {len(frame)} rows lack a value and are left out: {counted(counts)}."]


def gaps(frame: pd.DataFrame) -> dict[str, int]:
    """Return how many values each column lacks that lacks any."""
    return {str(name): int(count) for name, count in frame.isna().sum().items() if count}


def counted(counts: Mapping[str, int]) -> str:
    """Return counts by column in words, the first eight of them.

    Example:
        >>> counted({"age": 3, "ward": 1})
        '3 of age, 1 of ward'
    """
    shown = [f"{count} of {name}" for name, count in list(counts.items())[:8]]
    return ", ".join(shown) + (f" and {len(counts) - 8} more columns" if len(counts) > 8 else "")


def blank_notes(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return warnings about names that begin or end with a blank, as they differ from those without."""
    notes = []
    for name in columns:
        if frame[name].dtype == object:
            odd = sorted({text for text in frame[name] if text is not None and text != text.strip()})
            if odd:
                notes.append(
                    f"Column {name}: {odd[0]!r} begins or ends with a blank, so it is another name than without."
                )
    return notes


def _labels(column: pd.Series, spec: RowsFromFile, where: str) -> Coded:
    """Return class names and the class of each row, -1 where it is none of the chosen classes."""
    found = coded(column)
    if len(found.names) > MOST_CLASSES:
        raise DataError(
            f"{where}: label: {spec.label!r} has {len(found.names)} different values, more than {MOST_CLASSES}; a "
            "label is the name of a class"
        )
    if not spec.classes and _are_quantities(found.names):
        raise DataError(
            f"{where}: label: {spec.label!r} holds {len(found.names)} different numbers with fractions, a quantity; a "
            "label is the name of a class"
        )
    if not spec.classes:
        return found
    return Coded(tuple(spec.classes), class_numbers(spec.classes, found.names, where)[found.codes])


def _are_quantities(names: Sequence[str]) -> bool:
    if len(names) <= MOST_GRADES:
        return False
    try:
        return any(not float(name).is_integer() for name in names)
    except ValueError:
        return False


def _splits(
    spec: RowsFromFile, frame: pd.DataFrame, labels: Coded, domains: Coded, clusters: Ints, where: str, draws: str
) -> dict[str, Ints]:
    """Return the rows of each split: as the column of splits says, or by domains and shares of the clusters."""
    rng = seeds.rng(spec.seed, draws)
    if spec.split is not None:
        splits = splits_by_name(frame[spec.split].to_numpy(dtype=object), f"{where}: split: the column {spec.split!r}")
    else:
        splits = _by_role(spec, domains, clusters, rng, where)
    splits["train"] = draw(
        splits["train"],
        spec.n_train,
        labels=labels.codes,
        domains=domains.codes,
        balance=spec.balance,
        rng=rng,
        where=f"{where}: n_train",
        names=(domains.names, labels.names),
    )
    return splits


def _by_role(
    spec: RowsFromFile, domains: Coded, clusters: Ints, rng: np.random.Generator, where: str
) -> dict[str, Ints]:
    roles = resolve_roles(
        domains.names,
        domains.codes,
        where,
        train=spec.train_domains,
        val=spec.val_domain,
        ood=spec.ood_domain,
        numbers=False,
    )
    train = np.flatnonzero(np.isin(domains.codes, roles.train))
    splits = {}

    def take_out(name: str) -> None:
        nonlocal train
        splits[name] = hold_out(
            train,
            spec.id_val_share,
            domains=domains.codes,
            clusters=clusters,
            rng=rng,
            where=where,
            names=domains.names,
        )
        train = np.setdiff1d(train, splits[name])

    take_out("id_val")
    if roles.val is not None:
        splits["val"] = np.flatnonzero(domains.codes == roles.val)
    else:
        take_out("val")
    if roles.ood is not None:
        splits["ood"] = np.flatnonzero(domains.codes == roles.ood)
    return {"train": train, **splits}


def _cluster_notes(spec: RowsFromFile, splits: Mapping[str, Ints], clusters: Coded) -> list[str]:
    """Return warnings about rows that are not independent of training rows."""
    if spec.cluster is None:
        return ["No column of clusters is named: every row counts as independent of all others (data.cluster=COLUMN)."]
    trained = np.unique(clusters.codes[splits["train"]])
    shared = {
        name: int(np.isin(np.unique(clusters.codes[rows]), trained).sum())
        for name, rows in splits.items()
        if name != "train"
    }
    return [
        f"{count} clusters ({spec.cluster}) have rows in the split {name} and in train, where the model has seen them."
        for name, count in shared.items()
        if count
    ]
