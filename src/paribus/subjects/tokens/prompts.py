"""Pairs of prompts, read from a file and tokenised, with the positions of the named parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from paribus.errors import DataError
from paribus.spec import path_of
from paribus.subjects.columns import column_names, read_columns
from paribus.subjects.json_lines import json_objects
from paribus.subjects.tokens.data import TokenData
from paribus.subjects.tokens.language import Line, are_ids, is_id, made_of, small_file
from paribus.subjects.tokens.subject import CORRUPTED, END
from paribus.subjects.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from paribus.subjects.tokens.prompt_pairs import PromptPairs

SIDES = ("clean", "corrupted")
_MARK = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)(?::([^{}]*))?\}|[{}]")
Spans = Mapping[str, tuple[tuple[int, int], ...]]
"""Where each name is in a text: from which character to which."""


@dataclass(frozen=True)
class Prompt:
    """A prompt as tokens.

    Attributes:
        ids: Its tokens.
        positions: The positions of each name.
    """

    ids: tuple[int, ...]
    positions: Mapping[str, tuple[int, ...]]


def load(spec: PromptPairs) -> TokenData:
    """Return the pairs of a file: clean prompts first, then the corrupted ones in the same order; see the spec.

    Raises:
        DataError: If a file or package is missing, or a row is no pair.
    """
    small_file(spec.path)
    tokenizer = None if spec.tokenizer is None else Tokenizer(spec.tokenizer)
    sides: tuple[list[Line], list[Line]] = ([], [])
    uneven = bare = 0
    for where, row in _rows(spec):
        bare += tokenizer is not None and _is_bare(row, tokenizer)
        both = _lines(row, spec, tokenizer, where)
        sizes = [len(one.ids) for one in both]
        if sizes[0] != sizes[1] and spec.unequal == "refuse":
            raise DataError(
                f"{where}: the clean prompt has {sizes[0]} tokens, the corrupted one {sizes[1]}; make them as long, or "
                "say data.unequal=keep and patch named positions"
            )
        uneven += sizes[0] != sizes[1]
        for side, line in zip(sides, both, strict=True):
            side.append(line)
    lines = [*sides[0], *sides[1]]
    if not lines:
        raise DataError(f"data.path={spec.path}: holds no pair")
    _refuse_other_names(lines, spec.path)
    m = len(sides[0])
    n_tokens = spec.n_tokens if spec.n_tokens is not None or tokenizer is None else tokenizer.n_tokens
    assert n_tokens is not None
    notes = [] if tokenizer is None else [*tokenizer.notes, *_said(tokenizer, bare, m)]
    if uneven:
        notes.append(
            f"{uneven} of {m} pairs have prompts of different lengths: numbers of positions mean nothing in them."
        )
    return made_of(
        lines,
        spec,
        n_tokens,
        pairs=np.stack([np.arange(m), np.arange(m) + m], axis=1),
        notes=tuple(notes),
    )


def _said(tokenizer: Tokenizer, bare: int, n_pairs: int) -> Iterator[str]:
    """Yield warnings about how prompts and answers were tokenised."""
    if tokenizer.ends:
        yield (
            f"The tokenizer ends texts with {' '.join(tokenizer.ends)}; it is left out of the prompts, which the "
            "answer follows."
        )
    if bare:
        yield (
            f"The answers of {bare} of {n_pairs} pairs are written without a blank before them, and are another single "
            "token with one; a word that follows a word has mostly the latter."
        )


def _is_bare(row: Mapping[str, Any], tokenizer: Tokenizer) -> bool:
    """Return whether an answer lacks the blank that another token of the same word has."""
    answer, clean = row.get("answer"), row.get("clean", "")
    return isinstance(answer, str) and not str(clean)[-1:].isspace() and tokenizer.is_other_after_blank(answer)


def _rows(spec: PromptPairs) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the rows of the file, each with where it is."""
    file = path_of(spec.path)
    if file.suffix.lower() == ".csv":
        names = column_names(file)
        rows = read_columns(file, names, texts=names, missing=[""]).to_dict("records")
        for number, row in enumerate(rows, start=2):
            yield f"{spec.path}, line {number}", {str(name): one for name, one in row.items() if one is not None}
        return
    for _, where, found in json_objects(file, spec.path, "; a CSV file must be called .csv"):
        yield where, found


def _lines(row: Mapping[str, Any], spec: PromptPairs, tokenizer: Tokenizer | None, where: str) -> tuple[Line, Line]:
    """Return both prompts of a row as sequences, the answer being that to the clean one."""
    prompts = [_prompt(row, side, spec, tokenizer, where) for side in SIDES]
    if prompts[0].ids == prompts[1].ids:
        raise DataError(f"{where}: the clean and the corrupted prompt are the same tokens")
    if "answer" not in row:
        raise DataError(f"{where}: has no answer; columns are {', '.join(map(str, row))}")
    answer = _token(row["answer"], tokenizer, f"{where}, answer")
    wrong = row.get("wrong", [])
    if isinstance(wrong, str):
        wrong = wrong.split("|")
    wrong = wrong if isinstance(wrong, list) else [wrong]
    against = tuple(_token(one, tokenizer, f"{where}, wrong") for one in wrong)
    if answer in against:
        raise DataError(f"{where}: the answer is among the wrong ones")
    cluster, split = str(row.get("cluster", where)), str(row.get("split", "test"))
    if split.endswith(CORRUPTED):
        raise DataError(f"{where}: a split must not end with {CORRUPTED}; the corrupted prompts' splits are named so")
    clean, corrupted = (
        Line(one.ids, cluster, name, answer, against, _with_ends(one.positions))
        for one, name in zip(prompts, (split, split + CORRUPTED), strict=True)
    )
    return clean, corrupted


def _prompt(row: Mapping[str, Any], side: str, spec: PromptPairs, tokenizer: Tokenizer | None, where: str) -> Prompt:
    given = row.get(side, row.get("template", spec.template))
    if given is None:
        raise DataError(f"{where}: has no {side} prompt and no template; columns are {', '.join(map(str, row))}")
    first = () if spec.first is None else (spec.first,)
    if tokenizer is None or isinstance(given, list):
        found = _of_ids(given, row, side, where)
    else:
        found = _of_text(tokenizer, *marked(str(given), row, side, where), where)
    shifted = {name: tuple(one + len(first) for one in places) for name, places in found.positions.items()}
    return Prompt((*first, *found.ids), shifted)


def _of_text(tokenizer: Tokenizer, text: str, spans: Spans, where: str) -> Prompt:
    """Return a text as tokens, special ones as the tokenizer adds them, and which of them each name is.

    Raises:
        DataError: If a name is of no token.
    """
    ids, of = tokenizer.prompt(text)
    positions = {}
    for name, parts in spans.items():
        own = tuple(
            index
            for index, (begin, end) in enumerate(of)
            if begin < end and any(begin < stop and start < end for start, stop in parts)
        )
        if not own:
            raise DataError(f"{where}: {{{name}}} holds no token")
        positions[name] = own
    return Prompt(ids, positions)


def _of_ids(given: Any, row: Mapping[str, Any], side: str, where: str) -> Prompt:
    if not are_ids(given):
        raise DataError(f"{where}: {side} must be a list of token ids where there is no tokenizer (data.tokenizer)")
    named = row.get(f"{side}_positions", row.get("positions", {}))
    if not isinstance(named, dict):
        raise DataError(f"{where}: positions must be an object of names, each with a list of positions")
    positions = {}
    for name, places in named.items():
        own = places if isinstance(places, list) else [places]
        there = bool(own) and all(is_id(one) and one < len(given) for one in own)
        if not there or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise DataError(f"{where}: positions of {name!r} must be numbers from 0 to {len(given) - 1}, got {places}")
        positions[name] = tuple(sorted(own))
    return Prompt(tuple(given), positions)


def _token(value: Any, tokenizer: Tokenizer | None, where: str) -> int:
    if is_id(value):
        return int(value)
    if tokenizer is None or not isinstance(value, str):
        raise DataError(f"{where}: must be a token id, got {value!r}")
    return tokenizer.token(value, where)


def _with_ends(positions: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return named positions, and the first and the last one of each name under names of their own."""
    found: dict[str, tuple[int, ...]] = {}
    for name, places in positions.items():
        found |= {name: places, f"{name}.first": places[:1], f"{name}.last": places[-1:]}
    return found


def _refuse_other_names(lines: Sequence[Line], path: str) -> None:
    names = set(lines[0].positions)
    for number, line in enumerate(lines):
        if set(line.positions) != names:
            odd = sorted(names ^ set(line.positions))[0].partition(".")[0]
            row = number % (len(lines) // 2) + 1
            raise DataError(f"{path}: {odd!r} is named in some prompts and not in others (pair {row}); name it in all")
    if END in names:
        raise DataError(f"{path}: @{END} is the last token of every prompt; give {{{END}}} another name")


def marked(text: str, values: Mapping[str, Any], side: str, where: str) -> tuple[str, Spans]:
    """Return a text without its marks, and where each name is in it.

    Args:
        text: ``The {subject:Eiffel Tower} is``, or ``The {subject} is`` whose filling the values give; ``{{`` is a
            brace.
        values: ``clean_subject`` or ``corrupted_subject``, or ``subject`` for both sides.
        side: ``clean`` or ``corrupted``.
        where: Where the text stands.

    Raises:
        DataError: If a brace stands alone, or nothing fills a name.

    Example:
        >>> marked("The {subject} is", {"clean_subject": "tower"}, "clean", "line 1")
        ('The tower is', {'subject': ((4, 9),)})
    """
    pieces: list[str] = []
    spans: dict[str, tuple[tuple[int, int], ...]] = {}
    done = length = 0
    for found in _MARK.finditer(text):
        name, own = found.groups()
        between = text[done : found.start()]
        if name is None:
            if len(found[0]) == 1:
                raise DataError(f"{where}: a brace stands alone in {text!r}; write {{name}}, {{name:text}} or {{{{")
            filling = found[0][0]
        else:
            filling = own if own is not None else values.get(f"{side}_{name}", values.get(name))
            if filling is None:
                raise DataError(f"{where}: nothing fills {{{name}}}; give a column {side}_{name} or {name}")
            start = length + len(between)
            spans[name] = (*spans.get(name, ()), (start, start + len(str(filling))))
        pieces += [between, str(filling)]
        length += len(between) + len(str(filling))
        done = found.end()
    return "".join([*pieces, text[done:]]), spans
