"""Which checkpoints of a training run an experiment works on: an index of them, and the rule that chooses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paribus.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from paribus.experiments.base import Recorder

NAMED_CHOICES = ("peak_val", "final", "epoch:N", "all", "peak_ood")
CHOSEN_ON = {"peak_val": ("val", "id_val"), "peak_ood": ("ood",)}
"""The splits whose accuracy a choice looks at: the first that there is."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a model at one epoch.

    Attributes:
        epoch: Epochs of training behind it (0 where it is not known).
        key: A name that no other weights share; cached features are kept under it.
        load: Returns the model's state dict.
        on_reported_split: Whether that choice looked at the split that is being reported (``peak_ood``).
        chosen_on: The split whose accuracy that choice looked at, empty where it looked at none or it is not known.
    """

    epoch: int
    key: str
    load: Callable[[], Mapping[str, Any]]
    on_reported_split: bool = False
    chosen_on: str = ""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training run; nothing is loaded until a chosen one's ``load`` is called.

    Attributes:
        loader: Returns the model's state dict at an epoch that is among ``epochs``.
        epochs: The epochs kept, ascending.
        key: A name of the run that no other run shares: features are cached under it.
        history: One row per evaluation (``epoch, val_acc, ood_acc``, ...), or None.
        best: Epoch by choice (``peak_val``, ``peak_ood``) as training recorded it; what is missing here is looked up
            in the history among the epochs kept, the earliest of equals.
        content: Returns a digest of the weights at an epoch and of what they are loaded into, so that weights which
            were replaced are known by another key; None where ``key`` says it all.

    Example:
        >>> kept = Checkpoints(lambda epoch: {}, epochs=(10, 20), key="run", best={"peak_val": 10})
        >>> [one.epoch for one in kept.select("all")], kept.select("peak_val")[0].epoch, kept.select("final")[0].epoch
        ([10, 20], 10, 20)
    """

    loader: Callable[[int], Mapping[str, Any]]
    epochs: tuple[int, ...]
    key: str
    history: pd.DataFrame | None = None
    best: Mapping[str, int] = field(default_factory=dict)
    content: Callable[[int], str] | None = None

    def __post_init__(self) -> None:
        """Sort the epochs.

        Raises:
            ConfigError: If there are none, or if a best epoch is not among them.
        """
        if not self.epochs:
            raise ConfigError(f"checkpoints of {self.key}: there are none")
        object.__setattr__(self, "epochs", tuple(sorted({int(epoch) for epoch in self.epochs})))
        for choice, epoch in self.best.items():
            if epoch not in self.epochs:
                raise ConfigError(f"checkpoints of {self.key}: {choice} is epoch {epoch}, which was {self._not_kept()}")

    def select(self, choice: str) -> list[Checkpoint]:
        """Return the checkpoints of ``choice``, by ascending epoch.

        Args:
            choice: ``peak_val`` (best accuracy on the validation split; in data without one, on id_val), ``final``,
                ``epoch:N``, ``all``, or ``peak_ood`` (best on the OOD domain, marked as selected on what is reported).

        Raises:
            ConfigError: If the choice is unknown, names an epoch that was not kept, or needs a history that is missing.
        """
        if choice == "all":
            return [self._checkpoint(epoch, choice) for epoch in self.epochs]
        if choice == "final":
            return [self._checkpoint(self.epochs[-1], choice)]
        if choice.startswith("epoch:"):
            return [self._checkpoint(self._epoch(choice), choice)]
        if choice in CHOSEN_ON:
            return [self._checkpoint(self._peak(choice), choice)]
        raise ConfigError(f"checkpoint: no such choice {choice!r}; {nearest(choice, NAMED_CHOICES)}")

    def _checkpoint(self, epoch: int, choice: str) -> Checkpoint:
        loader = self.loader
        content = "" if self.content is None else f"/{self.content(epoch)}"
        return Checkpoint(
            epoch=epoch,
            key=f"{self.key}/epoch{epoch}{content}",
            load=lambda: loader(epoch),
            on_reported_split=choice == "peak_ood",
            chosen_on=self._chosen_on(choice) or "",
        )

    def _chosen_on(self, choice: str) -> str | None:
        """Return the split whose accuracy a choice looks at, None where the history holds none of it."""
        if self.history is None:
            return None
        known = (split for split in CHOSEN_ON.get(choice, ()) if f"{split}_acc" in self.history)
        return next((split for split in known if self.history[f"{split}_acc"].notna().any()), None)

    def _epoch(self, choice: str) -> int:
        text = choice.removeprefix("epoch:")
        try:
            epoch = int(text)
        except ValueError:
            raise ConfigError(f"checkpoint={choice}: {text!r} is not an epoch; write e.g. epoch:100") from None
        if epoch not in self.epochs:
            raise ConfigError(f"checkpoint={choice}: epoch {epoch} was {self._not_kept()}")
        return epoch

    def _peak(self, choice: str) -> int:
        if choice in self.best:
            return int(self.best[choice])
        if choice == "peak_val" and len(self.epochs) == 1:
            return self.epochs[0]
        split = self._chosen_on(choice)
        if self.history is None or split is None:
            wanted = " or ".join(f"{name}_acc" for name in CHOSEN_ON[choice])
            raise ConfigError(
                f"checkpoint={choice}: {self.key} has no history with {wanted}; use checkpoint=final or epoch:N"
            )
        column = f"{split}_acc"
        kept = self.history[self.history["epoch"].isin(self.epochs)].sort_values("epoch").dropna(subset=[column])
        if kept.empty:
            raise ConfigError(f"checkpoint={choice}: no kept epoch of {self.key} was evaluated; use checkpoint=final")
        return int(kept["epoch"].iloc[int(kept[column].to_numpy().argmax())])

    def _not_kept(self) -> str:
        shown = ", ".join(map(str, self.epochs[:12])) + (f", ... {self.epochs[-1]}" if len(self.epochs) > 12 else "")
        return f"not kept; kept: {shown}"


def say_choice(chosen: Sequence[Checkpoint], reported: Collection[str], recorder: Recorder) -> None:
    """Warn where checkpoints were chosen by their accuracy on a split that is reported."""
    if any(checkpoint.on_reported_split for checkpoint in chosen):
        recorder.warn("checkpoint=peak_ood was selected on the OOD split that is reported here")
    if any(checkpoint.chosen_on == "id_val" for checkpoint in chosen) and "id_val" in reported:
        recorder.warn(
            "The data have no split val: checkpoint=peak_val was selected by the accuracy on id_val, which is reported "
            "here and may look better than it is."
        )
