"""Collecting, grouping and testing finished runs."""
