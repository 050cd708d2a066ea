"""The work of a swap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paribus.experiments.any._effect_vector import RowDesign, by_rows
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import forest
from paribus.experiments.any._session import At, at_checkpoints, factor_of, rows_of
from paribus.experiments.any.swap.spec import Swap
from paribus.experiments.base import Recorder
from paribus.experiments.setup import NetworkSetup
from paribus.measure.factor import Factor
from paribus.methods.swap import Swapped, exchanges, swap
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
        ConfigError: If something that is named does not exist, nothing says which level a context shows, or contexts
            show fewer than two.
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
    factor, rows = factor_of(experiment, setup, setup.executor()), rows_of(experiment, setup).reported
    own, pairs = exchanges(factor, rows)
    level_of = np.full(len(setup.contexts), -1, np.int64)
    level_of[rows] = own
    weights = np.zeros((len(pairs), factor.n_levels))
    np.put_along_axis(weights, pairs, 1.0, axis=1)
    return RowDesign(factor.design(), weights, about=lambda columns: pairs[:, :1] == level_of[columns])


def _measured(experiment: Swap, at: At) -> tuple[Factor, Swapped]:
    factor = factor_of(experiment, at.setup, at.executor)
    found = at.ask(swap, factor, stream="swap")
    if found.unknown:
        at.recorder.warn(f"{found.unknown} contexts show none of the levels of {factor.name} and are left out.")
    return factor, found


def _row(factor: Factor, source: int, target: int) -> dict[str, str]:
    own, to = "any" if source < 0 else factor.labels[source], factor.labels[target]
    return {"level": f"{own} -> {to}", "from": own, "to": to}


def _observed(epoch: int, factor: Factor, found: Swapped) -> pd.DataFrame:
    values = {"n": found.shown, "mean_observed": found.observed, "mean_swapped_in": found.means}
    gap = found.observed - found.means
    return pd.DataFrame({"epoch": epoch, "level": list(factor.labels), **values, "confounding_gap": gap})


validate, effect_vector, promised = by_rows(_compared, _rows)
