"""A4: what the network does without the units that carry the domain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from paribus.experiments.base import NECESSITY
from paribus.experiments.requires import Requires
from paribus.experiments.shortcut._spec import SPLITS, ShortcutExperiment
from paribus.experiments.told import Effects, Sentence, Told
from paribus.spec import field

RANKINGS = ("shortcut", "label", "random")
ABLATIONS = ("zero", "mean", "resample")


@dataclass(frozen=True)
class NeuronAblation(ShortcutExperiment):
    """Ablate the K units that carry most of the domain, and beside them those of the label and random ones.

    Zeroing non-negative units shifts the margin; setting them to their training mean or another row's value does not.

    Example:
        >>> NeuronAblation(ks=[4, 64]).levels(width=16)
        [0, 4]
    """

    type: ClassVar[str] = "neuron_ablation"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Ablates the top K units of the domain, the label and at random; matched nulls."
    bears_on: ClassVar[tuple[str, ...]] = (NECESSITY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects(
            "k_sweep",
            "{k} units",
            "change of {headline_split} accuracy without the top units by {headline_ranking}, set to "
            "{headline_ablation}",
            "delta",
            rows={
                "split": "{headline_split}",
                "ranking": "{headline_ranking}",
                "ablation": "{headline_ablation}",
            },
            null="random sets as large",
        ),
        Sentence(
            "A fresh probe loses half of what it reads of the domain above chance when the first {first_k} "
            "units are gone."
        ),
    )
    requires: ClassVar[Requires] = replace(ShortcutExperiment.requires, chosen=("splits", "null_splits"))

    ks: list[int] = field(
        [0, 4, 8, 16, 32, 64, 128, 256], once=1, low=0, help="How many units; those beyond the width are left out."
    )
    rankings: list[str] = field(
        ["shortcut", "label", "random"],
        once=1,
        choices=RANKINGS,
        help="Orders of the units; the first one is the headline.",
    )
    ablations: list[str] = field(
        ["zero", "mean"], once=1, choices=ABLATIONS, help="What units are set to; the first one is the headline."
    )
    splits: list[str] = field(["id_val", "val", "ood"], once=1, choices=SPLITS, help="Where the ablation is evaluated.")
    null_splits: list[str] = field(
        ["ood"], choices=SPLITS, help="Splits on which random sets of units are evaluated too."
    )

    def levels(self, width: int) -> list[int]:
        """Return the Ks in ascending order up to ``width``, 0 among them."""
        return sorted({k for k in self.ks if k <= width} | {0})

    def held_out(self) -> list[str]:
        """Return the splits that edits are evaluated on."""
        return self.splits
