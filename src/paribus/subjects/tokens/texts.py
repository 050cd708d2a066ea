"""Texts of a file as token ids with a label, a domain and a cluster each, cut into splits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from paribus.arrays import Ints
from paribus.errors import DataError
from paribus.spec import path_of
from paribus.subjects.columns import column_names, read_columns
from paribus.subjects.in_splits import SPLITS, check_classes
from paribus.subjects.roles import blank_notes, check_columns, gaps, placed, without_gaps
from paribus.subjects.tokens.data import TokenData
from paribus.subjects.tokens.tokenizer import Encoded, Tokenizer

if TYPE_CHECKING:
    from paribus.subjects.tokens.text_table import TextTable


def load(spec: TextTable) -> TokenData:
    """Read the texts that ``spec`` describes.

    Raises:
        DataError: If the file is missing, damaged or too large, a column is missing, or a split is empty.
    """
    file, where = path_of(spec.path), f"table {spec.path}"
    tokenizer = Tokenizer(spec.tokenizer)
    roles, present = spec.role_columns, column_names(file)
    check_columns({role: [name] for role, name in {"text": spec.text, **roles}.items()}, present, where)
    shown = [] if spec.renderings is None else [name for name in present if name.startswith(spec.renderings)]
    wanted = list(dict.fromkeys([spec.text, *roles.values(), *shown]))
    frame = read_columns(file, wanted, texts=wanted, missing=spec.missing_values)
    frame, notes = _complete(frame, spec, where)
    found = placed(spec, frame, where=where, draws="texts/splits")
    columns = [spec.text, *_renderings(spec, found.domains.names, present, where)]
    kept = np.sort(np.concatenate(list(found.splits.values())))
    splits = {name: np.searchsorted(kept, found.splits[name]) for name in SPLITS if name in found.splits}
    labels, domains, clusters = (one.codes[kept] for one in (found.labels, found.domains, found.clusters))
    check_classes(where, labels[splits["train"]], found.labels.names)
    texts = found.frame.iloc[kept]
    encoded = tokenizer.texts([one for name in columns for one in texts[name]], spec.max_length)
    own, *others = (encoded.part(at, at + len(kept)) for at in range(0, len(encoded.ids), len(kept)))
    notes += [
        *tokenizer.notes,
        *blank_notes(frame, list(roles.values())),
        *found.notes,
        *_text_notes(encoded, own, splits, spec),
    ]
    return TokenData(
        ids=torch.from_numpy(own.ids),
        labels=labels,
        clusters=clusters,
        class_names=found.labels.names,
        splits=splits,
        n_tokens=tokenizer.n_tokens,
        notes=tuple(notes),
        mask=torch.from_numpy(own.mask).long(),
        domains=domains,
        domain_names=found.domains.names,
        cluster_names=found.clusters.names,
        contents=np.array([_content(text) for text in texts[spec.text]], np.uint64),
        renderings={k: (torch.from_numpy(one.ids), torch.from_numpy(one.mask).long()) for k, one in enumerate(others)},
        paired_class=paired_classes(labels, domains, clusters, splits["train"]),
    )


def paired_classes(labels: Ints, domains: Ints, clusters: Ints, rows: Ints) -> dict[int, int | None]:
    """Return for each domain of some rows the class associated with it: the most over-represented one.

    A share counts as larger where it is two standard errors (over clusters) above the mean over domains.

    Example:
        >>> four = np.arange(40)
        >>> paired_classes(four // 20, four // 20, four, four)
        {0: 0, 1: 1}
        >>> paired_classes(four % 2, four // 20, four, four)
        {0: None, 1: None}
    """
    there = np.unique(domains[rows]).tolist()
    classes = np.arange(labels[rows].max() + 1)
    own = {k: rows[domains[rows] == k] for k in there}
    shares = np.stack([(labels[own[k]][:, None] == classes).mean(axis=0) for k in there])
    mean = shares.mean(axis=0)
    found: dict[int, int | None] = {}
    for k, share in zip(there, shares, strict=True):
        best = int((share - mean).argmax())
        error = np.sqrt(mean[best] * (1 - mean[best]) / len(np.unique(clusters[own[k]])))
        found[k] = best if share[best] - mean[best] > 2 * error else None
    return found


def _renderings(spec: TextTable, domains: tuple[str, ...], present: Sequence[str], where: str) -> list[str]:
    """Return the columns that hold texts as each domain would write them; none where that is not asked for.

    Raises:
        DataError: If one is missing.
    """
    if spec.renderings is None:
        return []
    columns = [f"{spec.renderings}{name}" for name in domains]
    check_columns({"renderings": columns}, present, where)
    return columns


def _complete(frame: pd.DataFrame, spec: TextTable, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that lack nothing, and what is said of the others.

    Raises:
        DataError: If one lacks something and none may, or all do.
    """
    counts = gaps(frame)
    if not counts:
        return frame, []
    if spec.missing == "refuse":
        name, count = next(iter(counts.items()))
        raise DataError(
            f"{where}: column {name!r} lacks {count} of {len(frame)} values; data.missing=drop leaves such rows out"
        )
    return without_gaps(frame, counts, where)


def _text_notes(encoded: Encoded, own: Encoded, splits: dict[str, Ints], spec: TextTable) -> list[str]:
    """Return warnings about texts that were cut, and about held-out texts that are also training texts."""
    notes = []
    if encoded.cut.any():
        notes.append(
            f"{int(encoded.cut.sum())} of {len(encoded.cut)} texts have more than {spec.max_length} tokens and lost "
            "their end (data.max_length)."
        )
    rows = [one.tobytes() for one in own.ids]
    trained = {rows[k] for k in splits["train"]}
    for name, held in splits.items():
        count = sum(rows[k] in trained for k in held) if name != "train" else 0
        if count:
            notes.append(f"{count} of {len(held)} texts of the split {name} are texts of train, word for word.")
    return notes


def _content(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
