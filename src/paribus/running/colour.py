"""The colour of a run in the charts of a tracking UI: runs that differ look different, if only by their seed."""

from __future__ import annotations

import colorsys
import hashlib

COLOUR_TAG = "mlflow.runColor"
GOLDEN = 0.6180339887498949
"""Step on the circle of hues (golden ratio), which keeps the hues of any number of seeds well separated."""


def colour(asked: str, seed: int) -> str:
    """Return the colour of a run, ``#rrggbb``.

    Left to itself the UI picks one of twenty by the run's id, so that two curves of one chart are often alike.

    Args:
        asked: The request without its seed; it determines the first hue.
        seed: The seed.

    >>> colour("activation_steering", 1) != colour("activation_steering", 2)
    True
    """
    digest = hashlib.sha256(asked.encode()).digest()
    hue = (int.from_bytes(digest[:4], "big") / 2**32 + seed * GOLDEN) % 1.0
    lightness = 0.34 + 0.14 * digest[4] / 255
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, 0.7))
