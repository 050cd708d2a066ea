"""Builds the readout from its name and the names of outputs."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from paribus.arrays import Ints
from paribus.errors import ConfigError, nearest
from paribus.experiments.any.generic import AUTO, Generic
from paribus.experiments.setup import NetworkSetup
from paribus.measure.executor import Executor
from paribus.measure.nulls import matched
from paribus.measure.readout import (
    Columns,
    Correctness,
    Divergence,
    FeatureReadout,
    LabelLogit,
    LogitDifference,
    Loss,
    Margin,
    Outputs,
    Readout,
)

__all__ = ["KL", "NEED_LABELS", "readout_of"]
KL = "kl"
"""A readout that is never negative, so that a test against 0 is meaningless."""
MOST_MOMENTS = 2000
"""Contexts on which like features are looked for."""
NEED_LABELS = {"correct": Correctness, "label_margin": LabelLogit, "loss": Loss}


def readout_of(experiment: Generic, setup: NetworkSetup, executor: Executor) -> tuple[str, Readout]:
    """Return the name of what is read, and the readout.

    Raises:
        ConfigError: If labels or outputs that it needs are not there, it is not said which of them is meant, or the
            experiment cannot take it.
    """
    kind, readout = _found(experiment, setup, executor)
    experiment.refuse_readout(kind)
    return kind, readout


def _found(experiment: Generic, setup: NetworkSetup, executor: Executor) -> tuple[str, Readout]:
    kind = experiment.readout
    if kind == "feature" or (kind == AUTO and setup.feature is not None):
        return _feature(setup, executor)
    own = executor.subject.readouts
    if own and kind in (AUTO, *own) and not experiment.outputs:
        kind = next(iter(own)) if kind == AUTO else kind
        return kind, own[kind](executor)
    shape = _outputs(executor)
    width, flat = int(np.prod(shape)), len(shape) == 1
    names = list(experiment.outputs)
    if kind == AUTO:
        kind = _chosen(executor, width, flat, bool(names))
        if kind == "label_margin" and any(spec.signed for spec in experiment.factors().values()):
            kind, names = "margin", [str(width - 1)]
    if kind in NEED_LABELS:
        return kind, NEED_LABELS[kind](_labels(executor, kind, width, flat))
    if kind == KL:
        _refuse(not flat or width < 2, f"readout=kl: needs outputs [n, classes]; the network gives {width} per context")
        return kind, Divergence()
    others = f"{', '.join(own)} at the targets, or " if own else ""
    _refuse(
        not flat and width > 1,
        f"experiment.readout={kind}: the network gives {list(shape)} numbers for each context, of which a named output "
        f"is no single one; read {others}a feature",
    )
    wanted = 2 if kind == "logit_difference" else 1
    if kind == "output" and width == 1 and not names:
        return kind, Outputs()
    if kind == "margin" and width == 2 and not names:
        names = ["1"]
    _refuse(
        len(names) != wanted,
        f"experiment.outputs: readout={kind} needs {wanted} of the network's {width} outputs, got {len(names)}",
    )
    found = [_place(name, executor.subject.output_names, width) for name in names]
    _refuse(wanted == 2 and found[0] == found[1], "experiment.outputs: names one output twice")
    if kind == "logit_difference":
        return kind, LogitDifference(*found)
    said = f"{kind} of {_name(found[0], executor.subject.output_names)}"
    return said, Margin(found[0]) if kind == "margin" else FeatureReadout(_Columns(width), found[0])


class _Columns(Columns):
    """The network's outputs as columns, so that one of them can be read."""

    def __init__(self, size: int) -> None:
        self._size = size

    @property
    def size(self) -> int:
        """How many there are."""
        return self._size

    def read(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs ``[n, len(rows)]`` twice."""
        z = x.reshape(len(x), -1)[:, rows]
        return z, z


def _feature(setup: NetworkSetup, executor: Executor) -> tuple[str, Readout]:
    """Return the feature's name, and how it is read beside ones of like firing rate: as many as the null wants."""
    if setup.feature is None:
        raise ConfigError("experiment.readout=feature: none is chosen; say feature=NAME")
    reader = setup.feature.reader(setup.readable(executor), setup.torch_rng("feature"))
    n_null, rng = setup.stats.n_null, setup.rng("null_features")
    if not n_null or reader.columns.size < 2:
        return reader.name, reader.readout()
    others = np.setdiff1d(np.arange(reader.columns.size), [reader.row])
    some = rng.permutation(others)[: 2 * n_null]
    n = len(executor.subject)
    on = np.sort(rng.choice(n, min(n, MOST_MOMENTS), replace=False))
    cells = executor.subject.enforce(executor.subject.cells(on))
    wanted = np.concatenate([[reader.row], some])
    moments, _ = executor.moments(cells[cells.ok], reader.columns, wanted, reader.place, by_position=reader.by_position)
    return reader.name, reader.readout(matched(moments, reader.row, n_null, rng))


def _outputs(executor: Executor) -> tuple[int, ...]:
    """Return the shape of the network's outputs for a context."""
    shape: list[tuple[int, ...]] = []
    executor.run(executor.subject.cells(np.arange(1)), "", lambda rows, x, _: shape.append(tuple(x.shape[1:])))
    return shape[0]


def _chosen(executor: Executor, width: int, flat: bool, named: bool) -> str:
    label = executor.subject.label
    if named or width == 1:
        return "output"
    if label is not None and flat and _are_classes(label, width):
        return "label_margin"
    _refuse(not flat, "experiment.readout: the network's output is no vector per context; read a feature")
    return KL


def _are_classes(label: object, width: int) -> bool:
    found = np.asarray(label)
    return bool(found.dtype.kind in "iu" and found.min() >= 0 and found.max() < width)


def _labels(executor: Executor, kind: str, width: int, flat: bool) -> Ints:
    subject = executor.subject
    _refuse(subject.label is None, f"experiment.readout={kind}: these {subject.name} have no labels")
    label = np.asarray(subject.label)
    _refuse(
        not flat or width < 2 or not _are_classes(label, width),
        f"experiment.readout={kind}: needs labels that are classes of the network's {width} outputs",
    )
    return label.astype(np.int64)


def _name(place: int, names: tuple[str, ...]) -> str:
    return names[place] if place < len(names) else f"output {place}"


def _place(name: str, names: tuple[str, ...], width: int) -> int:
    if name in names:
        place = names.index(name)
        _refuse(place >= width, f"experiment.outputs: {name!r} is output {place} by its name; the network has {width}")
        return place
    if name.isdigit() and int(name) < width:
        return int(name)
    known = names or tuple(map(str, range(width)))
    raise ConfigError(f"experiment.outputs: the network has no output {name!r}; {nearest(name, known)}")


def _refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise ConfigError(message)
