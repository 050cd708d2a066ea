"""Contexts that a notebook hands over as an object: any arrays, with clusters, labels, domains and splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from paribus.arrays import Ints
from paribus.errors import DataError, nearest
from paribus.measure import ArraySubject, Contexts
from paribus.measure.contexts import complete_note
from paribus.spec import DataSpec, field
from paribus.subjects.in_splits import offers_of
from paribus.subjects.kind import Kind
from paribus.subjects.offers import Offers

_held: dict[str, Contexts] = {}
"""The objects of runs in progress, by their digest."""
COLUMNS = ("cluster", "label", "domain")


@dataclass(frozen=True, eq=False)
class ArrayData:
    """Contexts with the interface of a data set.

    Attributes:
        contexts: The contexts.
        digest: Hash of all that they hold.
        notes: Notes for every result on them.
    """

    subject: ClassVar[str] = "arrays"

    contexts: Contexts
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def offers(self) -> Offers:
        """What the needs of experiments are compared with."""
        held = self.contexts
        return offers_of(held.splits, held.domain, held.domain_names, self._n_classes)

    @property
    def _n_classes(self) -> int:
        label = self.contexts.label
        named = len(self.contexts.output_names)
        if label is None or label.dtype.kind not in "iub":
            return named
        return max(named, int(label.max()) + 1)

    def rows(self, split: str) -> Ints:
        """Return the rows of a split.

        Raises:
            DataError: If there is no such split.
        """
        splits = self.contexts.splits
        if split not in splits:
            raise DataError(f"contexts: no such split {split!r}; {nearest(split, splits)}")
        found: Ints = splits[split]
        return found

    def provided(self) -> dict[str, Any]:
        """Return what a function that makes a network for them can be given, by argument."""
        first = self.contexts.given.tensors[0]
        made: dict[str, Any] = {"input_shape": tuple(first.shape[1:]), "n_features": int(first[0].numel())}
        return {**made, "n_classes": self._n_classes} if self._n_classes else made


@dataclass(frozen=True)
class HandedContexts(DataSpec, kind="data/handed"):
    """The :class:`paribus.Contexts` that ``paribus.run(..., data=contexts)`` was given."""

    subject: ClassVar[str] = "arrays"
    provides: ClassVar[tuple[str, ...]] = ("input_shape", "n_features", "n_classes", "generator")

    content: str = field(help="Digest of inputs, clusters, labels, domains and splits.")

    def load(self) -> ArrayData:
        """Return the contexts.

        Raises:
            DataError: If they were handed over to another run.
        """
        if self.content not in _held:
            raise DataError(
                "data: the contexts were an object of a notebook; hand them over again (paribus.run(..., "
                "data=contexts))"
            )
        contexts = _held[self.content]
        notes = (complete_note(len(contexts), "contexts"),) if contexts.complete else ()
        return ArrayData(contexts, self.content, notes)


def handed_contexts(contexts: Contexts) -> HandedContexts:
    """Hold contexts, and return the spec that stands for them.

    Example:
        >>> spec = handed_contexts(Contexts(inputs=torch.zeros(4, 3), label=[0, 1, 0, 1]))
        >>> spec.load().provided()
        {'input_shape': (3,), 'n_features': 3, 'n_classes': 2}
        >>> let_go(spec)
    """
    spec = HandedContexts(content=digest_of(contexts))
    _held[spec.content] = contexts
    return spec


def let_go(spec: HandedContexts) -> None:
    """Forget the contexts of a run that has ended."""
    _held.pop(spec.content, None)


def digest_of(contexts: Contexts) -> str:
    """Return a hash of all that contexts hold."""
    whole = ["complete"] if contexts.complete else []
    names = [contexts.input_names, contexts.output_names, contexts.domain_names, *whole]
    hashed = hashlib.sha256(repr(names).encode())
    for name, array in arrays_of(contexts).items():
        hashed.update(f"/{name} {array.dtype.str}{array.shape}/".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def arrays_of(contexts: Contexts) -> dict[str, np.ndarray]:
    """Return contexts as arrays by name: ``input.0`` or ``input.NAME``, ``cluster``, ``label``, ``split.NAME``."""
    given = contexts.given
    found = {
        f"input.{name if name is not None else number}": value.detach().cpu().numpy()
        for number, (name, value) in enumerate(zip(given.names, given.tensors, strict=True))
    }
    found |= {name: np.asarray(value) for name in COLUMNS if (value := getattr(contexts, name)) is not None}
    found |= {f"split.{name}": rows for name, rows in contexts.splits.items()}
    return found


def write_contexts(contexts: Contexts, path: Path) -> None:
    """Write contexts into an ``.npz`` archive of plain arrays."""
    more = {f"names.{what}": np.array(getattr(contexts, f"{what}_names"), dtype=str) for what in _NAMED}
    if contexts.complete:
        more["complete"] = np.array(True)
    np.savez(path, **arrays_of(contexts), **more)  # type: ignore[arg-type]


def read_contexts(path: str | Path) -> Contexts:
    """Read contexts that a run kept (``handed/contexts.npz``); Python objects are never loaded.

    Raises:
        DataError: If there is no such archive.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "contexts.npz"
        >>> write_contexts(Contexts(inputs=torch.zeros(4, 3), domain=["a", "a", "b", "b"]), file)
        >>> read_contexts(file).domain_names
        ('a', 'b')
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            held = {name: archive[name] for name in archive}
    except (OSError, ValueError) as error:
        raise DataError(f"contexts {path}: not a readable archive ({error})") from None
    return Contexts(
        inputs=_inputs({name.removeprefix("input."): held[name] for name in held if name.startswith("input.")}),
        splits={name.removeprefix("split."): held[name] for name in held if name.startswith("split.")},
        **{name: held[name] for name in COLUMNS if name in held},
        **{f"{what}_names": tuple(map(str, held[f"names.{what}"])) for what in _NAMED},
        complete="complete" in held,
    )


_NAMED = ("input", "output", "domain")


def _inputs(arrays: Mapping[str, np.ndarray]) -> Any:
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    return tuple(tensors.values()) if all(name.isdecimal() for name in tensors) else tensors


def _shape(data: ArrayData) -> str:
    return " and ".join("x".join(map(str, one.shape[1:])) or "1" for one in data.contexts.given.tensors)


ARRAYS = Kind("arrays", ArrayData, lambda data: ArraySubject(data.contexts), ("NAME", "NAME"), shape=_shape)
