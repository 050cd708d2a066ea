"""The work of a swap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paribus.arrays import Ints
from paribus.errors import ConfigError
from paribus.experiments.any._effect_vector import RowDesign, by_rows
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import forest
from paribus.experiments.any._session import At, at_checkpoints, factor_of, rows_of
from paribus.experiments.any.swap.spec import Swap
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.measure.executor import Executor
from paribus.measure.factor import Factor, InputFactor
from paribus.methods.swap import Swapped, swap
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Table
from paribus.stats.clusters import ClusterSums

COLUMNS = {
    "from": "level that the contexts show themselves; any: whichever of the others",
    "to": "level swapped in",
    "mean_readout": "mean of the readout with the level swapped in, over all contexts",
}
OBSERVED = {
    "level": "level that contexts show",
    "n": "contexts that show it",
    "mean_observed": "mean of the readout over the contexts that show it, as they are",
    "mean_swapped_in": "mean of the readout with it swapped into all contexts",
    "confounding_gap": "mean_observed - mean_swapped_in: what goes along with the level without being it",
}


def run(experiment: Swap, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Swap at every checkpoint; hand over ``effects``, ``observed`` and their figure.

    Raises:
        ConfigError: If something that is named does not exist, or nothing says which level a context shows.
        ExperimentError: If the contexts show fewer than two levels.
    """
    parts: list[Part] = []
    observed: list[pd.DataFrame] = []
    for at in at_checkpoints(experiment, setup, recorder):
        factor, found = _measured(experiment, at)
        labels = [_row(factor, int(a), int(b)) for a, b in found.pairs]
        parts.append(Part.of(at, labels, found, found.means[found.pairs[:, 1]]))
        observed.append(_observed(at.epoch, factor, found))
    to, name = Reported.of(at, COLUMNS), factor.name
    frame = effects(to, parts, what=f"One row per checkpoint and level of {name} swapped in, for all or for one level.")
    beside = f"One row per checkpoint and level of {name}: what grouping contexts by their own level would say."
    recorder.table(Table("observed", beside, Evidence.OBSERVATIONAL, pd.concat(observed, ignore_index=True), OBSERVED))
    made = "95 % intervals over clusters; each context against itself as it is."
    forest(to, frame, "swap", f"Effect of swapping {name}", "Hatched: 2.5 to 97.5 % of the null.", made=made)
    return summed_up(to, frame, factor=name)


def _rows(experiment: Swap, at: At) -> tuple[Sequence[str], ClusterSums]:
    """Measure the effect of every level on those that show one other; rows over all others hold the same again."""
    factor, found = _measured(experiment, at)
    some = np.flatnonzero(found.pairs[:, 0] >= 0)
    return [_row(factor, int(a), int(b))["level"] for a, b in found.pairs[some]], found.sums.rows(some)


def _compared(experiment: Swap, setup: NetworkSetup) -> RowDesign:
    """Return what a row compares: each level that contexts show with every other one, in these contexts."""
    factor, rows = _factor(experiment, setup, setup.executor()), rows_of(experiment, setup)
    shown = np.unique(_own(factor, rows.reported))
    shown = shown[shown >= 0]
    if len(shown) < 2:
        names = ", ".join(factor.labels[one] for one in shown) or "none"
        raise ConfigError(
            f"experiment.split: the contexts of {rows.said} show {names} of {factor.name}, a swap needs two "
            "levels; name a split that shows more"
        )
    pairs = np.array([(a, b) for a in shown for b in range(factor.n_levels) if a != b], np.int64)
    weights = np.zeros((len(pairs), factor.n_levels))
    np.put_along_axis(weights, pairs, 1.0, axis=1)
    return RowDesign(factor.design(), weights, about=lambda columns: pairs[:, :1] == _own(factor, columns))


def _own(factor: InputFactor, columns: Ints) -> Ints:
    """Return the level that each context shows; -1: none of them."""
    own = factor.observed(columns)
    assert own is not None  # _factor has seen to it
    return own


def _measured(experiment: Swap, at: At) -> tuple[InputFactor, Swapped]:
    factor = _factor(experiment, at.setup, at.executor)
    n_null, rng = at.setup.stats.n_null, at.setup.rng("swap")
    found = swap(at.executor, factor, at.readout, at.rows.reported, n_null=n_null, rng=rng, watch=at.recorder)
    if found.unknown:
        at.recorder.warn(f"{found.unknown} contexts show none of the levels of {factor.name} and are left out.")
    return factor, found


def _factor(experiment: Swap, setup: NetworkSetup, executor: Executor) -> InputFactor:
    """Return the factor, which must be one of the inputs whose level contexts show.

    Raises:
        ConfigError: If it is none.
    """
    factor = factor_of(experiment, setup, executor)
    if not isinstance(factor, InputFactor) or factor.observed(np.arange(1)) is None:
        raise ConfigError(f"experiment.factor: contexts show no level of {factor.name}; use experiment=sweep")
    return factor


def _row(factor: Factor, source: int, target: int) -> dict[str, str]:
    own, to = "any" if source < 0 else factor.labels[source], factor.labels[target]
    return {"level": f"{own} -> {to}", "from": own, "to": to}


def _observed(epoch: int, factor: Factor, found: Swapped) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "epoch": epoch,
            "level": list(factor.labels),
            "n": found.shown,
            "mean_observed": found.observed,
            "mean_swapped_in": found.means,
            "confounding_gap": found.observed - found.means,
        }
    )


validate, effect_vector, promised = by_rows(_compared, _rows)
