"""Sets of gear abilities and a weapon: vocabulary, legality, edits, corpora."""
