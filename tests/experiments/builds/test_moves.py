"""Edits as masks do what the edits do."""

from __future__ import annotations

import numpy as np

from paribus.experiments.builds._moves import Move, apply_moves, combine, unmoved
from paribus.subjects.builds.edits import Edits
from paribus.subjects.builds.generated import BuildsGenerated


def test_moves_agree_with_the_edits_they_stand_for():
    corpus = BuildsGenerated(n_builds=60, seed=3).load(None, None)
    edits = Edits(corpus.vocabulary, corpus.weapons)
    states = corpus.contexts.states()
    steps = [
        lambda s: edits.set_rung(s, "SSU", None),
        lambda s: edits.set_rung(s, "SSU", 12),
        lambda s: edits.set_rung(s, "comeback", 10),
        lambda s: edits.set_rung(s, "tenacity", 10),
        lambda s: edits.set_rung(s, "tenacity", None),
        lambda s: edits.swap_weapon(s, 7),
    ]
    moves = [Move.of(step) for step in steps]
    for step, done in zip(steps, apply_moves(states, moves).codes, strict=True):
        np.testing.assert_array_equal(done, step(states).codes)
    one_by_one = states
    for step in steps:
        one_by_one = step(one_by_one)
    np.testing.assert_array_equal(apply_moves(states, [combine(moves)]).codes[0], one_by_one.codes)
    np.testing.assert_array_equal(apply_moves(states, [unmoved()]).codes[0], states.codes)
