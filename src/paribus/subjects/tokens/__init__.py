"""Sequences of ids, and the arithmetic on them whose circuits are known."""
