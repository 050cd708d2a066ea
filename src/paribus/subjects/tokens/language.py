"""Sequences for language models: repeated random tokens, files of ids, pairs of prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paribus.arrays import Ints
from paribus.errors import DataError, size_of
from paribus.measure.contexts import numbered
from paribus.spec import path_of
from paribus.subjects.json_lines import json_objects
from paribus.subjects.tokens.data import Targets, TokenData
from paribus.subjects.tokens.prompt_pairs import PromptPairs
from paribus.subjects.tokens.repeated import RepeatedTokens
from paribus.subjects.tokens.token_file import TokenFile

MOST_BYTES = 1 << 30
MOST_TOKENS = 1 << 28
REPORTED, REFERENCE = "test", "train"


def repeated(spec: RepeatedTokens) -> TokenData:
    """Return random tokens repeated once, those that are reported first; see the spec."""
    generator = torch.Generator().manual_seed(spec.seed)
    n, length = spec.n_sequences + spec.n_reference, spec.length
    # the reported ones are drawn first, so that they do not change with the number of the others
    reported = torch.randint(spec.lowest, spec.n_tokens, (spec.n_sequences, length), generator=generator)
    reference = torch.randint(spec.lowest, spec.n_tokens, (spec.n_reference, length), generator=generator)
    copy = torch.cat([reported, reference])
    other = torch.randint(spec.lowest, spec.n_tokens, (n, length), generator=generator)
    start = torch.empty(n, 0, dtype=torch.long) if spec.first is None else torch.full((n, 1), spec.first)
    ids = torch.cat([start, copy, copy], dim=1)
    begin = start.shape[1] + length  # the first token of the second copy cannot be predicted
    positions = np.tile(np.arange(begin, begin + length - 1), (n, 1))
    splits = {REPORTED: np.arange(spec.n_sequences)}
    if spec.n_reference:
        splits[REFERENCE] = np.arange(spec.n_sequences, n)
    return TokenData(
        ids=ids,
        labels=None,
        clusters=np.arange(n),
        class_names=(),
        splits=splits,
        n_tokens=spec.n_tokens,
        targets=Targets(positions, ids.numpy()[:, begin + 1 :]),
        sink=spec.first is not None,
        control=torch.cat([start, copy, other], dim=1),
    )


@dataclass(frozen=True)
class Line:
    """One sequence of a file.

    Attributes:
        ids: Its tokens.
        cluster: What it shares with others that are not independent of it.
        split: Its split.
        answer: The right token after the last one; None: every next token is asked for.
        against: Tokens that the answer is compared with.
        positions: Where what has a name is, from 0; the same names in every sequence.
    """

    ids: tuple[int, ...]
    cluster: str
    split: str
    answer: int | None
    against: tuple[int, ...]
    positions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def load(spec: TokenFile) -> TokenData:
    """Return the sequences of a file; see the spec.

    Raises:
        DataError: If the file is missing, too large, or a line is no sequence.
    """
    lines = list(_lines(spec))
    if not lines:
        raise DataError(f"data.path={spec.path}: holds no sequence")
    return made_of(lines, spec, spec.n_tokens)


def small_file(path: str) -> Path:
    """Return the file of a data set that is held in memory.

    Raises:
        DataError: If it is missing, or too large for that.
    """
    file = path_of(path)
    if not file.is_file():
        raise DataError(f"data.path={path}: no such file")
    if file.stat().st_size > MOST_BYTES:
        raise DataError(f"data.path={path}: {size_of(file.stat().st_size)}; at most {size_of(MOST_BYTES)} is read")
    return file


def made_of(
    lines: Sequence[Line],
    spec: TokenFile | PromptPairs,
    n_tokens: int,
    notes: tuple[str, ...] = (),
    pairs: Ints | None = None,
) -> TokenData:
    """Return sequences as padded data, by split in their order.

    Args:
        lines: The sequences.
        spec: How they are padded, and what file they are from.
        n_tokens: How many tokens there are.
        notes: Warnings about them.
        pairs: Which belong together ``[m, 2]``.

    Raises:
        DataError: If some have an answer and others none, or they are too many or too short.
    """
    what, sizes = spec.path, np.array([len(line.ids) for line in lines])
    answered = [line.answer is not None for line in lines]
    if any(answered) != all(answered):
        raise DataError(f"{what}: {sum(answered)} of {len(lines)} sequences have an answer; give all one, or none")
    if not all(answered) and sizes.min() < 2:
        raise DataError(f"{what}: sequence {int(sizes.argmin()) + 1} has {sizes.min()} tokens; a next one needs two")
    length = int(sizes.max())
    if length * len(lines) > MOST_TOKENS:
        raise DataError(f"{what}: {len(lines)} sequences of up to {length} tokens take too much memory")
    ids = torch.full((len(lines), length), spec.pad)
    mask = torch.zeros(len(lines), length, dtype=torch.long)
    shifts: list[int] = []
    for row, line in enumerate(lines):
        place = slice(length - len(line.ids), length) if spec.padding == "left" else slice(0, len(line.ids))
        ids[row, place], mask[row, place] = torch.tensor(line.ids), 1
        shifts.append(place.start)
    names = [line.split for line in lines]
    splits = {name: np.flatnonzero(np.array(names) == name) for name in dict.fromkeys(names)}
    return TokenData(
        ids=ids,
        labels=None,
        clusters=numbered([line.cluster for line in lines], "cluster", len(lines))[0],
        class_names=(),
        splits=splits,
        n_tokens=n_tokens,
        mask=None if (sizes == length).all() else mask,
        targets=_answers(lines, mask) if all(answered) else _next_tokens(ids, mask),
        sink=spec.sink,
        notes=notes,
        pairs=pairs,
        positions={name: _table(lines, name, shifts) for name in lines[0].positions},
    )


def _table(lines: Sequence[Line], name: str, shifts: Sequence[int]) -> Ints:
    """Return where a name is in each padded sequence ``[n, w]``, the last one again where it has fewer positions."""
    widest = max(len(line.positions[name]) for line in lines)
    table = np.empty((len(lines), widest), np.int64)
    for row, (line, shift) in enumerate(zip(lines, shifts, strict=True)):
        own = line.positions[name]
        table[row] = np.array([*own, *own[-1:] * (widest - len(own))]) + shift
    return table


def _answers(lines: Sequence[Line], mask: Tensor) -> Targets:
    """Return the answers after the last token of each sequence."""
    length = mask.shape[1]
    last = length - 1 - mask.flip(1).argmax(1).numpy()
    widest = max(len(line.against) for line in lines)
    against = np.full((len(lines), widest), -1, np.int64)
    for row, line in enumerate(lines):
        against[row, : len(line.against)] = line.against
    ids = np.array([[line.answer] for line in lines], np.int64)
    return Targets(last[:, None], ids, against if widest else None)


def _next_tokens(ids: Tensor, mask: Tensor) -> Targets:
    """Return every next token of each sequence."""
    both = (mask[:, 1:] * mask[:, :-1]).numpy().astype(bool)
    n, width = both.shape
    positions: Ints = np.where(both, np.arange(width)[None], -1)
    return Targets(positions.astype(np.int64), np.where(both, ids[:, 1:].numpy(), 0).reshape(n, width))


def _lines(spec: TokenFile) -> Iterator[Line]:
    for number, where, found in json_objects(small_file(spec.path), spec.path):
        if not are_ids(found.get("ids")):
            raise DataError(f'{where}: needs an object with whole numbers in "ids"')
        answer, against = found.get("answer"), found.get("against", [])
        if not (answer is None or is_id(answer)) or (against and not are_ids(against)):
            raise DataError(f"{where}: answer must be a token id, against a list of them")
        if against and answer is None:
            raise DataError(f"{where}: against compares an answer with other tokens, and there is no answer")
        cluster = str(found.get("cluster", f"{number:09d}"))
        yield Line(tuple(found["ids"]), cluster, str(found.get("split", "all")), answer, tuple(against))


def is_id(value: Any) -> bool:
    """Return whether a value of a file can be a token.

    Example:
        >>> is_id(3), is_id(True), is_id("3")
        (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def are_ids(value: Any) -> bool:
    """Return whether a value of a file is a list of one token or more."""
    return isinstance(value, list) and bool(value) and all(map(is_id, value))
