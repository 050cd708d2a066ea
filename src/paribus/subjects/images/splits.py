"""Names shared by all image data: splits, and the arguments of functions that make a network."""

from __future__ import annotations

PROVIDES = ("in_channels", "n_classes", "image_size", "n_features", "generator")
"""Arguments that a function which makes a network for images is given."""
SPLITS = ("train", "id_val", "val", "ood")
"""Training rows; held-out rows of the training domains; rows choices are made on; rows of a domain only reported."""
ONE_DOMAIN = "all"
"""Name of the only domain where a data set tells none apart."""
HELD_OUT = ("id_val", "val")
"""Splits that are held out of the training images where nothing gives them."""
