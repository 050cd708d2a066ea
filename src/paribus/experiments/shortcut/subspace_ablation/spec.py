"""A2: what the network does without the domain's subspace, and how much of the domain is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from paribus.experiments.base import NECESSITY
from paribus.experiments.requires import Requires
from paribus.experiments.shortcut._endpoints import ABLATION
from paribus.experiments.shortcut._spec import SPLITS, ShortcutExperiment
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.endpoint import Endpoint
from paribus.spec import field

METHODS = ("probe", "mean_difference", "between_domain_pc", "inlp", "lda", "leace", "splince", "random")


@dataclass(frozen=True)
class SubspaceAblation(ShortcutExperiment):
    """Edit the domain's subspace out of the features at a site and run the rest of the network.

    Bases are fitted on training features; everything reported is held out. Every row has beside it random subspaces
    of the same rank, isotropic and with the features' covariance.

    Example:
        >>> SubspaceAblation(methods=["leace"], splits=["ood"]).held_out()
        ['ood']
    """

    type: ClassVar[str] = "subspace_ablation"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Removes the domain's subspace from features: accuracy, leakage, distortion, nulls."
    declares: ClassVar[tuple[Endpoint, ...]] = ABLATION
    bears_on: ClassVar[tuple[str, ...]] = (NECESSITY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects(
            "ablation",
            "{method}",
            "change of {headline_split} accuracy at {site}",
            "delta",
            rows={"split": "{headline_split}"},
            null="random subspaces of the same rank",
        ),
        Sentence(
            "With {method} removed (rank {rank}) accuracy on {split} goes from {head_acc_raw:share} to "
            "{head_acc_ablated:share}, the AUROC from {auroc_raw:.3f} to {auroc_ablated:.3f} (ablation).",
            table="ablation",
            rows={"split": "{headline_split}", "method": "{headline_method}"},
        ),
        Sentence(
            "A fresh probe still reads the domain with balanced accuracy {domain_probe_refit_ablated:share} after "
            "{method}, {domain_probe_refit_raw:share} before; the label with {label_probe_refit_ablated:share} and "
            "{label_probe_refit_raw:share} (id_val).",
            table="ablation",
            rows={"split": "id_val", "method": "{headline_method}"},
        ),
        Sentence(
            "Of the effect of the true domain swap {swap_remaining:share} is left after {method}.",
            table="ablation",
            rows={"split": "{headline_split}", "method": "{headline_method}"},
        ),
    )
    requires: ClassVar[Requires] = replace(ShortcutExperiment.requires, chosen=("splits", "swap_split"))

    methods: list[str] = field(
        ["mean_difference", "probe", "between_domain_pc", "inlp", "leace", "splince", "random"],
        once=1,
        choices=METHODS,
        help="Erasers; the first one is the headline. The probe's rows leave most of the domain's effect.",
    )
    splits: list[str] = field(["id_val", "val", "ood"], once=1, choices=SPLITS, help="Where the edit is evaluated.")
    rank: int | None = field(None, low=1, help="Most directions a projection removes; null for each method's own.")
    refit_probes: bool = field(
        True, help="Also fit probes again on the edited features (one half) and score the other."
    )
    swap_split: str = field("id_val", choices=SPLITS, help="Contents whose domain swap is measured before and after.")

    def held_out(self) -> list[str]:
        """Return the splits that edits are evaluated on."""
        return self.splits
