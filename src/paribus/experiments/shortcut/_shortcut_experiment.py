"""What the experiments on a shortcut in a classifier's features have in common: their shared variables and checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from paribus.errors import DataError
from paribus.experiments.base import Experiment, Recorder
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

    site: str = field(
        "auto", help="Where to edit: a module's input or output; auto is the input of the last linear layer."
    )
    positive: int | None = field(None, low=0, help="Class that the margin leans to; null for the last one.")
    fit_balance: bool = field(True, help="Fit probes and bases with inverse domain x class weights.")

    def readouts(self, setup: ImageSetup, recorder: Recorder) -> Iterator[ShortcutReadout]:
        """Yield a readout per chosen checkpoint, after the checks that need data and choice.

        Raises:
            DataError: If the training split has fewer than two domains.
        """
        from paribus.experiments.shortcut._shortcut_readout import ShortcutReadout, SplitInputs

        chosen = setup.selected()
        trained_on = np.unique(setup.data.domains[setup.data.splits["train"]])
        if len(trained_on) < 2:
            only = setup.data.domain_names[int(trained_on[0])]
            raise DataError(f"{self.type}: the training split has the single domain {only!r}; a shortcut needs two")
        if any(checkpoint.on_reported_split for checkpoint in chosen):
            recorder.warn("checkpoint=peak_ood was selected on the OOD split that is reported here")
        inputs = SplitInputs(setup.data)
        for checkpoint in recorder.progress(chosen, total=len(chosen), description=self.type):
            yield ShortcutReadout(setup, checkpoint, inputs, self, recorder)

    def held_out(self) -> list[str]:
        """Return the splits that edits are evaluated on."""
        return ["id_val", "val", "ood"]

    def head(self, readout: ShortcutReadout) -> dict[str, Any]:
        """Return the columns that every row of a checkpoint starts with."""
        return {
            "epoch": readout.checkpoint.epoch,
            "selected_on_ood": readout.checkpoint.on_reported_split,
        }
