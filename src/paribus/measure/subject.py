"""Subjects: what kind of data an experiment is about, as a measurement needs to know it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from paribus.arrays import Ints
from paribus.engine.given import Given, given
from paribus.engine.sites import Site
from paribus.errors import ConfigError, nearest
from paribus.measure.cells import ArrayCells
from paribus.measure.contexts import Contexts
from paribus.measure.latest import LatestInputs
from paribus.measure.readout import Readout
from paribus.measure.watch import Watch
from paribus.spec import Spec

CHUNK_CELLS = 16_384
"""Cells that are prepared at once."""
CHUNK_BYTES = 256 << 20
"""Bytes of inputs that are prepared at once."""
MOST_HELD, HELD_BYTES = 12, 1 << 30
"""Inputs that are held for later calls: the splits of an experiment and their renderings."""


class Subject(ABC):
    """Contexts of one kind, and how they become inputs of a network.

    Class attributes:
        name: ``builds``, ``images``, ``tables``, ...

    Attributes:
        cluster: What contexts share with others that are not independent of them ``[n]``.
        label: The class of each context ``[n]``, or None.
        domain: The domain of each context ``[n]``, or None.
        splits: Rows of each split.
        output_names: Names of the network's outputs; empty where they have none.
        domain_names: Names of the domains; empty where there are none.
        styles: Domains in whose style any context can be shown, its content unchanged (see :meth:`in_style`); empty
            where the subject cannot do that.
        paired_class: Class that the style of each training domain goes with, by domain; None or absent where it goes
            with none.
        readouts: What is read of the network by name, made from the executor, where its outputs are not one vector per
            context (a language model's tokens); the first one by default.
        positions: Positions that have a name, of each context ``[n, w]`` (its own where fewer: the last one again).
        pairs: Contexts that belong together, one of which is the other with something changed in it ``[m, 2]`` (clean
            and corrupted); None where contexts are single.
        output_bytes: Bytes of the network's output for one context, where it is so large that it bounds how many are
            run together (a language model's tokens); else 0.
        lengths: How many positions of each context are read ``[n]``; None where all have the same.
        complete: Whether these are all contexts there can be, so that nothing is sampled.
        begins: The first position of each context that is read ``[n]``, padding before it; None where it is 0 in all.
        head_scores: Observational scores of attention heads by name: from an executor and contexts to a number for each
            layer and head. They are reported next to the effects of ablating the heads.

    Example:
        >>> class Numbers(Subject):
        ...     name = "numbers"
        ...     def __init__(self, n):
        ...         self.cluster, self.splits = np.arange(n), {"all": np.arange(n)}
        ...     def cells(self, columns):
        ...         return ArrayCells.of((columns[:, None].astype(np.float32),), columns)
        ...     def inputs(self, cells):
        ...         return given(cells.values[0])
        >>> subject = Numbers(5)
        >>> len(subject), subject.inputs(subject.cells(np.arange(3))).tensors[0].shape
        (5, torch.Size([3, 1]))
    """

    name: ClassVar[str]
    cluster: Ints
    label: Any = None
    domain: Any = None
    splits: Mapping[str, Ints]
    output_names: tuple[str, ...] = ()
    domain_names: tuple[str, ...] = ()
    styles: tuple[int, ...] = ()
    paired_class: Mapping[int, int | None] = MappingProxyType({})
    readouts: Mapping[str, Callable[[Any], Readout]] = MappingProxyType({})
    positions: Mapping[str, Ints] = MappingProxyType({})
    pairs: Ints | None = None
    lengths: Ints | None = None
    begins: Ints | None = None
    output_bytes: int = 0
    complete: bool = False
    head_scores: Mapping[str, Callable[[Any, Ints], Mapping[tuple[int, int], float]]] = MappingProxyType({})

    def __len__(self) -> int:
        """Return the number of contexts."""
        return len(self.cluster)

    def refuse_network(self, executor: Any) -> None:
        """Refuse a network that does not read contexts as they are meant; by default none.

        Args:
            executor: Runs it.

        Raises:
            ConfigError: If it does not.
        """
        return

    @property
    def train_domains(self) -> tuple[int, ...]:
        """The domains of the split ``train``, ascending; none where domains or that split are not known."""
        if self.domain is None or "train" not in self.splits:
            return ()
        return tuple(np.unique(self.domain[self.splits["train"]]).tolist())

    @property
    def n_classes(self) -> int:
        """How many classes there are: as many as outputs have names, else as labels go; 0 without either."""
        if self.output_names:
            return len(self.output_names)
        return 0 if self.label is None else int(np.max(self.label)) + 1

    def rows_of(self, split: str, field: str = "split") -> Ints:
        """Return the contexts of a split ``[n]``.

        Args:
            split: Its name.
            field: The field of the experiment that names it.

        Raises:
            ConfigError: If there is none of that name.
        """
        if split not in self.splits:
            raise ConfigError(f"experiment.{field}={split}: there is no such split; {nearest(split, self.splits)}")
        return np.asarray(self.splits[split], np.int64)

    @abstractmethod
    def cells(self, columns: Ints) -> Any:
        """Return the contexts ``columns [b]`` as cells, unedited."""

    @abstractmethod
    def inputs(self, cells: Any) -> Given:
        """Return what the network is called with for cells ``[m]``, on the CPU."""

    def held(self, cells: Any) -> Given:
        """Return the inputs of cells ``[m]``, the same object for the same cells: they are made and hashed once.

        Only the latest few are held: those that experiments reuse (a split, or one of its renderings).
        """
        keys = self.keys(cells)
        return self.inputs(cells) if keys is None else self._latest.get(keys, lambda: self.inputs(cells))

    @cached_property
    def _latest(self) -> LatestInputs:
        return LatestInputs(MOST_HELD, HELD_BYTES)

    def in_style(self, cells: Any, domain: int) -> Any:
        """Return the same contents as an example of ``domain`` would look (one of ``styles``).

        Raises:
            ConfigError: If the subject cannot show contents in another domain's style.
        """
        raise ConfigError(f"{self.name}: these contexts cannot be shown in another domain's style")

    def paired(self) -> Subject | None:
        """Return contexts of which each has a counterpart (``pairs``), numbered as these; None where there are none."""
        return None if self.pairs is None else self

    def refused_position(self, position: int) -> str:
        """Return why a position number does not mean the same in all contexts; empty where it does."""
        return ""

    def enforce(self, cells: Any, watch: Watch | None = None) -> Any:
        """Take out cells that are not legal; counts and warnings go to ``watch``. By default all are."""
        return cells

    def usual_factors(self, most_levels: int) -> Sequence[Spec]:
        """Return the default factors of these contexts: options of the ``factor`` group.

        Args:
            most_levels: The most levels of each, its baseline among them.

        Returns:
            None by default.
        """
        return ()

    def words(self, columns: Ints) -> Sequence[str]:
        """Return contexts ``columns [b]`` as readable text; empty strings where there is none."""
        return [""] * len(columns)

    def keys(self, cells: Any) -> np.ndarray | None:
        """Return whole numbers ``[m, L]`` that are equal where cells ``[m]`` are the same input; None: all differ."""
        return None

    def cost(self, cells: Any) -> Ints | None:
        """Return by what cells ``[m]`` are ordered, so that like ones share a batch; None: as they come."""
        return None

    def vectors(self, value: Tensor, inputs: Given, site: Site, network: nn.Module) -> Tensor:
        """Return the vector of each row ``[m, d]`` in a raw value at a site: by default its mean over positions."""
        if value.ndim == 2:
            return value
        axis = site.channel_axis(network, value.shape)
        h = value if axis == 1 else value.movedim(axis, 1)
        return h.flatten(2).mean(2) if h.ndim > 2 else h

    def blocks(self, n_conditions: int) -> list[Ints]:
        """Return all contexts in blocks whose cells at ``n_conditions`` fit into memory."""
        size = max(1, CHUNK_CELLS // max(1, n_conditions))
        return [np.arange(start, min(start + size, len(self))) for start in range(0, len(self), size)]


class ArraySubject(Subject):
    """Contexts whose inputs are arrays: tables, images, token ids, whatever a user hands over.

    Example:
        >>> import torch
        >>> subject = ArraySubject(Contexts(inputs=torch.tensor([[1.0, 2.0], [1.0, 2.0]])))
        >>> cells = subject.cells(np.arange(2))
        >>> len(np.unique(subject.keys(cells), axis=0)), subject.inputs(cells).tensors[0].shape
        (1, torch.Size([2, 2]))
    """

    name = "arrays"

    def __init__(self, contexts: Contexts) -> None:
        """Hold the contexts."""
        self.contexts = contexts
        self.cluster, self.label, self.domain = contexts.cluster, contexts.label, contexts.domain
        self.splits: Mapping[str, Ints] = contexts.splits
        self.output_names, self.domain_names = contexts.output_names, contexts.domain_names
        self.complete = contexts.complete

    def cells(self, columns: Ints) -> ArrayCells:
        """Return the contexts ``columns [b]`` as cells."""
        taken = tuple(np.asarray(one[columns].detach().cpu().numpy()) for one in self.contexts.given.tensors)
        return ArrayCells.of(taken, np.asarray(columns))

    def inputs(self, cells: ArrayCells) -> Given:
        """Return the arrays as tensors, by the names they were given with."""
        names = self.contexts.given.names
        by_name = {name or str(index): one for index, (name, one) in enumerate(zip(names, cells.values, strict=True))}
        return Given(given(by_name).tensors, names)

    def keys(self, cells: ArrayCells) -> np.ndarray:
        """Return the bytes of the inputs as whole numbers."""
        return np.concatenate([_as_integers(one) for one in cells.values], axis=1)

    def blocks(self, n_conditions: int) -> list[Ints]:
        """Return all contexts in blocks bounded by cells and by bytes."""
        per_row = sum(one[0].numel() * one.element_size() for one in self.contexts.given.tensors)
        cells = max(1, min(CHUNK_CELLS, CHUNK_BYTES // max(1, per_row)))
        size = max(1, cells // max(1, n_conditions))
        return [np.arange(start, min(start + size, len(self))) for start in range(0, len(self), size)]


def _as_integers(values: np.ndarray) -> np.ndarray:
    """Return ``[m, L]`` whole numbers that are equal where rows are equal (0.0 and -0.0 are the same input)."""
    flat = values.reshape(len(values), -1)
    if flat.dtype.kind == "f":
        flat = np.ascontiguousarray(flat + 0.0)
        return flat.view(np.int64 if flat.dtype.itemsize == 8 else np.int32 if flat.dtype.itemsize == 4 else np.int16)
    return flat.astype(np.int64)
