"""Measures all pairs (and triples) of candidates, and tests their interactions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.builds import _interaction_tables as tables
from paribus.experiments.builds import _interactions as measuring
from paribus.experiments.builds._candidates import Choice, choose, given
from paribus.experiments.builds._effects import base_numbers
from paribus.experiments.builds._interaction_sums import add_up, interaction_vector
from paribus.experiments.builds._interactions import Measuring
from paribus.experiments.builds._two_level import TwoLevel, can_join
from paribus.experiments.builds.pairwise_interactions.shapley import ShapleyInteractions
from paribus.experiments.builds.pairwise_interactions.spec import PairwiseInteractions
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.effect_vector import EffectVector
from paribus.experiments.headline import largest as largest_effect
from paribus.results.schema import INTERVAL, Aggregates, Figure


def chosen_candidates(experiment: PairwiseInteractions, setup: BuildSetup, recorder: Recorder | None) -> Choice:
    """Return candidates and the contexts to report on.

    Raises:
        ConfigError: If a candidate is unknown, or the method cannot take it.
    """
    choice = choose(setup, experiment, recorder)
    refuse_players(experiment, choice.candidates)
    return choice


def validate(experiment: PairwiseInteractions, setup: BuildSetup) -> None:
    """Look up the candidates that are named before anything is run.

    Raises:
        ConfigError: If one is unknown, or the method cannot take it.
    """
    refuse_players(experiment, given(setup, experiment))


def refuse_players(experiment: PairwiseInteractions, candidates: tuple[TwoLevel, ...]) -> None:
    """Check that the method can take the candidates.

    Raises:
        ConfigError: If it cannot.
    """
    if experiment.method == "sii":
        others = [c.name for c in candidates if c.kind != "family"]
        if others:
            raise ConfigError(
                f"experiment.method=sii takes families as they are shown, not tokens or weapons: "
                f"{', '.join(others)}; name their families, or use method=second_difference"
            )
        if len(candidates) > 16:
            raise ConfigError(f"experiment.method=sii is exact up to 16 players, got {len(candidates)}")


def measure_pairs(
    experiment: PairwiseInteractions, setup: BuildSetup, candidates: tuple[TwoLevel, ...], recorder: Recorder | None
) -> Measuring:
    """Return what measures all pairs and triples on the contexts of ``setup``."""
    pairs = measuring.pairs_of(candidates)
    triples = measuring.triples_of(candidates) if experiment.triples else ()
    if experiment.method == "sii":
        return ShapleyInteractions(setup, experiment, candidates, pairs, triples, recorder)
    return measuring.Differences(
        setup,
        experiment,
        measuring.difference_layout(candidates, pairs, triples),
        pairs,
        triples,
        possible=np.array([can_join(candidates[member] for member in one) for one in (*pairs, *triples)]),
        recorder=recorder,
    )


def said(choice: Choice) -> str:
    """Return what some context must support, in words."""
    return f"any two of {', '.join(choice.names)}"


def effect_vector(experiment: PairwiseInteractions, setup: BuildSetup) -> EffectVector:
    """Return the interaction of every pair."""
    choice = chosen_candidates(experiment, setup, None)
    alone = dataclasses.replace(experiment, triples=False)
    pairs = measure_pairs(alone, setup.restrict(choice.rows), choice.candidates, None)
    return interaction_vector(pairs, setup, choice, said(choice), 0)


def run(experiment: PairwiseInteractions, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Choose candidates, measure pairs and triples, and label them."""
    setup.describe(recorder)
    choice = chosen_candidates(experiment, setup, recorder)
    recorder.table(tables.candidate_table(choice))
    part = setup.restrict(choice.rows)
    found = add_up(part, measure_pairs(experiment, part, choice.candidates, recorder))
    setup.require(found.f.n[: len(found.pairs)] > 0, said(choice))
    turned = triples = None
    if found.triples:
        table, turned = tables.triple_table(part, recorder, found, choice.names)
        recorder.table(table)
        triples = table.frame
        if experiment.triples and len(choice.candidates) > 12:
            recorder.warn("triples were measured among the first 12 candidates")
    pairs = tables.interaction_table(part, recorder, found, choice.names, turned)
    recorder.table(pairs)
    recorder.table(tables.subset(pairs, "synergy", "synergies"))
    recorder.table(tables.subset(pairs, "redundancy", "redundancies"))
    draw(recorder, triples)
    return aggregates(experiment, setup, recorder, part, pairs.frame, triples)


def aggregates(
    experiment: PairwiseInteractions,
    setup: BuildSetup,
    recorder: Recorder,
    part: BuildSetup,
    pairs: pd.DataFrame,
    triples: pd.DataFrame | None,
) -> Aggregates:
    """Return the largest interaction and how many pairs have each label."""
    values = pairs["interaction_activation"]
    row = pairs.iloc[largest_effect(recorder, "largest_interaction", pairs, "interaction_activation") or 0]
    counts = pairs["label"].value_counts()
    kinds = ("synergy", "redundancy", "output_nonlinearity", "third_order", "none", "untested")
    known = values.dropna()
    return Aggregates(
        mean_delta=float(known.mean()),
        std_delta=float(known.std(ddof=1)) if len(known) > 1 else 0.0,
        n_samples=len(part.contexts),
        n_conditions=len(pairs),
        **base_numbers(setup),
        custom={
            "method": experiment.method,
            "largest_pair": f"{row['token_a']} x {row['token_b']}",
            "largest_interaction": float(row["interaction_activation"]),
            "largest_label": row["label"],
            **{f"n_{kind}": int(counts.get(kind, 0)) for kind in kinds},
            "n_third_order_triples": 0 if triples is None else int((triples["label"] == "third_order").sum()),
            "sd": setup.sd,
        },
    )


def draw(recorder: Recorder, triples: pd.DataFrame | None) -> None:
    """Declare the matrix of pairs and the triples."""
    says = (
        "Second difference of the activation, averaged over contexts. Positive is not yet synergy: the label "
        "takes the pre-activation, the direction of the pair and third ones into account."
    )
    drawn = Figure.of("interaction_matrix", "interactions", **tables.MATRIX)
    recorder.figure(drawn.titled("What pairs do beyond the sum of their parts", says, value_label="interaction"))
    if triples is None:
        return
    drawn = Figure.of("forest", "triples", label="triple", value="third_difference", n="n", group="label", **INTERVAL)
    says = "Third difference of the activation with its interval, the largest first."
    looks = {"xlabel": "third difference", "sort": "abs", "max_rows": 20}
    recorder.figure(drawn.titled("How much pairs change with a third", says, **looks))
