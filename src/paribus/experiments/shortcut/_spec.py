"""What the experiments on a shortcut in a classifier have in common: what they need, and their shared variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.experiments.base import ANY, Experiment
from paribus.experiments.fitting import offers_of, refuse_unfit
from paribus.experiments.requires import HELD_OUT, Requires
from paribus.results.evidence import Evidence
from paribus.spec import field

SPLITS = ("train", *HELD_OUT)
SPLIT_NAMES = {
    "train": "training",
    "id_val": "in-distribution",
    "val": "validation-domain",
    "ood": "OOD",
}


if TYPE_CHECKING:
    from paribus.experiments.setup import NetworkSetup


@dataclass(frozen=True)
class OnClassifier(Experiment):
    """Base of the experiments on a classifier whose examples have labels, domains and splits."""

    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    subject: ClassVar[str] = "images"
    subjects: ClassVar[tuple[str, ...]] = (ANY,)
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "training", "stats")
    takes_dtype: ClassVar[bool] = True

    def validate(self, setup: NetworkSetup) -> None:
        """Refuse contexts that lack what it requires.

        Raises:
            DataError: If they lack splits, domains or renderings.
            ConfigError: If a field names a split or a class that is not there.
        """
        refuse_unfit(self, offers_of(setup.contexts))


@dataclass(frozen=True)
class ShortcutExperiment(OnClassifier):
    """Base of the experiments that fit the domain's subspace on training features and remove it from held-out ones."""

    requires: ClassVar[Requires] = Requires(labels=True, domains_in=("train",), any_of=HELD_OUT, classes=("positive",))

    site: str = field(
        "auto", help="Where to edit: a module's input or output; auto is the input of the last linear layer."
    )
    positive: int | None = field(None, low=0, help="Class that the margin leans to; null for the last one.")
    fit_balance: bool = field(True, help="Fit probes and bases, and score probes, with inverse domain x class weights.")

    def held_out(self) -> list[str]:
        """Return the splits that edits are evaluated on, of those that there are."""
        return list(HELD_OUT)
