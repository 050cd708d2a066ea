"""What a generic experiment works on: contexts of any subject, any network, and the checkpoints of its training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paribus.experiments.base import Setup
from paribus.experiments.checkpoints import Checkpoint, Checkpoints
from paribus.experiments.present import present
from paribus.features.readable import Outputs, Readable
from paribus.measure import Executor, Subject
from paribus.measure.steady import refuse_unsteady
from paribus.models.loading import fit_state
from paribus.models.nets.sae import SparseAutoencoder

if TYPE_CHECKING:
    from torch import nn

    from paribus.engine.cache import FeatureCache


@dataclass(kw_only=True)
class NetworkSetup(Setup):
    """The loaded objects of an experiment that knows no subject: the same for images, builds, tables and a user's own.

    Attributes:
        contexts: The contexts as the measurement layer knows them (a :class:`~paribus.measure.Subject`): clusters,
            labels, domains, splits, and how they become inputs.
        network: The network; its weights are replaced by those of the checkpoint at hand.
        feature: The option of the ``feature`` group that was chosen; None without. Bound by ``readout=feature``.
        parts: What else a subject gives: ``readable``, a function from an executor to its
            :class:`~paribus.features.readable.Readable`, where features have names of this subject; autoencoders by the
            site each reads.
        architecture: The model's spec; None for a foreign model or an object handed over.
        training: How the model was or is to be trained, where that is known.
        checkpoints: The checkpoints of its training; None for a network with only its present weights.
        checkpoint: Which of them to work on: ``peak_val``, ``final``, ``epoch:N``, ``all`` or ``peak_ood``.
        cache: Where site values are kept between experiments; None for the executor's own choice.
        network_key: What tells the network from another with the same weights (a digest of its spec and code).
        notes: What every result on these contexts must say (left out rows, unreadable lines).
        digest: Digest of the data that the contexts are from.
        data: The data set itself, where the contexts are from one (``ImageData``, ``TableData``, ...).
        beside: The same with a second trained model, where the experiment takes two.

    Example:
        >>> import torch
        >>> from paribus.measure import ArraySubject, Contexts
        >>> from paribus.stats.spec import StatsSpec
        >>> contexts = ArraySubject(Contexts(inputs=torch.zeros(4, 2)))
        >>> setup = NetworkSetup(seed=0, stats=StatsSpec(), contexts=contexts, network=torch.nn.Linear(2, 1))
        >>> len(setup.contexts), [tuple(one.load()["weight"].shape) for one in setup.selected()]
        (4, [(1, 2)])
    """

    contexts: Subject
    network: nn.Module
    feature: Any = None
    parts: dict[str, Any] = field(default_factory=dict)
    architecture: Any = None
    training: Any = None
    checkpoints: Checkpoints | None = None
    checkpoint: str = "peak_val"
    cache: FeatureCache | None = None
    network_key: str = ""
    notes: tuple[str, ...] = ()
    digest: str | None = None
    data: Any = None
    beside: NetworkSetup | None = None
    _steady: bool = field(default=False, init=False)

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.network

    @property
    def data_digest(self) -> str | None:
        """Digest of the data that the contexts are from."""
        return self.digest

    @property
    def examined(self) -> nn.Module:
        """The network."""
        return self.network

    @property
    def subject_name(self) -> str:
        """What kind of data it is: ``images``, ``tables``, ..."""
        return self.contexts.name

    def selected(self) -> list[Checkpoint]:
        """Return the chosen checkpoints, by ascending epoch; a network without any counts as its only one.

        Raises:
            ConfigError: If the choice is unknown or cannot be met.
        """
        if self.checkpoints is None:
            # equal weights in another network are another model
            self.checkpoints = present(self.network, key=self.network_key)
        return self.checkpoints.select(self.checkpoint)

    def readable(self, executor: Executor) -> Readable:
        """Return the network as features read it: with the names of its outputs and its autoencoders."""
        if "readable" in self.parts:
            made: Readable = self.parts["readable"](executor)
            return made
        saes = {name: one for name, one in self.parts.items() if isinstance(one, SparseAutoencoder)}
        names = self.contexts.output_names
        return Readable(executor, outputs=Outputs(names) if names else None, autoencoders=saes)

    def at(self, checkpoint: Checkpoint) -> nn.Module:
        """Load the weights of ``checkpoint`` into the network and return it, on the setup's device, in eval mode.

        Raises:
            CheckpointError: If the weights do not fit the network.
        """
        fit_state(self.network, dict(checkpoint.load()))
        return self.network.to(self.device).eval()

    def executor(self, checkpoint: Checkpoint | None = None) -> Executor:
        """Return what measures the contexts at a checkpoint; None: with the weights the network has.

        The network is one object: an executor is good until that of another checkpoint is made.

        Raises:
            CheckpointError: If the weights do not fit the network.
            ConfigError: If equal inputs do not give equal outputs, so that no effect can be told.
        """
        if checkpoint is not None:
            fit_state(self.network, dict(checkpoint.load()))
        made = Executor(
            self.network,
            self.contexts,
            device=self.device,
            dtype=self.dtype,
            batch_limit=self.batch_limit,
            cache=self.cache if checkpoint is not None else None,
            key=None if checkpoint is None else checkpoint.key,
        )
        if not self._steady:
            refuse_unsteady(made)
            self._steady = True
        return made
