"""The table of cores: the sets that are a core of some context, and in how many."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.experiments.any._session import At
from paribus.experiments.any.cores.spec import Cores
from paribus.methods.cores import Cored
from paribus.results.columns import interval
from paribus.stats.inclusion import DRAWS, share_inclusion
from paribus.stats.shares import shares, whole_shares

CORES = {
    "core": "the units that suffice",
    "size": "how many they are",
    "n": "contexts in which it is a core",
    "share": "share of contexts in which it is a core, of those in which the units raise the readout",
    **interval("share", "the 95 % interval of share by cluster (Wilson)"),
    "share_high": "upper end of that interval",
    "retention": "share of the effect of all units that it keeps, a ratio of means over the contexts in which it is a "
    "core",
    "named": "whether its share reaches least_share",
    "inclusion": f"share of {DRAWS} cluster resamples in which it reaches least_share",
}


def table_of(experiment: Cores, at: At, found: Cored, names: list[str]) -> pd.DataFrame:
    """Return the rows of one checkpoint; none where no context has a core.

    Args:
        experiment: Says from which share on a core is named.
        at: Where it was measured.
        found: The cores.
        names: Names of the units that they are made of.
    """
    setup, holds = at.setup, found.found[:, found.told]
    cluster = setup.contexts.cluster[at.rows.reported][found.told]
    if not holds.size:
        return pd.DataFrame(columns=["epoch", *CORES])
    if at.rows.complete:
        found_in, again = whole_shares(holds.T), np.full(len(holds), np.nan)
    else:
        found_in = shares(holds.T, cluster, spec=setup.stats)
        again = share_inclusion(holds, cluster, experiment.least_share, rng=setup.rng("cores_inclusion"))
    return pd.DataFrame(
        {
            "epoch": at.epoch,
            "core": [" + ".join(np.array(names, object)[members]) for members in found.sets],
            "size": found.sets.sum(1),
            "n": holds.sum(1),
            "share": found_in.share,
            "share_low": found_in.low,
            "share_high": found_in.high,
            "share_method": found_in.method,
            "retention": found.retention,
            "named": found_in.share >= experiment.least_share,
            "inclusion": again,
        }
    )
