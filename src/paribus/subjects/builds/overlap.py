"""Whether builds that a model was trained on are in another corpus."""

from __future__ import annotations

import numpy as np

from paribus.subjects.builds.contexts import Corpus


def shared_builds(trained_on: Corpus, measured_on: Corpus) -> int | None:
    """Return how many whole builds of ``measured_on`` are builds of ``trained_on`` too (abilities and weapon).

    None where the two use different vocabularies, so that their codes cannot be compared.
    """
    words = [(corpus.vocabulary.tokens, corpus.weapons.names) for corpus in (trained_on, measured_on)]
    if words[0] != words[1]:
        return None
    seen = {row.tobytes() for row in np.ascontiguousarray(trained_on.builds)}
    return sum(row.tobytes() in seen for row in np.ascontiguousarray(measured_on.builds))
