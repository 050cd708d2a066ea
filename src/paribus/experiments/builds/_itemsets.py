"""Itemsets of gear: which rungs a context reaches, sets of them, and raising a context to a set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paribus.arrays import Bools, Ints
from paribus.experiments.builds._eclat import frequent_itemsets
from paribus.experiments.builds.setup import BuildSetup
from paribus.stats.intervals import EXACT_ZERO
from paribus.stats.odds import association_table
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.edits import Edits, families_present
from paribus.subjects.builds.families import Family
from paribus.subjects.builds.states import States, stack
from paribus.subjects.builds.tokens import capstones
from paribus.subjects.builds.vocabulary import Vocabulary

COLUMNS_AT_ONCE = 64


@dataclass(frozen=True)
class GearSet:
    """Rungs that occur together.

    Attributes:
        levels: Families and the AP each reaches at least (main-only: 10).
        label: Token names joined by ``+``.
        count: Contexts that hold it, of those it was counted in.
    """

    levels: tuple[tuple[Family, int], ...]
    label: str
    count: int

    def inserted(self, edits: Edits, states: States) -> States:
        """Return the states with every family raised to its rung; those that hold the set already are taken out.

        Families that are higher already stay as they are; a main-only ability displaces another one of its piece.
        """
        already = presence_of([self], edits, states)[:, 0]
        for family, ap in self.levels:
            lower = edits.highest_rung(states, family) < ap
            raised = edits.set_rung(states, family, ap)
            states = replace(raised, codes=np.where(lower[..., None], raised.codes, states.codes))
        return states.only(~already)


def gear_sets(
    codes: npt.NDArray[np.uint16], vocabulary: Vocabulary, *, min_support: float, max_size: int
) -> list[GearSet]:
    """Return the closed sets that at least a share ``min_support`` of the contexts ``[n, 16]`` hold, largest first.

    Raises:
        ConfigError: If there are too many to look at.
    """
    present, items = reached(codes, vocabulary)
    found = frequent_itemsets(
        present,
        [family.index for family, _ in items],
        min_count=max(2, math.ceil(min_support * len(codes) - 1e-9)),
        max_size=max_size,
    )
    return [
        GearSet(
            tuple(items[i] for i in each.items),
            " + ".join(items[i][0].token(items[i][1]) for i in each.items),
            each.count,
        )
        for each in found
    ]


def reached(codes: npt.NDArray[np.uint16], vocabulary: Vocabulary) -> tuple[Bools, list[tuple[Family, int]]]:
    """Return which contexts reach which rungs ``[n, items]`` by their highest shown token, and what the items are."""
    places, shown = capstones(codes), families_present(codes)
    columns: list[Bools] = []
    items: list[tuple[Family, int]] = []
    for family in vocabulary.families():
        for ap in vocabulary.family_rungs(family):
            if family.main_only:
                columns.append(shown[:, family.index])
            else:
                columns.append(places[:, family.slot] >= vocabulary.rungs.index(ap))
            items.append((family, ap))
    return np.stack(columns, axis=1), items


def presence_of(sets: Sequence[GearSet], edits: Edits, states: States) -> Bools:
    """Return which states hold which sets, ``[n, sets]``."""
    families = {family for each in sets for family, _ in each.levels}
    highest = {family: edits.highest_rung(states, family) for family in families}
    out = np.empty((states.size, len(sets)), bool)
    for column, each in enumerate(sets):
        out[:, column] = np.logical_and.reduce([highest[family] >= ap for family, ap in each.levels])
    return out


def associations(present: Bools, high: Bools, clusters: Ints, spec: StatsSpec) -> pd.DataFrame:
    """Return support, lift and odds ratio of every column, some columns at a time so that memory stays bounded.

    Where nothing is high no column can be associated: lift and odds ratio are exactly 1.
    """
    if high.any():
        held = present.sum(0)
        family = int(((held > 0) & (held < len(present))).sum())
        parts = [
            association_table(present[:, start : start + COLUMNS_AT_ONCE], high, clusters, spec=spec, family=family)
            for start in range(0, present.shape[1], COLUMNS_AT_ONCE)
        ]
        return pd.concat(parts, ignore_index=True)
    support = present.mean(0)
    ones = np.ones(present.shape[1])
    frame = {"support": support, "support_high": support, "support_rest": support, "n_present": present.sum(0)}
    frame["n_high_present"] = np.zeros(present.shape[1], np.int64)
    for value, name in (("lift", "lift"), ("odds_ratio", "odds")):
        frame[value] = ones
        frame |= {f"{name}_{end}": ones for end in ("low", "high", "adj_low", "adj_high")}
        frame[f"{name}_method"] = np.full(len(ones), EXACT_ZERO, dtype=object)
    return pd.DataFrame(frame)


def associated(table: pd.DataFrame, level: float) -> pd.Series[bool]:
    """Return which rows of a table of associations are established: by ``p_adj`` and the simultaneous interval."""
    apart = (table["odds_adj_low"] > 1) | (table["odds_adj_high"] < 1)
    return apart & (table["p_adj"] <= level)


def insertion_design(setup: BuildSetup, sets: Sequence[GearSet], states: States) -> States:
    """Return held states ``[n]`` as they are, then with each set inserted: ``[1 + sets, n]``."""
    return stack([states, *(each.inserted(setup.edits, states) for each in sets)])
