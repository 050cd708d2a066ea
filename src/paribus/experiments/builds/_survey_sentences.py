"""What a survey says of a chosen latent, from its row."""

from __future__ import annotations

import pandas as pd

from paribus.experiments.builds._report_sentences import cited


def about(row: pd.Series, table: str, place: int) -> str:
    """Return the sentence about a chosen latent.

    Args:
        row: Its row of the table ``chosen``.
        table: The table that the sentence names.
        place: Place of the row there, from 0.
    """
    text = (
        f"Latent {row['feature_id']} fires in {row['firing_rate']:.0%}; {row['leading']} explains "
        f"{row['selectivity']:.0%} of its variance ({row['selectivity_other_half']:.0%} in the other half); "
        f"{_moved(row)}"
    )
    return cited(text, table, [place])


def _moved(row: pd.Series) -> str:
    steps = [(row[f"family_{i}"], row[f"rung_{i}"], row[f"delta_{i}"]) for i in (1, 2)]
    moving = [f"{family} at {rung:.0f} AP ({delta:+.2f} sd)" for family, rung, delta in steps if delta]
    if not moving:
        return "no stacking family that was set moved it"
    return f"of the stacking families {' and '.join(moving)} moved it most when set"
