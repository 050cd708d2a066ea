"""Experiments on token sequences: training that groks, circuits, heads, patches."""
