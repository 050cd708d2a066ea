"""Specs of the older JSON format, mapped to configurations."""
