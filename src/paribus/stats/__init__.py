"""Paired, clustered effects with intervals, exact tests, multiplicity and nulls."""
