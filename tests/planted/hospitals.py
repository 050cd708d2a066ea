"""A table whose truth is known: four hospitals, of which a column tells the training ones apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HOSPITALS = ("north", "south", "east", "west")
SHARE_SICK = {"north": 0.9, "south": 0.1}
"""In the two training hospitals the hospital says the label; in the others it says nothing."""
BATCH = {"north": 2.0, "south": -2.0, "east": 0.0, "west": -2.0}
"""Offset of the column that leaks the hospital: the OOD hospital has that of the healthy one."""


def hospitals(n_patients: int = 60, visits: int = 2, seed: int = 0) -> pd.DataFrame:
    """Return visits of patients: ``marker`` and ``ward`` go with the label, ``batch`` with the hospital.

    Args:
        n_patients: Patients of each hospital.
        visits: Rows of each patient.
        seed: Draws everything.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for hospital in HOSPITALS:
        sick = rng.random(n_patients) < SHARE_SICK.get(hospital, 0.5)
        part = pd.DataFrame({"patient": [f"{hospital[0]}{k:03d}" for k in range(n_patients)], "hospital": hospital})
        part["sick"] = np.where(sick, "yes", "no")
        part["own"] = rng.normal(size=n_patients)
        part = part.loc[part.index.repeat(visits)].reset_index(drop=True)
        ill = (part["sick"] == "yes").to_numpy()
        part["marker"] = 10.0 + 3.0 * (ill + rng.normal(0.0, 0.7, len(part)))
        part["batch"] = BATCH[hospital] + rng.normal(0.0, 0.3, len(part))
        part["noise"] = part.pop("own") + rng.normal(0.0, 0.3, len(part))
        part["ward"] = np.where(rng.random(len(part)) < 0.3 + 0.4 * ill, "b", "a")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def write_hospitals(file: Path, **changes) -> Path:
    """Write the table as CSV or parquet, by the file's suffix."""
    frame = hospitals(**changes)
    frame.to_parquet(file) if file.suffix == ".parquet" else frame.to_csv(file, index=False)
    return file
