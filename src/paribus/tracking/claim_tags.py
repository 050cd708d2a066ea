"""Tags of a run's claim: the claim, when it was declared, before what, and the verdict."""

from __future__ import annotations

HYPOTHESIS_TAG = "parent_hypothesis"
CLAIM_TAG, DECLARED_TAG, BEFORE_TAG, ANSWER_TAG = "claim", "claim_declared_at", "claim_declared_before", "claim_answer"
COMPARED_TAG = "claim_compared_before"
"""How many runs a comparison compares, and how many of them had begun without its claim: ``12 of 12``."""
