"""Names for arrays of one kind of number, for annotations. Importing them loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Bools", "Floats", "Ints", "ShortInts", "Singles"]

Floats: TypeAlias = "npt.NDArray[np.float64]"
"""Double precision numbers."""
Ints: TypeAlias = "npt.NDArray[np.int64]"
"""Whole numbers: counts, positions, rows."""
Bools: TypeAlias = "npt.NDArray[np.bool_]"
"""Masks."""
Singles: TypeAlias = "npt.NDArray[np.float32]"
"""Single precision numbers, where many are held."""
ShortInts: TypeAlias = "npt.NDArray[np.int32]"
"""Whole numbers of 32 bits, where many are held."""
