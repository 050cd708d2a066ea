"""Architectures and the safe loading of their weights."""
