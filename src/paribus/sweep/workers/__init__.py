"""Processes that share the jobs of a sweep on one machine."""
