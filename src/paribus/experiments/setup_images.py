"""What an experiment on images works on: data, model, and the checkpoints of its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paribus.experiments.setup_labelled import LabelledSetup

if TYPE_CHECKING:
    from paribus.subjects.images.data import ImageData


@dataclass(kw_only=True)
class ImageSetup(LabelledSetup):
    """The loaded objects of an experiment on images.

    Attributes:
        data: Images with labels, domains, clusters and splits (``train, id_val, val, ood``).
    """

    data: ImageData
