"""The contexts in which a feature is high, and those it is compared with."""

from __future__ import annotations

import numpy as np

from paribus.arrays import Bools, Floats
from paribus.errors import ConfigError


def check_fraction(where: str, value: float) -> None:
    """Check that a quantile is a fraction.

    Raises:
        ConfigError: If it is not between 0 and 1; a percent gets a hint.
    """
    if 0 < value < 1:
        return
    hint = f"; for the top {100 - value:g} % say {value / 100:g}" if 1 < value < 100 else ""
    raise ConfigError(f"{where}: a quantile is a fraction above 0 and below 1, got {value:g}{hint}")


def high_group(f: Floats, quantile: float) -> Bools:
    """Return which contexts lie in the top ``1 - quantile`` of the activation ``[n]``.

    Ties with the quantile belong to the group, unless it is the smallest value there is: a feature that is silent
    nearly everywhere is high where it is active at all. Nothing is high in a constant feature, and never everything.
    """
    cut = float(np.quantile(f, quantile))
    return np.asarray(f >= cut if cut > f.min() else f > cut)


def low_group(f: Floats, quantile: float, high: Bools) -> Bools:
    """Return which contexts lie in the bottom ``quantile`` of the activation, without those that are ``high``."""
    return np.asarray((f <= float(np.quantile(f, quantile))) & ~high)
