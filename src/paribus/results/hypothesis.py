"""What the runs on a hypothesis have shown, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ESTABLISHED, OPEN, ABSENT = "yes", "not established", "no run"
COMPLETE = "complete"
"""The note on complete populations: known for single networks, without inference."""
NECESSITY, SUFFICIENCY, SPECIFICITY, STABILITY = ("necessity", "sufficiency", "specificity", "stability")
"""What a cause must show: removing it has an effect, inserting it has an effect, similar things do less, and it
replicates."""
LEAST_SEEDS = 3
"""Trained models over which a finding counts as repeated, where no check of halves was run."""


@dataclass(frozen=True)
class Bearing:
    """One finished run on a hypothesis.

    Attributes:
        run_id: Its id.
        name: Its name.
        evidence: Its kind of evidence.
        bears_on: What its experiment can show.
        established: Whether something was established in it: a row of effects, or its check passed.
        beyond_null: Whether an established effect lies outside the middle 95 % of its null; None where it has none.
        claim: Its claim; empty without.
        verdict: What it says of it.
        before: Whether the claim was declared before any look at these numbers; of a comparison, before the runs that
            it compares.
        replicate: What tells its trained model from others: the seed that it was trained with; empty where none was
            trained, as a network from a file is the same whatever the run's own seed.
        complete: Whether all contexts there are were measured, so that nothing could be established over them.
    """

    run_id: str
    name: str
    evidence: str
    bears_on: tuple[str, ...] = ()
    established: bool = False
    beyond_null: bool | None = None
    claim: str = ""
    verdict: str = ""
    before: bool = False
    replicate: str = ""
    complete: bool = False


def standing(runs: Sequence[Bearing]) -> dict[str, str]:
    """Return for each aspect whether it was established in a run, was looked at, or has no run.

    Stability is established by a check that passed (halves of the data, shuffled data), or where necessity or
    sufficiency was established in at least three trained models.

    Example:
        >>> standing([Bearing("1", "ablate", "interventional", ("necessity",), True, False)])["necessity"]
        'yes'
    """
    found: dict[str, str] = {}
    for aspect in (NECESSITY, SUFFICIENCY):
        mine = [run for run in runs if aspect in run.bears_on]
        found[aspect] = _said(mine, [run for run in mine if run.established])
    nulls = [run for run in runs if run.beyond_null is not None]
    found[SPECIFICITY] = _said(nulls, [run for run in nulls if run.beyond_null])
    checks = [run for run in runs if STABILITY in run.bears_on]
    causal = {run.replicate for run in runs if run.established and {NECESSITY, SUFFICIENCY} & set(run.bears_on)}
    repeated = len(causal - {""}) >= LEAST_SEEDS
    found[STABILITY] = ESTABLISHED if repeated else _said(checks, [run for run in checks if run.established])
    return found


def _said(runs: Sequence[Bearing], established: Sequence[Bearing]) -> str:
    if established:
        return ESTABLISHED
    if any(run.complete for run in runs):
        return COMPLETE
    return OPEN if runs else ABSENT


WHOLE = "known of single networks on all contexts there are, so not inferred; compare several trainings"


def missing(runs: Sequence[Bearing]) -> list[str]:
    """Return what is still missing for a hypothesis.

    Example:
        >>> missing([])[0]
        'necessity: no run takes the cause away (ablate, subspace_ablation, head_ablation, activation_patching)'
    """
    asks: Mapping[str, tuple[str, str]] = {
        NECESSITY: ("no run takes the cause away (ablate, subspace_ablation, head_ablation, activation_patching)",
                    "taking the cause away is not shown to cost anything"),
        SUFFICIENCY: ("no run puts the cause in (sweep, swap, activation_steering, family_1d_sweep)",
                      "putting the cause in is not shown to do anything"),
        SPECIFICITY: ("no run has a null (stats.n_null)", "no established effect lies outside its null"),
        STABILITY: (f"no check (split_half, shuffle_null), and fewer than {LEAST_SEEDS} trained models",
                    "no check of stability passed"),
    }  # fmt: skip
    lines = [
        f"{aspect}: {WHOLE if state == COMPLETE else asks[aspect][0 if state == ABSENT else 1]}"
        for aspect, state in standing(runs).items()
        if state != ESTABLISHED
    ]
    claims = [run for run in runs if run.claim]
    if not claims:
        lines.append("claim: none was declared (claim.endpoint=...)")
    elif not any(run.before for run in claims):
        lines.append("claim: none was declared before the numbers were there")
    if runs and all(run.evidence != "interventional" for run in runs):
        lines.append("evidence: no run is interventional")
    return lines
