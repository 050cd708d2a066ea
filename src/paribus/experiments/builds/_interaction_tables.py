"""The tables of pairs and triples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from paribus.arrays import Bools, Ints
from paribus.experiments.base import Recorder
from paribus.experiments.builds._candidates import Choice
from paribus.experiments.builds._effects import EFFECT_COLUMNS, PLACE, RESOLUTION, TESTED_COLUMNS, effect_rows
from paribus.experiments.builds._interaction_labels import (
    LABELS,
    directions,
    pair_labels,
    parts,
    third_labels,
    turning,
)
from paribus.experiments.builds._interaction_sums import InteractionSums
from paribus.experiments.builds.setup import BuildSetup
from paribus.results.columns import bootstrapped
from paribus.results.evidence import Evidence
from paribus.results.schema import Table
from paribus.stats.effects import established

KEPT = (*TESTED_COLUMNS, "n", "n_clusters", "std_error", "std_delta")
NULLS = ("null_low", "null_median", "null_high", "null_percentile")


def tested_rows(
    setup: BuildSetup,
    recorder: Recorder,
    found: InteractionSums,
    rows: Ints,
    stream: str,
    *,
    names: tuple[str, str],
    labels: Sequence[str],
) -> tuple[pd.DataFrame, Bools, Bools, pd.DataFrame]:
    """Test interactions in f and in z.

    Args:
        setup: Gives clusters and settings.
        recorder: Gets warnings.
        found: The interactions.
        rows: Which of its rows.
        stream: Name of the stream of randomness.
        names: What the effect is called in f and in z.
        labels: Names of the rows, for warnings.

    Returns:
        The columns of both, whether each row is established in f and in z, and the plain table of f.
    """
    alpha = 1 - setup.stats.confidence
    null = None if found.null is None else found.null[rows]
    table = effect_rows(setup, recorder, found.f.rows(rows), stream, null=null, labels=labels)
    table_z = effect_rows(setup, recorder, found.z.rows(rows), f"{stream}/z", labels=labels)
    out = table[["mean_delta", *KEPT, *NULLS]].rename(columns={"mean_delta": names[0]})
    out.insert(1, names[1], table_z["mean_delta"])
    out = out.join(table_z[list(TESTED_COLUMNS)].add_suffix("_z"))
    in_f = established(table, level=alpha, margin=RESOLUTION * setup.sd)
    in_z = established(table_z, level=alpha, margin=RESOLUTION * setup.sd_z)
    return out, in_f, in_z, table


def interaction_table(
    setup: BuildSetup, recorder: Recorder, found: InteractionSums, candidates: Sequence[str], turned: Bools | None
) -> Table:
    """Return one row per pair of ``candidates`` (their names)."""
    labels = [f"{candidates[a]} x {candidates[b]}" for a, b in found.pairs]
    names = ("interaction_activation", "interaction_preactivation")
    frame, in_f, in_z, plain = tested_rows(
        setup, recorder, found, np.arange(len(found.pairs)), "interactions", names=names, labels=labels
    )
    direction = directions(found)
    frame.insert(0, "token_a", [candidates[a] for a, _ in found.pairs])
    frame.insert(1, "token_b", [candidates[b] for _, b in found.pairs])
    frame.insert(4, "label", pair_labels(plain, in_f, in_z, direction, turned))
    frame["effect_a"] = found.first
    frame["effect_b"] = found.second
    frame["direction"] = np.where(frame["n"] > 0, direction, np.nan)
    for name, values in parts(found.first, found.second, found.up, found.down, direction).items():
        frame[name] = values
    says = "One row per pair: what the two do to the feature beyond the sum of what each does alone."
    return Table("interactions", says, Evidence.INTERVENTIONAL, frame, PAIR_COLUMNS)


def subset(table: Table, label: str, name: str) -> Table:
    """Return the pairs with one label, the largest interaction first."""
    frame = table.frame[table.frame["label"] == label]
    order = frame["interaction_activation"].abs().sort_values(ascending=False).index
    says = f"The pairs of `{table.name}` labelled {label}, the largest first."
    return Table(name, says, table.evidence, frame.loc[order].reset_index(drop=True), table.columns)


def triple_table(
    setup: BuildSetup, recorder: Recorder, found: InteractionSums, candidates: Sequence[str]
) -> tuple[Table, Bools]:
    """Return one row per triple, and which pairs of candidates some third one turns ``[pairs]``."""
    labels = [" x ".join(candidates[member] for member in triple) for triple in found.triples]
    rows, names = len(found.pairs) + np.arange(len(found.triples)), ("third_difference", "third_difference_z")
    frame, in_f, in_z, plain = tested_rows(setup, recorder, found, rows, "triples", names=names, labels=labels)
    turns = turning(setup, found, in_f)
    any_turns = np.asarray(turns.any(1))
    kinds = third_labels(in_f, in_z, any_turns, plain["p"].isna().to_numpy())
    for place, which in enumerate("abc"):
        frame.insert(place, f"token_{which}", [candidates[triple[place]] for triple in found.triples])
    frame.insert(3, "triple", labels)
    frame.insert(6, "label", kinds)
    for place, which in enumerate(("ab", "ac", "bc")):
        frame[f"{which}_without_third"] = found.absent.means[place::3]
        frame[f"{which}_with_third"] = found.present.means[place::3]
        frame[f"{which}_turns"] = turns[:, place]
    turned = np.zeros(len(found.pairs), bool)
    for row in np.flatnonzero(in_f & in_z & any_turns):
        for place, pair in enumerate(combinations(found.triples[row], 2)):
            turned[found.pairs.index(pair)] |= bool(turns[row, place])
    says = "One row per triple: how much the interaction of two changes with the third."
    table = Table("triples", says, Evidence.INTERVENTIONAL, frame, TRIPLE_COLUMNS)
    return table, turned


def candidate_table(choice: Choice) -> Table:
    """Return the candidates, and how large their single effects were where they were chosen by them."""
    frame = pd.DataFrame(
        {
            "token": choice.names,
            "family": ["weapon" if c.family is None else c.family.name for c in choice.candidates],
            "ap": [np.nan if c.level is None else c.level for c in choice.candidates],
            "single_effect_rms": [found.rms for found in choice.screened] or np.nan,
            "largest_effect_rms": [found.largest for found in choice.screened] or np.nan,
            "largest_at": [found.largest_at or np.nan for found in choice.screened] or np.nan,
        }
    )
    meanings = {
        "ap": "AP that the family is set to when it is there; blank for weapons",
        "single_effect_rms": "root mean square over contexts of f(there) - f(gone); blank where they were given",
        "largest_effect_rms": "the largest such effect over all rungs, 0 for contexts in which one is not legal",
        "largest_at": "AP of that rung; blank where there is no effect at any",
    }
    says = "What interactions were looked for between." + (
        f" Chosen on {choice.n_chosen_on} contexts of other source builds." if choice.n_chosen_on else ""
    )
    return Table("candidates", says, Evidence.INTERVENTIONAL, frame, meanings)


MATRIX = {"a": "token_a", "b": "token_b", "value": "interaction_activation", "p": "p_adj", "label": "label"}
"""Roles of the figure of all pairs."""
PAIR_COLUMNS = {
    **{name: EFFECT_COLUMNS[name] for name in (*TESTED_COLUMNS, "n", "n_clusters", *NULLS)},
    "interaction_activation": "f(a,b) - f(a) - f(b) + f(neither) in the same context, or the Shapley interaction index",
    "interaction_preactivation": "the same on the pre-activation z",
    "label": LABELS,
    **bootstrapped("interaction_activation"),
    "null_percentile": PLACE.format("interaction_activation"),
    "p_adj": "p adjusted over the pairs",
    "p_adj_z": "p of the interaction in z, adjusted over the pairs",
    "effect_a": "mean effect of a alone (for sii: its Shapley value without the other)",
    "effect_b": "mean effect of b alone (for sii: its Shapley value without the other)",
    "direction": "+1: the pair raises the activation, -1: it lowers it",
    "unique_a": "part of the joint effect that only a has, in that direction",
    "unique_b": "part that only b has",
    "redundant": "part that either of the two has alone",
    "synergistic": "part that only both together have",
}
"""What the columns of pairs mean."""

TRIPLE_COLUMNS = {
    **{name: EFFECT_COLUMNS[name] for name in (*TESTED_COLUMNS, "n", "n_clusters", *NULLS)},
    "third_difference": "interaction of two with the third there, minus without it; the same whichever is the third",
    "third_difference_z": "the same on the pre-activation z",
    "label": "third_order: established in f and z, and the sign of a pair's interaction turns with the third; "
    "modulated: established without a turn; output_nonlinearity: in f but not in z; none; untested",
    **bootstrapped("third_difference"),
    "null_percentile": PLACE.format("third_difference"),
    "p_adj": "p adjusted over the triples",
    "ab_without_third": "interaction of a and b with c absent",
    "ab_with_third": "interaction of a and b with c there",
    "ab_turns": "whether the intervals of the two lie on different sides of 0",
}
"""What the columns of triples mean."""
