"""Labelled images from several domains."""
