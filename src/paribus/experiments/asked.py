"""What a request asks of a subject: what is to be loaded, and what is shared between the jobs of a process."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from paribus.config.check import build
from paribus.config.foreign import Foreign
from paribus.errors import ConfigError, DataError, ParibusError
from paribus.experiments.base import Experiment
from paribus.experiments.checkpoints import Checkpoints
from paribus.spec import LoadsData

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.tracking.interface import Store


class Trained(Protocol):
    """A model that a run trained, or is going to; its weights are read when they are asked for."""

    @property
    def label(self) -> str:
        """What it is called in results."""

    @property
    def identity(self) -> str:
        """Identity of the run that trained it."""

    @property
    def architecture(self) -> Any:
        """Spec of the network."""

    @property
    def data(self) -> Any:
        """Spec of what it was trained on."""

    @property
    def options(self) -> Mapping[str, str | None]:
        """Names of the options chosen for model, training and data, where they are known."""

    @property
    def network_seed(self) -> int:
        """Seed of the run that built the network."""

    @property
    def data_digest(self) -> str | None:
        """Digest of the data as they were when it was trained, where it is known."""

    @property
    def trained_on(self) -> Sequence[Any]:
        """Configuration nodes of all data that its weights were fitted to, the latest last."""

    @property
    def to_come(self) -> Sequence[Any]:
        """The trainings that will continue it, where it is only planned."""

    def autoencoders(self) -> list[dict[str, Any]]:
        """Return the sparse autoencoders that were trained on it: their weights and the ``site`` each reads."""

    @property
    def planned(self) -> bool:
        """Whether it is still to be trained: there are no weights yet."""

    def epoch_state(self, epoch: int) -> dict[str, Any]:
        """Return everything that was kept at an epoch."""

    def checkpoints(self) -> Checkpoints:
        """Return the index of its checkpoints by epoch; a ``CheckpointError`` where it kept none."""


class Shared(Protocol):
    """What the jobs of one process share, known by what decides it."""

    def data(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the data set kept under ``key``, made where it is not."""

    def model(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the model kept under ``key``, made where it is not; nobody may change it in place."""

    def key(self, node: Any) -> str:
        """Return a digest of everything that decides what a spec makes: fields, files by content, code."""

    def contents(self, node: Any) -> str:
        """Return a digest of what decides it besides its fields: files by content, and code."""

    def network_key(self, node: Any) -> str:
        """Return the key of a trained network, which the file that its training started from does not decide."""


@dataclass(frozen=True)
class Asked:
    """One experiment with everything it is to be run on, not loaded yet.

    Attributes:
        experiment: The experiment.
        subject: What kind of data it is about.
        nodes: The spec of each config group by name (``data``, ``model``, ``feature``, ...), None where one is empty.
        options: The option chosen in each group.
        seed: Seed of the run.
        shared: What the jobs of the process share.
        store: Where runs are kept.
        checkpoint: Which checkpoints of a trained model to work on.
        step: Name of the step, where it is one of a sequence.
        named_fields: Fields of the experiment that the words of the request name.
        trained: The trained model that it takes, None where its model is built anew.
        other: What is measured on, where that is not what the model was trained on; else None.
        given: Results of the steps before, for what puts them together.
        runs: Of a comparison: ids of the runs it is to be made from; empty for all of the study.
        tracked: Whether runs are kept at all.
        study: The MLflow experiment that its run goes to.
        beside: The same request on a second trained model, where the experiment takes two.
    """

    experiment: Experiment
    subject: str
    nodes: Mapping[str, Any]
    options: Mapping[str, str | None]
    seed: int
    shared: Shared
    store: Store
    checkpoint: str = "peak_val"
    step: str | None = None
    named_fields: frozenset[str] = frozenset()
    trained: Trained | None = None
    other: str | None = None
    given: tuple[Result, ...] = ()
    runs: tuple[str, ...] = ()
    tracked: bool = True
    study: str = ""
    beside: Asked | None = None
    basics: Mapping[str, Any] = field(default_factory=dict)
    """The arguments that every setup takes: seed, statistics, device, batch limit and number format."""

    def load(self, example: str = "") -> Any:
        """Return the data set, loaded once in a process.

        Args:
            example: An option of the ``data`` group that would do, for the message.

        Raises:
            ConfigError: If none is chosen, or what is chosen loads nothing.
            DataError: If it cannot be loaded.
        """
        node = self.nodes.get("data")
        if node is None:
            raise ConfigError(f"data: {self.experiment.type} needs a data set{example and f', e.g. data={example}'}")
        return self._loaded(node)

    def _loaded(self, node: Any) -> Any:
        if isinstance(node, Foreign):
            return self.shared.data(self.shared.key(node), node.call)
        if not isinstance(node, LoadsData):
            raise ConfigError(f"data: {type(node).__name__} is no data set: it has no load()")
        return self.shared.data(self.shared.key(node), node.load)

    def trained_data(self) -> tuple[list[Any], list[str]]:
        """Load all data that the trained model was fitted to; return them, and a sentence for each that is missing."""
        loaded: list[Any] = []
        notes: list[str] = []
        if self.trained is None:
            return loaded, notes
        for node in self.trained.trained_on:
            try:
                loaded.append(self._loaded(build(node, "data")))
            except ParibusError as error:
                notes.append(
                    f"What the model of {self.trained.label} was trained on cannot be loaded any more, so nothing is "
                    f"known of what it shares with what is measured ({error})."
                )
        return loaded, notes

    def refuse_changed(self, digest: str | None) -> None:
        """Check that the data that a trained model brings are still those that it was trained on.

        Raises:
            DataError: If they are not: a file was replaced, or what makes them gives others.
        """
        trained = self.trained
        if trained is None or trained.data_digest is None or digest is None or self.other is not None:
            return
        if digest != trained.data_digest and "data" in self.experiment.needs:
            raise DataError(
                f"data: what the model of {trained.label} was trained on "
                f"({label(trained.data, trained.options.get('data'))}) "
                "is not what is loaded now: its files or the code that makes it have changed; restore them, train "
                "again, or name data=NAME to measure on what is there"
            )

    @property
    def called(self) -> str:
        """What the data set is called."""
        return label(self.nodes.get("data"), self.options.get("data"))

    def measured_elsewhere(self) -> tuple[str, ...]:
        """Return the warning that a result carries where it is measured on other data than the model's own."""
        if self.trained is None or self.other is None:
            return ()
        own = label(self.trained.data, self.trained.options.get("data"))
        return (f"Measured on {self.other}; the model of {self.trained.label} was trained on {own}.",)


def label(node: Any, option: str | None = None) -> str:
    """Return what a data set is called: the chosen option, or what makes it.

    Example:
        >>> from paribus.subjects.tokens.modular_addition import ModularAddition
        >>> label(ModularAddition()), label(ModularAddition(), "modular_addition")
        ('ModularAddition', 'modular_addition')
    """
    return option or (node.target if isinstance(node, Foreign) else type(node).__name__)
