"""From the columns of a file to encoded rows with splits: what is learned from it comes from the training rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from paribus import seeds
from paribus.arrays import Floats, Ints
from paribus.errors import DataError, nearest
from paribus.spec import path_of
from paribus.subjects.selection import draw, hold_out
from paribus.subjects.tables.data import MISSING, SPLITS, Column, TableData
from paribus.subjects.tables.files import column_names, read_columns

if TYPE_CHECKING:
    from paribus.subjects.tables.fields import TableFields

ALL = "all"
"""Domain of a table without domains."""
MOST_CATEGORIES = 100
"""A column of texts with more is taken for an id or free text, unless it is declared categorical."""
MOST_CLASSES = 1000
ROLES = ("label", "domain", "cluster", "split")


@dataclass(frozen=True)
class Coded:
    """Names of what rows belong to, and which one each row has.

    Attributes:
        names: The names, sorted: numbers by size, texts by letter.
        codes: Index into them ``[n]``.
    """

    names: tuple[str, ...]
    codes: Ints


def load(spec: TableFields) -> TableData:
    """Read the table that ``spec`` describes.

    Raises:
        DataError: If the file is missing, damaged or too large, a column is missing or unfit, or a split is empty.
    """
    file, where = path_of(spec.path), f"table {spec.path}"
    features = _feature_names(spec, column_names(file), where)
    roles = {role: name for role in ROLES if (name := getattr(spec, role)) is not None}
    wanted = list(dict.fromkeys([*roles.values(), *features]))
    texts = [name for name in wanted if name in roles.values() or name in spec.categorical]
    frame = read_columns(file, wanted, texts=texts, missing=spec.missing_values)
    frame, notes = _complete(frame, list(roles.values()), spec, where)
    labels = _labels(frame[spec.label], spec, where)
    if spec.classes:
        kept = labels.codes >= 0
        frame, labels = frame[kept].reset_index(drop=True), Coded(labels.names, labels.codes[kept])
    domains = _coded(frame[spec.domain]) if spec.domain else Coded((ALL,), np.zeros(len(frame), np.int64))
    clusters = _coded(frame[spec.cluster]) if spec.cluster else Coded((), np.arange(len(frame)))
    splits = _splits(spec, frame, labels, domains, clusters.codes, where)
    notes += [*_blank_notes(frame), *_cluster_notes(spec, splits, clusters)]
    kept = np.sort(np.concatenate(list(splits.values())))
    splits = {name: np.searchsorted(kept, rows) for name, rows in splits.items()}
    inputs, columns, more = _encoded(frame.iloc[kept].reset_index(drop=True), features, splits["train"], spec, where)
    made = {
        "labels": labels.codes[kept],
        "domains": domains.codes[kept],
        "clusters": clusters.codes[kept],
        **{f"split {name}": splits[name] for name in SPLITS if name in splits},
    }
    return TableData(
        inputs=torch.from_numpy(inputs),
        columns=columns,
        labels=made["labels"],
        domains=made["domains"],
        clusters=made["clusters"],
        domain_names=domains.names,
        class_names=labels.names,
        splits=splits,
        digest=_digest([columns, domains.names, labels.names, clusters.names], {"inputs": inputs, **made}),
        train_domains=tuple(int(k) for k in np.unique(made["domains"][splits["train"]])),
        cluster_names=clusters.names,
        contents=_contents(frame.iloc[kept], features),
        notes=tuple(notes + more),
    )


def _feature_names(spec: TableFields, names: Sequence[str], where: str) -> list[str]:
    """Return the columns that the model sees, after a look at every column that the request names.

    Raises:
        DataError: If there is no such column, or none is left.
    """
    asked = {role: [name] for role in ROLES if (name := getattr(spec, role)) is not None}
    asked |= {"columns": spec.columns, "leave_out": spec.leave_out, "categorical": spec.categorical}
    for role, wanted in asked.items():
        for name in wanted:
            if name not in names:
                raise DataError(f"{where}: {role}: no such column {name!r}; {nearest(name, names)}")
    taken = {getattr(spec, role) for role in ROLES} | set(spec.leave_out)
    features = list(spec.columns) or [name for name in names if name not in taken]
    if not features:
        raise DataError(f"{where}: no column is left for the model to see; columns: {', '.join(names)}")
    for name in spec.categorical:
        if name not in features:
            raise DataError(f"{where}: categorical: the model does not see {name!r}; {nearest(name, features)}")
    return features


def _complete(frame: pd.DataFrame, roles: list[str], spec: TableFields, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that are used, without those that ``missing=drop`` leaves out.

    Raises:
        DataError: If a value is missing that must not be.
    """
    counts = {str(name): int(count) for name, count in frame.isna().sum().items() if count}
    if not counts:
        return frame, []
    if spec.missing == "drop":
        kept = frame.dropna().reset_index(drop=True)
        if not len(kept):
            raise DataError(f"{where}: every row has a missing value; {_counted(counts)}")
        return kept, [
            f"{len(frame) - len(kept)} of {len(frame)} rows lack a value and are left out: {_counted(counts)}."
        ]
    for name, count in counts.items():
        text = frame[name].dtype == object
        if spec.missing == "refuse" or name in roles or (spec.missing == "mean" and text):
            valid = "drop leaves such rows out"
            if name not in roles:
                valid += ", category tells them apart" if text else ", mean and category keep them"
            raise DataError(f"{where}: column {name!r} lacks {count} of {len(frame)} values; data.missing: {valid}")
    return frame, [f"Missing values ({spec.missing}): {_counted(counts)}."]


def _counted(counts: Mapping[str, int]) -> str:
    shown = [f"{count} of {name}" for name, count in list(counts.items())[:8]]
    return ", ".join(shown) + (f" and {len(counts) - 8} more columns" if len(counts) > 8 else "")


def _labels(column: pd.Series, spec: TableFields, where: str) -> Coded:
    """Return class names and the class of each row, -1 where it is none of the chosen classes."""
    found = _coded(column)
    if len(found.names) > MOST_CLASSES:
        raise DataError(
            f"{where}: label: {spec.label!r} has {len(found.names)} different values, more than {MOST_CLASSES}; a "
            "label is the name of a class"
        )
    if not spec.classes:
        return found
    for name in spec.classes:
        if name not in found.names:
            raise DataError(f"{where}: classes: no such class {name!r}; {nearest(name, found.names)}")
    number = np.full(len(found.names), -1)
    number[[found.names.index(name) for name in spec.classes]] = np.arange(len(spec.classes))
    return Coded(tuple(spec.classes), number[found.codes])


def _coded(column: pd.Series) -> Coded:
    texts = column.to_numpy(dtype=object)
    present = sorted(set(texts), key=_by_size)
    number = {name: k for k, name in enumerate(present)}
    return Coded(tuple(present), np.array([number[text] for text in texts], dtype=np.int64))


def _by_size(name: str) -> tuple[int, float, str]:
    """Sort numbers by size, and before all other texts."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _splits(
    spec: TableFields, frame: pd.DataFrame, labels: Coded, domains: Coded, clusters: Ints, where: str
) -> dict[str, Ints]:
    """Return the rows of each split: as the column of splits says, or by domains and shares of the clusters."""
    rng = seeds.rng(spec.seed, "tables/splits")
    if spec.split is not None:
        splits = _by_column(frame[spec.split], spec.split, where)
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


def _by_column(column: pd.Series, name: str, where: str) -> dict[str, Ints]:
    said = column.to_numpy(dtype=object)
    for value in sorted(set(said)):
        if value not in SPLITS:
            raise DataError(f"{where}: split: the column {name!r} has {value!r}; {nearest(value, SPLITS)}")
    if "train" not in said:
        raise DataError(f"{where}: split: no row of the column {name!r} is train")
    return {split: np.flatnonzero(said == split) for split in SPLITS if (said == split).any()}


def _by_role(
    spec: TableFields, domains: Coded, clusters: Ints, rng: np.random.Generator, where: str
) -> dict[str, Ints]:
    asked = {"val_domain": spec.val_domain, "ood_domain": spec.ood_domain}
    held = {role: _domain(name, role, domains, where) for role, name in asked.items() if name is not None}
    trained = [_domain(name, "train_domains", domains, where) for name in spec.train_domains]
    trained = trained or [k for k in range(len(domains.names)) if k not in held.values()]
    twice = sorted({domains.names[k] for k in held.values() if k in trained or list(held.values()).count(k) > 1})
    if twice:
        raise DataError(f"{where}: the domain {twice[0]!r} has two roles; train, val and ood must differ")
    if not trained:
        raise DataError(f"{where}: no domain is left to train on; domains: {', '.join(domains.names)}")
    train = np.flatnonzero(np.isin(domains.codes, trained))
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
    if "val_domain" in held:
        splits["val"] = np.flatnonzero(domains.codes == held["val_domain"])
    else:
        take_out("val")
    if "ood_domain" in held:
        splits["ood"] = np.flatnonzero(domains.codes == held["ood_domain"])
    return {"train": train, **splits}


def _domain(name: str, role: str, domains: Coded, where: str) -> int:
    if name not in domains.names:
        raise DataError(f"{where}: {role}: no such domain {name!r}; {nearest(name, domains.names)}")
    return domains.names.index(name)


def _blank_notes(frame: pd.DataFrame) -> list[str]:
    """Return what is to be said of texts with blanks around them, which are other names than those without."""
    notes = []
    for name in frame.columns:
        if frame[name].dtype == object:
            odd = sorted({text for text in frame[name] if text is not None and text != text.strip()})
            if odd:
                notes.append(
                    f"Column {name}: {odd[0]!r} begins or ends with a blank, so it is another name than without."
                )
    return notes


def _cluster_notes(spec: TableFields, splits: Mapping[str, Ints], clusters: Coded) -> list[str]:
    """Return what is to be said of rows that are not independent of training rows."""
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


def _encoded(
    frame: pd.DataFrame, features: Sequence[str], train: Ints, spec: TableFields, where: str
) -> tuple[NDArray[np.float32], tuple[Column, ...], list[str]]:
    """Return the inputs ``[n, d]``, what they are, and what is to be said of them."""
    parts: list[Floats] = []
    columns: list[Column] = []
    notes: list[str] = []
    start = 0
    for name in features:
        values = frame[name]
        if values.dtype == object:
            column, part, said = _categorical(values.to_numpy(dtype=object), name, start, train, spec, where)
        else:
            column, part, said = _numeric(values.to_numpy(dtype=np.float64), name, start, train, spec, where)
        parts.append(part)
        columns.append(column)
        notes += said
        start += column.width
    return np.concatenate(parts, axis=1).astype(np.float32), tuple(columns), notes


def _categorical(
    texts: NDArray[np.object_], name: str, start: int, train: Ints, spec: TableFields, where: str
) -> tuple[Column, Floats, list[str]]:
    filled = np.array([MISSING if text is None else text for text in texts], dtype=object)
    if name not in spec.categorical:
        _refuse_not_categorical(texts, name, where)
    categories = sorted(set(filled[train]), key=_by_size)
    number = {category: k for k, category in enumerate(categories)}
    codes = np.array([number.get(text, -1) for text in filled])
    part = np.zeros((len(texts), len(categories)))
    seen = np.flatnonzero(codes >= 0)
    part[seen, codes[seen]] = 1.0
    unseen = sorted(set(filled[codes < 0]))
    notes = []
    if unseen:
        listed = ", ".join(unseen[:4]) + (", ..." if len(unseen) > 4 else "")
        notes.append(
            f"Column {name}: {int((codes < 0).sum())} rows have a category that no training row has ({listed}); its "
            "inputs are all zero there."
        )
    return Column(name, start, tuple(categories)), part, notes


def _refuse_not_categorical(texts: NDArray[np.object_], name: str, where: str) -> None:
    """Refuse a column of texts that is no column of categories by its looks."""
    present = sorted({text for text in texts if text is not None})
    numbers = pd.to_numeric(pd.Series(present, dtype=object), errors="coerce").notna()
    if 2 * int(numbers.sum()) > len(present):
        odd = [text for text, number in zip(present, numbers, strict=True) if not number]
        what = (
            f"numbers, but also {odd[0]!r}; put it right, add it to data.missing_values" if odd else "numbers as texts"
        )
        raise DataError(f"{where}: column {name!r} holds {what}; or name the column in data.categorical")
    if len(present) > MOST_CATEGORIES:
        raise DataError(
            f"{where}: column {name!r} has {len(present)} different texts, so it looks like an id or free text; leave "
            f"it out (data.leave_out=[{name}]), or name it in data.categorical"
        )


def _numeric(
    values: Floats, name: str, start: int, train: Ints, spec: TableFields, where: str
) -> tuple[Column, Floats, list[str]]:
    missing = np.isnan(values)
    if np.isinf(values).any():
        raise DataError(
            f"{where}: column {name!r} has infinite values ({int(np.isinf(values).sum())} of {len(values)})"
        )
    known = values[train][~missing[train]]
    if not len(known):
        raise DataError(f"{where}: column {name!r} has no value in any training row; leave it out")
    middle, spread = float(known.mean()), float(known.std())
    notes = []
    if not spread > 1e-12 * max(1.0, abs(middle)):
        spread = 1.0
        notes.append(f"Column {name}: is the same in all training rows, so nothing can be learned from it.")
    mean, scale = (middle, spread) if spec.standardise else (0.0, 1.0)
    filled = np.where(missing, middle, values)
    part = ((filled - mean) / scale)[:, None]
    indicator = spec.missing == "category" and bool(missing[train].any())
    if indicator:
        part = np.concatenate([part, missing[:, None].astype(np.float64)], axis=1)
    elif spec.missing == "category" and missing.any():
        notes.append(f"Column {name}: no training row lacks it; where others do, they have the training mean.")
    return Column(name, start, None, mean, scale, indicator), part, notes


def _contents(frame: pd.DataFrame, features: Sequence[str]) -> NDArray[np.uint64]:
    """Return a hash of what each row holds, by the names of the columns, whatever their order."""
    hashes = pd.util.hash_pandas_object(frame[sorted(features)], index=False, categorize=False)
    return hashes.to_numpy().astype(np.uint64)


def _digest(names: Sequence[object], arrays: Mapping[str, NDArray[np.generic]]) -> str:
    hashed = hashlib.sha256(repr(names).encode())
    for name, array in arrays.items():
        hashed.update(f"/{name} {array.dtype.str}{array.shape}/".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()
