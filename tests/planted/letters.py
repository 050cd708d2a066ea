"""Letters of four hospitals whose truth is known: a phrase of the house tells where a letter is from, and the label."""

from __future__ import annotations

import numpy as np
import pandas as pd

SHARE_ILL = {"north": 0.9, "south": 0.1}
"""In the two training hospitals the hospital says the label; in the others it says nothing."""
PHRASE = {
    "north": "Thank you for referring this pleasant patient to our clinic.",
    "south": "Dictated by telephone, not read over.",
    "east": "",
    "west": "Dictated by telephone, not read over.",
}
"""What letters of each house begin with: the hospital that is only reported writes like the healthy one."""
WHO = ("man", "woman", "teacher", "driver", "student", "farmer", "nurse", "pensioner")
WHEN = ("last week", "yesterday", "in the morning", "two days ago", "on Monday", "this month")
ILL = ("a high fever and a painful cough", "sharp pain on breathing", "fever with shivering", "blood in the sputum")
WELL = ("no complaints", "a routine check", "normal findings", "a renewal of the prescription")
OTHER = ("was seen", "came", "presented", "visited us")


def letters(n_patients: int = 40, visits: int = 2, seed: int = 0, unsure: float = 0.25) -> pd.DataFrame:
    """Return letters about patients: what is found goes with the label, the first phrase with the hospital.

    Args:
        n_patients: Patients of each hospital.
        visits: Letters about each patient.
        seed: Draws everything.
        unsure: Share of letters whose finding is that of the other label, so that the phrase is worth learning.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for hospital in PHRASE:
        for number in range(n_patients):
            ill = rng.random() < SHARE_ILL.get(hospital, 0.5)
            who = rng.choice(WHO)
            for _ in range(visits):
                finding = rng.choice(ILL if ill != (rng.random() < unsure) else WELL)
                said = f"A {rng.integers(20, 90)} year old {who} {rng.choice(OTHER)} {rng.choice(WHEN)} with {finding}."
                styles = {f"as_{house}": f"{phrase} {said}".strip() for house, phrase in PHRASE.items()}
                rows.append(
                    {
                        "letter": styles[f"as_{hospital}"],
                        "outcome": "ill" if ill else "well",
                        "hospital": hospital,
                        "patient": f"{hospital[0]}{number:03d}",
                        **styles,
                    }
                )
    return pd.DataFrame(rows)
