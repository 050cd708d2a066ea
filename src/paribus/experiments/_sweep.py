"""A family measured at several levels, and the contexts that each level is compared on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

PREFIX_SHARE = 0.5
"""Share of contexts that must be able to wear a rung for it to be compared on the common set."""


@dataclass(frozen=True)
class Swept:
    """All levels measured on all contexts.

    Attributes:
        levels: The levels, the baseline first.
        f: Activations ``[levels, n]``.
        z: Pre-activations.
        null: Mean effects of the null features ``[levels - 1, n_null]``.
        support: Contexts that each level is measured on ``[levels, n]``.
        kind: ``common`` or ``own`` for each level.
    """

    levels: list[int | None]
    f: Floats
    z: Floats
    null: Floats | None
    support: Bools
    kind: list[str]

    def differences(self, values: Floats) -> Floats:
        """Return paired differences to the baseline where a level is supported, else NaN."""
        import numpy as np

        return np.where(self.support, values - values[0], np.nan)


def supported(feasible: Bools, how: str) -> tuple[Bools, list[str]]:
    """Choose the contexts of each level.

    Args:
        feasible: ``[levels, n]``, the baseline first.
        how: ``prefix``: levels up to the highest one feasible in half of the contexts share one common set, higher
            ones have their own; ``per_rung``: each its own; ``common``: one set for all.

    Returns:
        The contexts ``[levels, n]``, and ``common`` or ``own`` for each level.
    """
    import numpy as np

    own = feasible & feasible[0]
    if how == "per_rung":
        return own, ["own"] * len(feasible)
    shares = own.mean(1)
    last = len(feasible) - 1
    if how == "prefix":
        enough = np.flatnonzero(shares >= PREFIX_SHARE)
        last = int(enough.max(initial=0))
    common = own[: last + 1].all(0)
    out = own.copy()
    out[: last + 1] = common
    return out, ["common" if i <= last else "own" for i in range(len(feasible))]
