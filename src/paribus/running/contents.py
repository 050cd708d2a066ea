"""Files and foreign code that determine a part of a request, besides its values."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paribus import digests
from paribus.config.foreign import Foreign
from paribus.config.opened import name_path
from paribus.config.own_code import code_of, parents
from paribus.config.science import science
from paribus.errors import DataError
from paribus.results.values import plain
from paribus.spec import Spec, fields_of, is_own
from paribus.tracking.identity import canonical, digest


@dataclass(frozen=True)
class InputFile:
    """A file that is read.

    Attributes:
        path: Where it is.
        digest: SHA-256 of its content.
    """

    path: Path
    digest: str


@dataclass(frozen=True)
class Contents:
    """What determines the output of a node besides its fields.

    Attributes:
        files: The files it reads, by what each is for.
        code: Digests of foreign code, by ``module NAME`` and ``distribution NAME``.
        versions: Non-empty values of ``fingerprint()`` of specs, such as the version of a generator.
    """

    files: Mapping[str, InputFile] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """Return one hash of all of it, empty if there is nothing; the paths of files do not enter."""
        if not (self.files or self.code or self.versions):
            return ""
        files = {name: file.digest for name, file in self.files.items()}
        return digest({"files": files, "code": dict(self.code), "versions": dict(self.versions)})


def contents(node: Any) -> Contents:
    """Return files, code and versions that determine a configuration node, nested nodes included.

    Raises:
        ParibusError: If a file is missing or cannot be read.
    """
    paths: dict[str, Path] = {}
    versions: dict[str, str] = {}
    things: list[Any] = []
    targets: list[str] = []
    for name, part in _parts(node, ""):
        if isinstance(part, Foreign):
            paths |= {f"{name}{key}": path for key, path in part.files.items()}
            _name_paths(part.arguments)
            things.append(part.function)
            targets += parents(part.target)
            continue
        paths |= {f"{name}{key}": path for key, path in part.input_files().items()}
        if version := str(part.fingerprint()):
            versions[name] = version
        if not is_own(type(part).__module__):
            things.append(type(part))
            _name_paths(fields_of(part))
    code = code_of(things, targets) if things or targets else {}
    return Contents(_digested(paths), code, versions)


def fingerprint(node: Any) -> str:
    """Return a hash of everything that determines the output of a node: its science fields and its contents.

    Example:
        >>> from paribus.models.mlp import MLP
        >>> small = fingerprint(MLP(widths=[4]))
        >>> small == fingerprint(MLP(widths=[4])), small == fingerprint(MLP())
        (True, False)
    """
    stated = {"science": canonical(plain(science(node))), "contents": contents(node).digest()}
    return digest(stated)


def without_start(architecture: Any) -> Any:
    """Return the spec of a trained model without the file that its training started from, which no longer matters."""
    if isinstance(architecture, Foreign):
        return dataclasses.replace(architecture, weights=None, leave_out=type(architecture.leave_out)())
    stated = fields_of(architecture)
    if "weights" not in stated:
        return architecture
    left = {"leave_out": type(stated["leave_out"])()} if "leave_out" in stated else {}
    return dataclasses.replace(architecture, weights=None, **left)


def _parts(node: Any, name: str) -> Iterator[tuple[str, Spec | Foreign]]:
    """Yield every spec and foreign callable in a node with the prefix of its names."""
    if isinstance(node, Spec):
        yield name, node
        inside = fields_of(node)
    elif isinstance(node, Foreign):
        yield name, node
        inside = dict(node.arguments)
    elif isinstance(node, Mapping):
        inside = {str(key): value for key, value in node.items()}
    elif isinstance(node, list | tuple):
        inside = {str(place): value for place, value in enumerate(node)}
    else:
        return
    for key, value in inside.items():
        yield from _parts(value, f"{name}{key}.")


def _name_paths(values: Mapping[str, Any]) -> None:
    """Record the files that a request names itself, declared or not."""
    for value in values.values():
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and text and os.path.exists(os.path.expanduser(text)):
                name_path(text)


def _digested(paths: Mapping[str, Path]) -> dict[str, InputFile]:
    """Return the files with their digests; a folder stands for the files in it.

    Raises:
        DataError: If one is missing or cannot be read.
    """
    files: dict[str, Path] = dict(paths)
    try:
        for name, path in paths.items():
            if path.is_dir():
                inside = digests.files_below(path)
                del files[name]
                files |= {f"{name}/{file.relative_to(path).as_posix()}": file for file in inside}
        found = digests.file_digests(list(files.values()))
    except OSError as error:
        raise DataError(_cannot(files, error)) from None
    return {
        name: InputFile(path.absolute(), content) for (name, path), content in zip(files.items(), found, strict=True)
    }


def _cannot(files: Mapping[str, Path], error: OSError) -> str:
    if error.filename is None:
        return str(error)
    name = next((name for name, path in files.items() if str(path) == str(error.filename)), "file")
    return f"{name} {error.filename}: cannot be read ({error.strerror})"
