"""Composing, checking and building a configuration from Hydra groups."""
