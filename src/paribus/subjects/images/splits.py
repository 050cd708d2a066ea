"""Names shared by all options of image data."""

from __future__ import annotations

PROVIDES = ("in_channels", "n_classes", "image_size", "n_features", "generator")
"""Arguments that a function which makes a network for images is given."""
HELD_OUT = ("id_val", "val")
"""Splits that are held out of the training images where nothing gives them."""
