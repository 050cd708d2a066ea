"""What an experiment on labelled data works on: data, model, and the checkpoints of its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from paribus.experiments import checkpoints as index
from paribus.experiments.base import Setup
from paribus.experiments.checkpoints import Checkpoint, Checkpoints
from paribus.models.loading import fit_state
from paribus.models.state import state_digest

if TYPE_CHECKING:
    from paribus.engine.cache import FeatureCache
    from paribus.subjects.labelled import LabelledData
    from paribus.training.spec import TrainingSpec


@dataclass(kw_only=True)
class LabelledSetup(Setup):
    """The loaded objects of an experiment on labelled data of any kind.

    Attributes:
        data: Examples with labels and splits (``train, id_val, val, ood``, or some of them).
        model: The network; its weights are replaced by those of the checkpoint at hand.
        architecture: The model's spec, with which a fresh network can be built; None for a foreign model.
        training: How the model was or is to be trained, where that is known.
        checkpoints: The checkpoints of its training; None for a model with only its present weights.
        checkpoint: Which of them to work on: ``peak_val``, ``final``, ``epoch:N``, ``all`` or ``peak_ood``.
        cache: Where features are kept between experiments; None for the cache that the process shares.
        network_key: What tells the network from another with the same weights (a digest of its spec and code).
    """

    data: LabelledData
    model: nn.Module
    architecture: Any = None
    training: TrainingSpec | None = None
    checkpoints: Checkpoints | None = None
    checkpoint: str = "peak_val"
    cache: FeatureCache | None = None
    network_key: str = ""

    @property
    def data_digest(self) -> str | None:
        """Digest of the data."""
        return self.data.digest

    @property
    def examined(self) -> nn.Module:
        """The network."""
        return self.model

    def selected(self) -> list[Checkpoint]:
        """Return the chosen checkpoints, by ascending epoch; a model without any counts as its only one.

        Raises:
            ConfigError: If the choice is unknown or cannot be met.
        """
        if self.checkpoints is None:
            state = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            # equal weights in another network are another model
            self.checkpoints = index.only(state, key=f"{state_digest(state)}/{self.network_key}")
        return self.checkpoints.select(self.checkpoint)

    def at(self, checkpoint: Checkpoint) -> nn.Module:
        """Load the weights of ``checkpoint`` into the model and return it, on the setup's device, in eval mode.

        Raises:
            CheckpointError: If the weights do not fit the model.
        """
        fit_state(self.model, dict(checkpoint.load()))
        return self.model.to(self.device).eval()
