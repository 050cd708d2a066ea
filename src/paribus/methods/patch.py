"""Patch: the value at a place from another context, one place after the other."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paribus.arrays import Bools, Floats, Ints
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.errors import ConfigError
from paribus.measure.design import Design
from paribus.measure.executor import Executor
from paribus.measure.factor import ActUnits, Factor
from paribus.measure.readout import Readout
from paribus.measure.watch import Watch
from paribus.methods.contrast import contrasted, null_means, to_baseline
from paribus.stats.clusters import ClusterSums, joined
from paribus.stats.row_sums import RowSums


@dataclass(frozen=True)
class Patched:
    """Places patched.

    Attributes:
        sums: Difference to the context as it is ``[places]``, by cluster.
        means: Mean of the readout under each patch ``[places]``.
        base: Mean of the readout in the contexts as they are.
        total: Difference of the donor, whole, to the context: what patching everything would do; one row.
        null: The same of donors at random ``[places, n_null]``; None without.
        null_name: What they are.
    """

    sums: ClusterSums
    means: Floats
    base: float
    total: ClusterSums
    null: Floats | None
    null_name: str


def patch(
    executor: Executor,
    patches: Sequence[Factor],
    donors: Ints,
    readout: Readout,
    rows: Ints,
    *,
    n_null: int,
    rng: np.random.Generator,
    joining: np.random.Generator | None = None,
    watch: Watch | None = None,
) -> Patched:
    """Patch some contexts at one place after the other.

    Args:
        executor: The network at one checkpoint.
        patches: One factor for each place, with two levels: the context as it is, and patched.
        donors: The context that each context gets its value from ``[n_contexts]``.
        readout: What is read.
        rows: The contexts that are reported; each has a donor.
        n_null: Draws of donors at random for each place.
        rng: Draws them.
        joining: Joins clusters where there are more than 512, alike for every row and in every call that is given one
            in the same state, so that rows can be resampled together; None: like ``rng``.
        watch: Gets counts and progress.

    Raises:
        ConfigError: If a factor has other than two levels.

    Example:
        >>> import torch
        >>> from paribus.engine.replacements import Graft
        >>> from paribus.engine.interventions import Identity
        >>> from paribus.measure import ActFactor, ArraySubject, Contexts, Outputs
        >>> x = torch.tensor([[0.0], [3.0]])
        >>> class Other(ActFactor):
        ...     name, labels, sites = "other", ("as it is", "patched"), ("0",)
        ...     def acts(self, columns):
        ...         return [Identity(), Graft([0], x[1 - columns])]
        >>> net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity())
        >>> executor = Executor(net, ArraySubject(Contexts(inputs=x)))
        >>> found = patch(executor, [Other()], np.array([1, 0]), Outputs(), np.arange(1), n_null=0,
        ...               rng=np.random.default_rng(0))
        >>> found.sums.means.tolist(), found.total.means.tolist()
        ([3.0], [3.0])
    """
    parts, means, draws, base = [], [], [], float("nan")
    joining = copy.deepcopy(rng if joining is None else joining)
    for one in patches:
        if one.n_levels != 2:
            raise ConfigError(f"patch: {one.name} has {one.n_levels} levels; a patch is there or not")
        found = contrasted(executor, one.design(), readout, to_baseline(2), rows, copy.deepcopy(joining), watch=watch)
        parts.append(found.sums)
        base, patched = found.means.tolist()
        means.append(patched)
        null = one.null_design(n_null, rng) if n_null else None
        if null is not None:
            index = np.arange(null.n_conditions - 1)[None]
            weights = to_baseline(null.n_conditions)
            draws.append(null_means(executor, null, readout, weights, index, rows, rng, watch)[0])
    return Patched(
        sums=joined(parts),
        means=np.array(means),
        base=base,
        total=whole(executor, donors, readout, rows, copy.deepcopy(joining)),
        null=np.array(draws) if len(draws) == len(parts) else None,
        null_name=patches[0].null_name if len(draws) == len(parts) else "",
    )


def unrelated(
    executor: Executor,
    drawn: Sequence[ActUnits],
    off: Bools,
    readout: Readout,
    rows: Ints,
    *,
    rng: np.random.Generator,
    watch: Watch | None = None,
) -> Floats:
    """Return the mean effect of giving sets of places the values of unrelated donors ``[sets, draws]``.

    Args:
        executor: The network at one checkpoint.
        drawn: The places with one draw of donors each.
        off: Which places each set gives ``[sets, k]``.
        readout: What is read.
        rows: The contexts that are reported.
        rng: Joins clusters where there are many.
        watch: Gets counts.
    """
    on = np.concatenate([np.ones((1, off.shape[1]), bool), ~off])
    designs = [one.design(on) for one in drawn]

    def acts(columns: Ints) -> Sequence[Intervention]:
        return [Identity(), *(act for design in designs for act in design.acts_on(columns)[1:])]

    n_acts = 1 + len(designs) * len(off)
    design = Design(acts=acts, n_acts=n_acts, sites=drawn[0].sites, description="unrelated donors")
    index = np.arange(len(designs) * len(off)).reshape(len(designs), len(off)).T
    return null_means(executor, design, readout, to_baseline(n_acts), index, rows, rng, watch)


def whole(executor: Executor, donors: Ints, readout: Readout, rows: Ints, rng: np.random.Generator) -> ClusterSums:
    """Return the difference of every context's donor, read as the context is read, to the context: one row."""
    subject = executor.subject
    sums = RowSums(1, subject.cluster, rng, rows)
    size = max(len(block) for block in subject.blocks(2))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        both = [executor.read(subject.cells(which), some, readout)[0] for which in (some, donors[some])]
        values = readout.finish(np.stack(both, axis=1))[0]
        values = np.where(np.isfinite(values), values, np.nan)
        sums.add(values[1:] - values[:1], some)
    return sums.result()
