"""Builds that two corpora share, counted one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.overlap import shared_builds
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

CORPUS = BuildsGenerated(n_builds=60, seed=1).load()


def test_a_corpus_shares_all_builds_with_itself_and_what_is_taken_over_with_another():
    other = BuildsGenerated(n_builds=40, seed=2).load()
    joined = replace(CORPUS, builds=np.concatenate([CORPUS.builds[[3, 5, 5]], other.builds]))
    known = {tuple(row) for row in CORPUS.builds.tolist()}
    expected = 3 + sum(tuple(row) in known for row in other.builds.tolist())
    assert shared_builds(CORPUS, CORPUS) == len(CORPUS.builds)
    assert shared_builds(CORPUS, joined) == expected


def test_another_weapon_is_another_build():
    moved = CORPUS.builds.copy()
    moved[:, 15] += 1
    known = {tuple(row) for row in CORPUS.builds.tolist()}
    assert shared_builds(CORPUS, replace(CORPUS, builds=moved)) == sum(tuple(row) in known for row in moved.tolist())


def test_codes_of_another_vocabulary_mean_something_else():
    assert shared_builds(CORPUS, BuildsGenerated(n_builds=5).load(Vocabulary.default((3, 10, 57)))) is None
    assert shared_builds(CORPUS, BuildsGenerated(n_builds=5).load(None, Weapons(("weapon_id_40",)))) is None
