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
from paribus.measure.factor import ActUnits, Factor
from paribus.methods.ablate import remaining
from paribus.methods.contrast import Found, Null, Reading, contrasted, null_means, null_to_baseline, to_baseline
from paribus.stats.clusters import ClusterSums, joined
from paribus.stats.row_sums import RowSums


@dataclass(frozen=True)
class Patched(Found):
    """Places patched: differences to the context as it is, and the same of donors at random.

    Attributes:
        means: Mean of the readout under each patch ``[places]``.
        base: Mean of the readout in the contexts as they are.
        total: Difference of the donor, whole, to the context: what patching everything would do; one row.
    """

    means: Floats
    base: float
    total: ClusterSums


def patch(
    to: Reading,
    patches: Sequence[Factor],
    donors: Ints,
    *,
    n_null: int,
    rng: np.random.Generator,
    joining: np.random.Generator | None = None,
) -> Patched:
    """Patch some contexts at one place after the other.

    Args:
        to: What is read of which contexts; each has a donor.
        patches: One factor for each place, with two levels: the context as it is, and patched.
        donors: The context that each context gets its value from ``[n_contexts]``.
        n_null: Draws of donors at random for each place.
        rng: Draws them.
        joining: Joins clusters where there are more than 512, alike for every row and in every call that is given one
            in the same state, so that rows can be resampled together; None: like ``rng``.

    Raises:
        ConfigError: If a factor has other than two levels.

    Example:
        >>> import torch
        >>> from paribus.engine.replacements import Graft
        >>> from paribus.engine.interventions import Identity
        >>> from paribus.measure import ActFactor, ArraySubject, Contexts, Executor, Outputs
        >>> x = torch.tensor([[0.0], [3.0]])
        >>> class Other(ActFactor):
        ...     name, labels, sites = "other", ("as it is", "patched"), ("0",)
        ...     def acts(self, columns):
        ...         return [Identity(), Graft([0], x[1 - columns])]
        >>> net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity())
        >>> to = Reading(Executor(net, ArraySubject(Contexts(inputs=x))), Outputs(), np.arange(1))
        >>> found = patch(to, [Other()], np.array([1, 0]), n_null=0, rng=np.random.default_rng(0))
        >>> found.sums.means.tolist(), found.total.means.tolist()
        ([3.0], [3.0])
    """
    parts, means, draws, base = [], [], [], float("nan")
    joining = copy.deepcopy(rng if joining is None else joining)
    for one in patches:
        if one.n_levels != 2:
            raise ConfigError(f"patch: {one.name} has {one.n_levels} levels; a patch is there or not")
        found = contrasted(to, one.design(), to_baseline(2), copy.deepcopy(joining))
        parts.append(found.sums)
        base, patched = found.means.tolist()
        means.append(patched)
        null = one.null_design(n_null, rng) if n_null else None
        if null is not None:
            draws.append(null_to_baseline(to, null, 1, one.null_name, rng).draws[0])
    return Patched(
        sums=joined(parts),
        null=Null(np.array(draws), patches[0].null_name) if len(draws) == len(parts) else None,
        means=np.array(means),
        base=base,
        total=whole(to, donors, copy.deepcopy(joining)),
    )


def unrelated(to: Reading, drawn: Sequence[ActUnits], off: Bools, *, rng: np.random.Generator) -> Floats:
    """Return the mean effect of giving sets of places the values of unrelated donors ``[sets, draws]``.

    Args:
        to: What is read of which contexts.
        drawn: The places with one draw of donors each.
        off: Which places each set gives ``[sets, k]``.
        rng: Joins clusters where there are many.
    """
    designs = [one.design(remaining(off)) for one in drawn]

    def acts(columns: Ints) -> Sequence[Intervention]:
        return [Identity(), *(act for design in designs for act in design.acts_on(columns)[1:])]

    n_acts = 1 + len(designs) * len(off)
    design = Design(acts=acts, n_acts=n_acts, sites=drawn[0].sites, description="unrelated donors")
    index = np.arange(len(designs) * len(off)).reshape(len(designs), len(off)).T
    return null_means(to, design, to_baseline(n_acts), index, rng)


def whole(to: Reading, donors: Ints, rng: np.random.Generator) -> ClusterSums:
    """Return the difference of every context's donor, read as the context is read, to the context: one row."""
    subject, rows = to.executor.subject, to.rows
    sums = RowSums(1, subject.cluster, rng, rows)
    size = max(len(block) for block in subject.blocks(2))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        both = [to.executor.read(subject.cells(which), some, to.readout)[0] for which in (some, donors[some])]
        values = to.readout.finish(np.stack(both, axis=1))[0]
        values = np.where(np.isfinite(values), values, np.nan)
        sums.add(values[1:] - values[:1], some)
    return sums.result()
