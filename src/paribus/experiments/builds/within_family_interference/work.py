"""Takes every lower token of a family away, with the higher ones still there."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import (
    EFFECT_COLUMNS,
    beyond_least,
    effect_rows,
    n_judged,
    row_means,
    row_sums,
    summed,
)
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.builds.within_family_interference.spec import WithinFamilyInterference
from paribus.experiments.effect_vector import EffectVector
from paribus.experiments.headline import largest_size
from paribus.measure.design import Design
from paribus.measure.nulls import Contrasts
from paribus.measure.stream import Stream
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table
from paribus.stats.row_sums import LevelTotals
from paribus.subjects.builds.families import Family
from paribus.subjects.builds.states import States, stack


def prepare(
    experiment: WithinFamilyInterference, setup: BuildSetup, recorder: Recorder | None
) -> tuple[Stream, list[tuple[Family, int]], Bools]:
    """Return what measures baseline and edit of every row ``[2 k, n]``, the rows, and which states are measured.

    Only contexts that show the lower and a higher token count.

    Raises:
        ConfigError: If there are none.
    """
    pairs = experiment.pairs(setup)

    def edited(states: States) -> States:
        held = experiment.hold(setup, states)
        levels: list[States] = []
        for family, lower in pairs:
            base = held if experiment.rung is None else setup.edits.set_rung(held, family, experiment.rung)
            token = f"{family.name}_{lower}"
            both = setup.edits.holds(base, token) & (setup.edits.highest_rung(base, family) > lower)
            levels.extend((base.only(both), setup.edits.remove_tokens(base, [token]).only(both)))
        return stack(levels)

    design = Design(edited, 2 * len(pairs), description="lower tokens")
    feasible = setup.feasible(design, recorder)
    setup.require(feasible, "a lower and a higher token of one of the families")
    weights = np.repeat(np.eye(len(pairs)), 2, axis=1) * np.tile([-1.0, 1.0], len(pairs))
    contrasts = Contrasts(weights) if recorder is not None else None
    stream = setup.stream(design, recorder, contrasts=contrasts, ok=feasible)
    return stream, pairs, feasible


def n_supported(experiment: WithinFamilyInterference, setup: BuildSetup) -> int:
    """Return how many lower tokens enough contexts show, without measuring."""
    _, _, feasible = prepare(experiment, setup, None)
    return n_judged(feasible[::2] & feasible[1::2])


def effect_vector(experiment: WithinFamilyInterference, setup: BuildSetup) -> EffectVector:
    """Return the effect of taking each lower token away."""
    stream, pairs, feasible = prepare(experiment, setup, None)
    f = stream.collected(feasible.shape[1]).values[0]
    differences = f[1::2] - f[::2]
    return EffectVector(tuple(f"{family.name}_{lower}" for family, lower in pairs), row_means(differences), differences)


def run(experiment: WithinFamilyInterference, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Measure every lower token, and how common its absence is in the corpus."""
    setup.describe(recorder)
    stream, pairs, _ = prepare(experiment, setup, recorder)
    delta, delta_z = (row_sums(setup, len(pairs)) for _ in range(2))
    base, edited = LevelTotals(len(pairs)), LevelTotals(len(pairs))
    for block in stream:
        columns, (f, z) = block.columns, block.values
        delta.add(f[1::2] - f[::2], columns)
        delta_z.add(z[1::2] - z[::2], columns)
        base.add(f[::2])
        edited.add(f[1::2])
    frame = effect_rows(
        setup,
        recorder,
        delta.result(),
        "interference",
        differences_z=delta_z.result(),
        null=stream.null,
        labels=[f"{family.name}_{lower}" for family, lower in pairs],
    )
    frame.insert(0, "family", [family.name for family, _ in pairs])
    frame.insert(1, "lower_rung", [lower for _, lower in pairs])
    frame.insert(2, "mean_activation", edited.means)
    frame.insert(3, "base_activation", base.means)
    frame.insert(4, "firing_rate", edited.shares_above)
    frame = frame.join(_how_common(setup, pairs))
    says = "One row per lower token: the feature with it taken away while a higher one stays, against with it."
    recorder.table(Table("interference", says, Evidence.INTERVENTIONAL, frame, _COLUMNS))
    drawn = Figure.of("heatmap", "interference", x="lower_rung", y="family", value="mean_delta")
    says = (
        "Mean change of the activation. 0 everywhere: the model reads the capstone only. Blank: no context "
        "shows both tokens."
    )
    looks = {"xlabel": "token taken away (AP)", "ylabel": "", "diverging": True}
    recorder.figure(drawn.titled("Taking a lower token away while a higher one stays", says, **looks))
    found = frame[beyond_least(setup, frame)]
    largest = largest_size(recorder, "max_effect", frame)
    return Aggregates(
        **summed(setup, frame["mean_delta"]),
        n_conditions=int((frame["n"] > 0).sum()),
        custom={
            "interference_detected": bool(len(found)),
            "interfering_tokens": [f"{f}_{r}" for f, r in zip(found["family"], found["lower_rung"], strict=True)],
            "largest_abs_delta": None if largest is None else float(abs(frame["mean_delta"].iloc[largest])),
        },
    )


def _how_common(setup: BuildSetup, pairs: list[tuple[Family, int]]) -> pd.DataFrame:
    """Return, for each row, how often the corpus shows a higher token of the family without the lower one."""
    states = setup.corpus.contexts.states()
    rows = []
    for family, lower in pairs:
        higher = setup.edits.highest_rung(states, family) > lower
        without = higher & ~setup.edits.holds(states, f"{family.name}_{lower}")
        share = float(without.sum() / higher.sum()) if higher.any() else np.nan
        rows.append({"n_pattern": int(without.sum()), "pattern_share": share})
    return pd.DataFrame(rows)


_COLUMNS = {
    **EFFECT_COLUMNS,
    "lower_rung": "AP of the token taken away; a higher token of the family stays",
    "mean_activation": "mean activation with the lower token taken away",
    "base_activation": "mean activation in the same contexts with it",
    "n_pattern": "corpus contexts that show a higher token of the family but not this one",
    "pattern_share": "their share among corpus contexts that show a higher token of the family",
}
