"""From the columns of a file to encoded rows with splits: what is learned from it comes from the training rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from paribus.arrays import Floats, Ints, Singles
from paribus.errors import DataError, nearest
from paribus.spec import path_of
from paribus.subjects.columns import column_names, read_columns
from paribus.subjects.in_splits import SPLITS
from paribus.subjects.roles import blank_notes, check_columns, coded, counted, gaps, placed, without_gaps
from paribus.subjects.tables.data import MISSING, EncodedColumn, TableData

if TYPE_CHECKING:
    from paribus.subjects.tables.table import Table

MOST = 1e38
MOST_CATEGORIES = 100
"""A text column with more distinct values is taken for an id or free text, unless it is declared categorical."""


def load(spec: Table) -> TableData:
    """Read the table that ``spec`` describes.

    Raises:
        DataError: If the file is missing, damaged or too large, a column is missing or unfit, or a split is empty.
    """
    file, where = path_of(spec.path), f"table {spec.path}"
    features = _feature_names(spec, column_names(file), where)
    roles = list(spec.role_columns.values())
    wanted = list(dict.fromkeys([*roles, *features]))
    texts = [name for name in wanted if name in roles or name in spec.categorical]
    frame = read_columns(file, wanted, texts=texts, missing=spec.missing_values)
    frame, notes = _complete(frame, roles, spec, where)
    found = placed(spec, frame, where=where, draws="tables/splits")
    notes += [*blank_notes(found.frame, list(found.frame.columns)), *found.notes]
    kept = np.sort(np.concatenate(list(found.splits.values())))
    splits = {name: np.searchsorted(kept, rows) for name, rows in found.splits.items()}
    frame = found.frame.iloc[kept].reset_index(drop=True)
    inputs, columns, more = _encoded(frame, features, splits["train"], spec, where)
    labels, domains, clusters = (one.codes[kept] for one in (found.labels, found.domains, found.clusters))
    hashed = {"inputs": inputs, "labels": labels, "domains": domains, "clusters": clusters}
    hashed |= {f"split {name}": splits[name] for name in SPLITS if name in splits}
    domain_names, class_names, cluster_names = (one.names for one in (found.domains, found.labels, found.clusters))
    return TableData(
        inputs=torch.from_numpy(inputs),
        columns=columns,
        labels=labels,
        domains=domains,
        clusters=clusters,
        domain_names=domain_names,
        class_names=class_names,
        splits=splits,
        digest=_digest([columns, domain_names, class_names, cluster_names], hashed),
        train_domains=tuple(int(k) for k in np.unique(domains[splits["train"]])),
        cluster_names=cluster_names,
        contents=_contents(frame, features),
        values={name: frame[name].to_numpy() for name in features},
        notes=tuple(notes + more),
        about_encoding=tuple(more),
    )


def _feature_names(spec: Table, names: Sequence[str], where: str) -> list[str]:
    """Return the columns that the model sees, after a look at every column that the request names.

    Raises:
        DataError: If there is no such column, or none is left.
    """
    asked: dict[str, list[str]] = {role: [name] for role, name in spec.role_columns.items()}
    asked |= {"columns": spec.columns, "leave_out": spec.leave_out, "categorical": spec.categorical}
    check_columns(asked, names, where)
    taken = {*spec.role_columns.values(), *spec.leave_out}
    features = list(spec.columns) or [name for name in names if name not in taken]
    if not features:
        raise DataError(f"{where}: no column is left for the model to see; columns: {', '.join(names)}")
    for name in spec.categorical:
        if name not in features:
            raise DataError(f"{where}: categorical: the model does not see {name!r}; {nearest(name, features)}")
    return features


def _complete(frame: pd.DataFrame, roles: list[str], spec: Table, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that are used, without those that ``missing=drop`` leaves out.

    Raises:
        DataError: If a value is missing that must not be.
    """
    counts = gaps(frame)
    if not counts:
        return frame, []
    if spec.missing == "drop":
        return without_gaps(frame, counts, where)
    for name, count in counts.items():
        text = frame[name].dtype == object
        if spec.missing == "refuse" or name in roles or (spec.missing == "mean" and text):
            valid = "drop leaves such rows out"
            if name not in roles:
                valid += ", category tells them apart" if text else ", mean and category keep them"
            raise DataError(f"{where}: column {name!r} lacks {count} of {len(frame)} values; data.missing: {valid}")
    return frame, [f"Missing values ({spec.missing}): {counted(counts)}."]


def _encoded(
    frame: pd.DataFrame, features: Sequence[str], train: Ints, spec: Table, where: str
) -> tuple[Singles, tuple[EncodedColumn, ...], list[str]]:
    """Return the inputs ``[n, d]``, what they are, and what is to be said of them."""
    parts: list[Floats] = []
    columns: list[EncodedColumn] = []
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
    texts: NDArray[np.object_], name: str, start: int, train: Ints, spec: Table, where: str
) -> tuple[EncodedColumn, Floats, list[str]]:
    filled = np.array([MISSING if text is None else text for text in texts], dtype=object)
    if name not in spec.categorical:
        _refuse_not_categorical(texts, name, where)
    known = coded(filled, train)
    codes, categories = known.codes, known.names
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
    return EncodedColumn(name, start, categories), part, notes


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
    values: Floats, name: str, start: int, train: Ints, spec: Table, where: str
) -> tuple[EncodedColumn, Floats, list[str]]:
    missing = np.isnan(values)
    if np.isinf(values).any():
        raise DataError(
            f"{where}: column {name!r} has infinite values ({int(np.isinf(values).sum())} of {len(values)})"
        )
    if np.abs(values[~missing]).max(initial=0.0) > MOST:
        raise DataError(f"{where}: column {name!r} has values beyond {MOST:g}, which 32-bit numbers cannot hold")
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
    return EncodedColumn(name, start, None, mean, scale, indicator, (middle - mean) / scale), part, notes


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
