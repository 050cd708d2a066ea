"""The files that a run read: kept with it, checked at its end, and compared with their current state before reuse."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paribus import digests
from paribus.config.normal_source import normalised
from paribus.config.opened import Opened, hidden
from paribus.errors import DataError, ExperimentError
from paribus.tracking.identity import digest

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.running.identify import Identified
    from paribus.running.resolved import Resolved
    from paribus.tracking.file_run import FileRun
    from paribus.tracking.interface import Store

INPUTS_FILE = "inputs.json"
MOST_NAMED = 100
"""Above this number of files the result has only their count and digest; ``inputs.json`` always has all."""
MOST_LISTED = 10_000
"""Above this number of declared files, those of a group are kept as one entry."""
KEY = "files"
GONE = "gone"
PRODUCTS = ("multirun", "mlruns", "mlflow.db", "outputs", "__pycache__")
"""Names that runs themselves create in a working folder; listings ignore them."""


@dataclass(frozen=True)
class Inputs:
    """The files of a run, by path, with a digest each.

    Attributes:
        declared: Those whose content is part of the identity, by what each is for: path and digest.
        opened: Further files that were opened.
        listed: Folders that were listed: a digest of the names in them.
        absent: Paths that could not be opened because nothing was there.
        sources: Imported Python sources, by the digest of their meaning.
    """

    declared: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    opened: Mapping[str, str] = field(default_factory=dict)
    listed: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self.declared or self.found_out)

    @property
    def found_out(self) -> bool:
        """Whether anything was read that is not part of the identity."""
        return bool(self.opened or self.listed or self.absent or self.sources)

    def digest(self) -> str:
        """Return a hash of what was read that is not part of the identity, empty if there is nothing."""
        if not self.found_out:
            return ""
        found = {name: part for name, part in self.plain().items() if name != "declared"}
        return digest({"read": found})

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        declared = {name: {"path": path, "digest": content} for name, (path, content) in self.declared.items()}
        every = {
            "declared": declared,
            "opened": dict(self.opened),
            "listed": dict(self.listed),
            "absent": list(self.absent),
            "sources": dict(self.sources),
        }
        return {name: value for name, value in every.items() if value}

    @classmethod
    def from_plain(cls, kept: Mapping[str, Any]) -> Inputs:
        """Return the inputs that :meth:`plain` wrote."""
        return cls(
            {name: (one["path"], one["digest"]) for name, one in kept.get("declared", {}).items()},
            kept.get("opened", {}),
            kept.get("listed", {}),
            tuple(kept.get("absent", ())),
            kept.get("sources", {}),
        )


def read_by(identified: Identified, opened: Opened, own: tuple[Path, ...] = ()) -> Inputs:
    """Return what a run read, and check it against the identity.

    Args:
        identified: The run's identity with the files that are part of it.
        opened: Files that were opened while it was set up and run.
        own: Folders of the run itself: what is in them is no input.

    Raises:
        ExperimentError: If a file was changed or replaced meanwhile, so that it is unknown which one was read.
    """
    modules = [name.removeprefix("module ") for name in identified.code if name.startswith("module ")]
    opened.add(hidden(modules))
    opened = opened.without(os.path.abspath(place) for place in own)
    declared = {name: (str(file.path), file.digest) for name, file in identified.files.items()}
    for name, (path, content) in declared.items():
        if _today(path) != content:
            raise _changed(path, f"which the run's identity knows as {name}")
    places = {os.path.realpath(path) for path, _ in declared.values()}
    files: dict[str, str] = {}
    absent = []
    for path, known in sorted(opened.files.items()):
        now = _signature(path)
        if known is None:
            absent += [path] if now is None else []
        elif now is not None and now != known and path not in opened.written:
            raise _changed(path, "while the run went on")
        elif now is not None and os.path.realpath(path) not in places:
            files[path] = _today(path)
    return Inputs(declared, files, dict(_listed(opened, places)), tuple(absent), dict(_sources(opened.code)))


def _changed(path: str, when: str) -> ExperimentError:
    return ExperimentError(f"{path}: was changed or replaced {when}; what was measured is not kept, run it again")


def _listed(opened: Opened, places: set[str]) -> Iterator[tuple[str, str]]:
    """Yield listed folders with a digest of the names seen in them, without those that the run itself created."""
    for folder, names in sorted(opened.folders.items()):
        declared = any(place.startswith(f"{os.path.realpath(folder)}{os.sep}") for place in places)
        if os.path.isdir(folder) and not declared:
            put = {os.path.relpath(path, folder).split(os.sep)[0] for path in opened.written if _is_in(path, folder)}
            yield folder, digests.names_digest(_shown({*names, *put}))


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(f"{folder.rstrip(os.sep)}{os.sep}") and os.path.exists(path)


def _shown(names: set[str]) -> frozenset[str]:
    return frozenset(name for name in names if not name.startswith((".", "mlflow.db")) and name not in PRODUCTS)


def _sources(code: set[str]) -> Iterator[tuple[str, str]]:
    for path in sorted(code):
        if os.path.isfile(path):
            yield path, _meaning(path)


def _meaning(path: str) -> str:
    try:
        return normalised(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return GONE


def _signature(path: str) -> digests.Signature | None:
    try:
        return digests.signature(path)
    except OSError:
        return None


def _today(path: str) -> str:
    try:
        return digests.file_digest(path)
    except OSError:
        return GONE


def keep(inputs: Inputs, run: FileRun) -> dict[str, Any]:
    """Keep the inputs of a run; return their entry in its provenance."""
    if not inputs:
        return {}
    every = replace(inputs, declared=_together(inputs.declared)).plain()
    number = sum(len(part) for part in every.values())
    if number <= MOST_NAMED:
        return {KEY: every}
    run.text(INPUTS_FILE, json.dumps(every, ensure_ascii=False, indent=0))
    return {KEY: {"number": number, "digest": digest({"files": every}), "file": INPUTS_FILE}}


def _together(declared: Mapping[str, tuple[str, str]]) -> Mapping[str, tuple[str, str]]:
    """Return declared files, with those of a very large group as one entry: their folder, and one digest of all.

    Each of them is part of the run's identity, so the names of very many files would add nothing.
    """
    if len(declared) <= MOST_LISTED:
        return declared
    groups: dict[str, list[str]] = {}
    for name in declared:
        groups.setdefault(name.partition(".")[0], []).append(name)
    found: dict[str, tuple[str, str]] = {}
    for group, names in groups.items():
        if len(names) <= MOST_NAMED:
            found |= {name: declared[name] for name in names}
            continue
        place = os.path.commonpath([declared[name][0] for name in names])
        found[f"{group} ({len(names)} files)"] = (place, digest({"files": {name: declared[name][1] for name in names}}))
    return found


def kept(result: Result, store: Store | None = None) -> Inputs:
    """Return what a finished run read.

    Raises:
        DataError: If its list is missing or unreadable.
    """
    noted = result.provenance.get(KEY) or {}
    if "file" not in noted:
        return Inputs.from_plain(noted)
    if store is None or result.run_id is None:
        raise DataError("the list of the files it read is not at hand")
    try:
        every = json.loads(store.download(result.run_id, INPUTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"the list of the files it read cannot be read ({error})") from None
    if digest({"files": every}) != noted["digest"]:
        raise DataError("the list of the files it read is not the one it was finished with")
    return Inputs.from_plain(every)


def undeclared(result: Result) -> str:
    """Return a digest of what a finished run read that is not part of its identity, empty if there is nothing.

    For a run that read very many files it is the digest of all of them.
    """
    noted = result.provenance.get(KEY) or {}
    return str(noted["digest"]) if "file" in noted else Inputs.from_plain(noted).digest()


def check_unchanged(inputs: Inputs) -> None:
    """Compare the files that a finished run opened with their current state.

    Files that are part of its identity are not compared: a change of them gives another identity.

    Raises:
        DataError: At the first difference; the message names the file.
    """
    for problem in changed_since(inputs):
        raise DataError(problem)


def changed_since(inputs: Inputs) -> Iterator[str]:
    """Yield a sentence for each file that a finished run opened and that has changed."""
    for path, content in inputs.opened.items():
        yield from _compared(path, content, _today(path))
    for path, content in inputs.sources.items():
        yield from _compared(path, content, _meaning(path))
    for path, content in inputs.listed.items():
        if not os.path.isdir(path):
            yield f"{path}, which it listed, is gone"
        elif digests.names_digest(_shown(set(os.listdir(path)))) != content:
            yield f"{path}, which it listed, has other files in it now"
    for path in inputs.absent:
        if os.path.exists(path):
            yield f"{path}, which was not there before, is there now"


def files_since(inputs: Inputs) -> tuple[str, ...]:
    """Return which of the files that a finished run read, data and weights, have changed."""
    opened = (line for path, content in inputs.opened.items() for line in _compared(path, content, _today(path)))
    return tuple(dict.fromkeys((*declared_since(inputs), *opened)))


def declared_since(inputs: Inputs) -> Iterator[str]:
    """Yield which of the files that are part of a run's identity have changed."""
    for path, content in inputs.declared.values():
        if os.path.isfile(path) or not os.path.exists(path):
            yield from _compared(path, content, _today(path))


def check_run(result: Result, store: Store, resolved: Resolved) -> None:
    """Compare the files that a finished run read with their current state; also those of its trainings on the spot.

    Raises:
        DataError: At the first difference.
    """
    check_unchanged(kept(result, store))
    if resolved.source is None or not resolved.source.planned:
        return
    for what, made in trainings(result.provenance).items():
        try:
            check_unchanged(kept(store.result(made), store))
        except DataError as error:
            raise DataError(f"{what}: {error}") from None


def trainings(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return the runs that trained the models of a run, by their role.

    Example:
        >>> trainings({"model_run": "a1", "beside": {"model_run": "b2"}})
        {'the training of its model': 'a1', 'the training of its second model': 'b2'}
    """
    found = {"the training of its model": provenance.get("model_run"),
             "the training of its second model": (provenance.get("beside") or {}).get("model_run")}  # fmt: skip
    return {what: str(run_id) for what, run_id in found.items() if run_id}


def _compared(path: str, before: str, now: str) -> Iterator[str]:
    if now == GONE:
        yield f"{path}, which it read, is gone"
    elif now != before:
        yield f"{path}, which it read, has changed since"
