"""Images as a subject: what its loaders give, and how that becomes contexts."""

from __future__ import annotations

from paribus.subjects.images.data import ImageData, normalised_as
from paribus.subjects.images.overlap import overlap, unlike
from paribus.subjects.images.subject import ImageSubject
from paribus.subjects.kind import Kind


def _shape(data: ImageData) -> str:
    return f"{data.in_channels} channels, {data.n_classes} classes, {data.image_size} pixels"


IMAGES = Kind(
    "images", ImageData, ImageSubject, ("digits_scanners", "small_cnn"), overlap, unlike, _shape, normalised_as
)
