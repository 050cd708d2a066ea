"""What the experiments on a shortcut in a classifier's features have in common: their shared variables and checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.experiments.base import Experiment, Recorder
from paribus.experiments.checkpoints import say_choice
from paribus.experiments.requires import HELD_OUT, Requires
from paribus.results.evidence import Evidence
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.setup_images import ImageSetup
    from paribus.experiments.shortcut._shortcut_readout import ShortcutReadout

SPLITS = ("train", "id_val", "val", "ood")
SPLIT_NAMES = {
    "train": "training",
    "id_val": "in-distribution",
    "val": "validation-domain",
    "ood": "OOD",
}


@dataclass(frozen=True)
class ShortcutExperiment(Experiment):
    """Base of the experiments that fit a domain's trace on training features and edit it away on held-out ones."""

    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    subject: ClassVar[str] = "images"
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "training", "stats")
    takes_dtype: ClassVar[bool] = True
    requires: ClassVar[Requires] = Requires(domains_in=("train",), any_of=HELD_OUT, classes=("positive",))

    site: str = field(
        "auto", help="Where to edit: a module's input or output; auto is the input of the last linear layer."
    )
    positive: int | None = field(None, low=0, help="Class that the margin leans to; null for the last one.")
    fit_balance: bool = field(True, help="Fit probes and bases with inverse domain x class weights.")

    def readouts(self, setup: ImageSetup, recorder: Recorder) -> Iterator[ShortcutReadout]:
        """Yield a readout per chosen checkpoint."""
        from paribus.experiments.shortcut._shortcut_readout import ShortcutReadout, SplitInputs

        chosen = setup.selected()
        say_choice(chosen, self.held_out(), recorder)
        inputs = SplitInputs(setup.data)
        for checkpoint in recorder.progress(chosen, total=len(chosen), description=self.type):
            yield ShortcutReadout(setup, checkpoint, inputs, self, recorder)

    def held_out(self) -> list[str]:
        """Return the splits that edits are evaluated on, of those that there are."""
        return list(HELD_OUT)

    def head(self, readout: ShortcutReadout) -> dict[str, Any]:
        """Return the columns that every row of a checkpoint starts with."""
        return {
            "epoch": readout.checkpoint.epoch,
            "selected_on_ood": readout.checkpoint.on_reported_split,
        }
