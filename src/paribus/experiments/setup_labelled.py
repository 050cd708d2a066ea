"""What a training from the start works on: labelled data and a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from paribus.experiments.base import Setup

if TYPE_CHECKING:
    from paribus.subjects.labelled import LabelledData
    from paribus.training.spec import TrainingSpec


@dataclass(kw_only=True)
class LabelledSetup(Setup):
    """The loaded objects of a training on labelled data of any kind.

    Attributes:
        data: Examples with labels and splits (``train, id_val, val, ood``, or some of them).
        model: The network, with the weights it starts from.
        architecture: The model's spec, with which a fresh network can be built; None for a foreign model.
        training: How the model is to be trained, where that is an option.
    """

    data: LabelledData
    model: nn.Module
    architecture: Any = None
    training: TrainingSpec | None = None

    @property
    def data_digest(self) -> str | None:
        """Digest of the data."""
        return self.data.digest

    @property
    def examined(self) -> nn.Module:
        """The network."""
        return self.model
