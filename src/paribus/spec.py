"""Declaring configurations: frozen dataclasses whose fields state range, choices and relevance."""

from __future__ import annotations

import dataclasses
import importlib
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from paribus.errors import ConfigError, nearest

ALWAYS_STATED = object()
"""The ``unstated`` of a field that has been there from the start: no value of it stays out of the identity."""

OWN = "paribus"
_kinds: dict[str, str] = {}
"""Which class has which reserved kind, so that no two can share one."""


def field(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: Sequence[str] | None = None,
    once: int | None = None,
    science: bool = True,
    unstated: Any = ALWAYS_STATED,
    file: bool | Callable[[str], Mapping[str, Path]] = False,
) -> Any:
    """Declare a field of a :class:`Spec`.

    Args:
        default: Default value; a list, dict or set is copied for every instance. Omit for a required field.
        help: One line for the generated reference.
        low: Smallest allowed value (inclusive). For a sequence: of each element.
        high: Largest allowed value (inclusive).
        above: Exclusive lower bound.
        below: Exclusive upper bound.
        choices: The allowed strings. For a sequence: of each element.
        once: For a sequence: each value is named once, and at least so many are (0, 1 or 2); none at all is allowed
            where that is the default, which then stands for all of them.
        science: Whether the value can change a result, and so belongs to the run's identity.
        unstated: For a field that is added to a type later: the value that does what was done before there was the
            field. With it the field stays out of the identity, so that runs made before are found again; with any
            other value it belongs to it. It need not be the default.
        file: Whether the value is the path of a file or folder that is read, or what returns the files there that are,
            by names. Their content belongs to the run's identity (see :meth:`Spec.input_files`), the path does not.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Sweep(Spec):
        ...     levels: list[float] = field([0.5, 1.0], low=0.0, help="Levels of the noise.")
        ...     split: str = field("ood", choices=("val", "ood"), help="The split whose rows are used.")
        >>> Sweep(split="val").levels
        [0.5, 1.0]
    """
    metadata = {
        "help": help,
        "low": low,
        "high": high,
        "above": above,
        "below": below,
        "choices": tuple(choices) if choices else None,
        "once": once,
        "may_be_empty": default == [],
        "science": science,
        "unstated": unstated,
        "file": file,
    }
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, list | dict | set):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Spec:
    """Base of every configurable thing; a subclass is the schema of the YAML node that names it in ``_target_``.

    Field types are limited to what a YAML node can hold: ``int, float, str, bool, list[...], dict[str, ...]``,
    ``Any`` and their optional forms. Checks that need several fields go into a ``check`` method of the subclass.

    The file of a spec is read whenever a configuration is checked: it imports nothing heavy. The module that does the
    work, with imports at the top, is named in ``work``.

    A class of Paribus itself declares the name under which it enters identities, ``class SmallCNN(Spec,
    kind="small_cnn")``: reserved, and the same wherever its file moves. All others enter by module and qualified name.

    Raises:
        ConfigError: If a field lies outside its declared range or choices.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Noise(Spec):
        ...     level: float = field(1.0, low=0.0, help="Standard deviation of the noise.")
        >>> Noise(level=2.0).level
        2.0
        >>> try:
        ...     Noise(level=-1.0)
        ... except ConfigError as error:
        ...     print(error)
        Noise.level: must be at least 0, got -1.0
    """

    work: ClassVar[str] = ""

    def __init_subclass__(cls, *, kind: str | None = None, **others: Any) -> None:
        """Reserve the kind of a class.

        Raises:
            TypeError: If a class from outside asks for one, or another class has it.
        """
        super().__init_subclass__(**others)
        if kind is None:
            return
        place = f"{cls.__module__}:{cls.__qualname__}"
        if not is_own(cls.__module__):
            raise TypeError(f"{place}: kinds are reserved for the classes of Paribus itself")
        if _kinds.setdefault(kind, place) != place:
            raise TypeError(f"{place}: the kind {kind!r} belongs to {_kinds[kind]}")
        setattr(cls, _KIND, kind)

    def __post_init__(self) -> None:
        """Check every declared range, then the subclass's own rules."""
        for declared in dataclasses.fields(self):
            check_value(f"{type(self).__name__}.{declared.name}", getattr(self, declared.name), declared.metadata)
        self.check()

    def check(self) -> None:
        """Check rules that involve several fields; raise :class:`ConfigError` when one is broken."""

    def work_module(self) -> Any:
        """Return the module that does the work, imported now: the one lazy step of a spec.

        Raises:
            NotImplementedError: If none is named.
        """
        if not self.work:
            raise NotImplementedError(f"{type(self).__name__} declares no module that does its work")
        return importlib.import_module(self.work)

    def fingerprint(self) -> str:
        """Return what decides what it makes besides fields, files and code: the version of a generator, say."""
        return ""

    def input_files(self) -> Mapping[str, Path]:
        """Return the files that it reads, by a name that says what each is for and not where it is.

        By default those of the fields declared with ``file=True``; a folder there stands for all files in it. A class
        that reads others, or not all of them, overrides this. Files of nested specs are theirs to name.
        """
        found: dict[str, Path] = {}
        for declared in dataclasses.fields(self):
            value = getattr(self, declared.name)
            which = declared.metadata.get("file")
            if which and isinstance(value, str) and value:
                found |= which(value) if callable(which) else {declared.name: path_of(value)}
        return found


@dataclass(frozen=True)
class DataSpec(Spec):
    """Base of a data set that says what kind of data it makes before they are loaded; its ``load`` makes them.

    Class attributes:
        subject: What kind of data it makes: ``images``, ``tables``, ...
        provides: The arguments that a function which makes a network for them is given, where it takes them.

    Example:
        >>> class Points(DataSpec):
        ...     subject = "tables"
        ...     provides = ("n_features", "n_classes", "generator")
        >>> Points().subject
        'tables'
    """

    subject: ClassVar[str]
    provides: ClassVar[tuple[str, ...]] = ()

    def load(self) -> Any:
        """Return the data: what ``load`` of the type's work module makes of its fields.

        Raises:
            DataError: If a file is missing, damaged or unfit.
            NotImplementedError: If no such module is named.
        """
        return self.work_module().load(self)


@dataclass(frozen=True)
class ModelSpec(Spec):
    """Base of a model that is trained where it is needed.

    Class attributes:
        trained_by: The experiment types that make its weights, in order, where no file gives them; empty for none.

    Example:
        >>> ModelSpec().trained_by
        ()
    """

    trained_by: ClassVar[tuple[str, ...]] = ()


def path_of(text: str | Path) -> Path:
    """Return the place that a user names; ``~`` is a home folder.

    Raises:
        ConfigError: If the home folder is of somebody who is not known here, or the text cannot be a place.

    Example:
        >>> path_of("weights/model.pt").name
        'model.pt'
    """
    try:
        found = Path(text).expanduser()
        found.exists()
    except (RuntimeError, OSError, ValueError) as error:
        shown = str(text) if len(str(text)) <= 60 else f"{str(text)[:57]}..."
        raise ConfigError(f"{shown!r}: is no place for a file ({getattr(error, 'strerror', None) or error})") from None
    return found


@runtime_checkable
class LoadsData(Protocol):
    """What an option of the ``data`` group can do, whatever its class.

    Example:
        >>> isinstance(ModelSpec(), LoadsData)
        False
    """

    def load(self) -> Any:
        """Return the data set."""


@runtime_checkable
class BuildsNetwork(Protocol):
    """What an option of the ``model`` group can do, whatever its class: its arguments are what the data provide.

    Example:
        >>> isinstance(ModelSpec(), BuildsNetwork)
        False
    """

    def build(self, **provided: Any) -> Any:
        """Return the network."""


def fields_of(node: Any) -> dict[str, Any]:
    """Return the values of the declared fields of a spec by name; empty for what is none.

    Example:
        >>> fields_of(None)
        {}
    """
    if not isinstance(node, Spec):
        return {}
    return {declared.name: getattr(node, declared.name) for declared in dataclasses.fields(node)}


_KIND = "_declared_kind"


def is_own(module: str) -> bool:
    """Return whether a module belongs to Paribus itself.

    Example:
        >>> is_own("paribus.stats.spec"), is_own("my_package")
        (True, False)
    """
    return module == OWN or module.startswith(f"{OWN}.")


def kind_of(cls: type[Any]) -> str:
    """Return the name under which a class enters identities: its reserved kind, or ``module:qualified name``.

    Raises:
        TypeError: If a class of Paribus itself declares no kind.

    Example:
        >>> kind_of(type("Mine", (), {"__module__": "my_package"}))
        'my_package:Mine'
    """
    declared: str | None = cls.__dict__.get(_KIND)
    if declared is not None:
        return declared
    if is_own(cls.__module__):
        raise TypeError(f"{cls.__module__}.{cls.__qualname__}: declares no kind, so it cannot be part of an identity")
    return f"{cls.__module__}:{cls.__qualname__}"


_AT_LEAST = ("", ", at least one", ", at least two different ones")


def check_value(where: str, value: Any, metadata: Mapping[str, Any]) -> None:
    """Check one value (or each element of a list) against the declaration of its field.

    Example:
        >>> check_value("noise.level", 2.0, {"low": 0.0})
    """
    if value is None:
        return
    if isinstance(value, list | tuple):
        least = metadata.get("once")
        if least is not None and (value or not metadata["may_be_empty"]) and len(set(value)) < max(least, len(value)):
            raise ConfigError(f"{where}: name each once{_AT_LEAST[least]}, got {value}")
        for element in value:
            check_value(where, element, metadata)
        return
    choices = metadata.get("choices")
    if choices is not None and value not in choices:
        raise ConfigError(f"{where}: no such choice {value!r}; {nearest(str(value), choices)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if value != value:
        raise ConfigError(f"{where}: must be a number, got nan")
    bounds = (
        ("at least", metadata.get("low"), operator.ge),
        ("at most", metadata.get("high"), operator.le),
        ("more than", metadata.get("above"), operator.gt),
        ("less than", metadata.get("below"), operator.lt),
    )
    for words, bound, holds in bounds:
        if bound is not None and not holds(value, bound):
            raise ConfigError(f"{where}: must be {words} {bound:g}, got {value!r}")
