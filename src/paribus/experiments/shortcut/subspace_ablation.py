"""A2 (M4): what the network does without the domain's subspace, and how much of the domain is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import Recorder
from paribus.experiments.fitting import fitted
from paribus.experiments.requires import Requires
from paribus.experiments.shortcut._shortcut_experiment import SPLITS, ShortcutExperiment
from paribus.results.endpoint import CHANGE, SHARE, Companion, Endpoint
from paribus.results.schema import Aggregates
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.setup_images import ImageSetup

ENDPOINTS = (
    Endpoint(
        name="raw_ood_accuracy",
        label="OOD accuracy, unedited",
        table="ablation",
        value="head_acc_raw",
        low="head_acc_raw_ci_low",
        high="head_acc_raw_ci_high",
        unit="accuracy",
        zero=False,
        bounds=SHARE,
        rows={"split": "ood"},
        choices=("method",),
    ),
    Endpoint(
        name="ablation_delta_ood",
        label="change of OOD accuracy by ablation",
        table="ablation",
        value="delta",
        low="ci_low",
        high="ci_high",
        unit="change of accuracy",
        zero=True,
        bounds=CHANGE,
        rows={"split": "ood"},
        choices=("method",),
        ranking=Companion("auroc_delta", "auroc_ci_low", "auroc_ci_high"),
    ),
)
"""What comparisons over runs read from the table ``ablation``."""
METHODS = ("probe", "mean_difference", "between_domain_pc", "inlp", "lda", "leace", "splince", "random")


@dataclass(frozen=True)
class SubspaceAblation(ShortcutExperiment):
    """Edit the domain's subspace out of the features at a site and run the rest of the network.

    Bases are fitted on training features; everything reported is held out. Every row stands beside random subspaces
    of the same rank, isotropic and with the features' covariance.
    """

    type: ClassVar[str] = "subspace_ablation"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Removes the domain's subspace from features (M4): accuracy, leakage, distortion, nulls."
    declares: ClassVar[tuple[Endpoint, ...]] = ENDPOINTS
    requires: ClassVar[Requires] = replace(ShortcutExperiment.requires, chosen=("splits", "swap_split"))

    methods: list[str] = field(
        ["mean_difference", "probe", "between_domain_pc", "inlp", "leace", "splince", "random"],
        choices=METHODS,
        help="Erasers; the first one is the headline. The probe's rows leave most of the domain's effect.",
    )
    splits: list[str] = field(["id_val", "val", "ood"], choices=SPLITS, help="Where the edit is evaluated.")
    rank: int | None = field(None, low=1, help="Most directions a projection removes; null for each method's own.")
    refit_probes: bool = field(
        True, help="Also fit probes again on the edited features (one half) and score the other."
    )
    swap_split: str = field("id_val", choices=SPLITS, help="Contents whose domain swap is measured before and after.")

    def check(self) -> None:
        """Refuse empty and repeated lists."""
        for name in ("methods", "splits"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"SubspaceAblation.{name}: must name at least one, each once, got {values}")

    def held_out(self) -> list[str]:
        """Return the splits that edits are evaluated on."""
        return self.splits

    def run(self, setup: ImageSetup, recorder: Recorder) -> Aggregates:
        """Run on every chosen checkpoint; hand over the table ``ablation`` and its figures.

        Raises:
            ConfigError: If site, class or checkpoint do not exist.
            DataError: If the training split has fewer than two domains, or nothing is held out.
        """
        from paribus.experiments.shortcut._ablation_report import report
        from paribus.experiments.shortcut._ablation_rows import AblationRows
        from paribus.experiments.shortcut._domain_swap import render

        experiment = fitted(self, setup.data.offers, recorder)
        swap = render(setup.data, setup.data.rows(experiment.swap_split))
        rows = AblationRows(experiment, setup, recorder, swap if swap is not None and swap.is_signed else None)
        for readout in experiment.readouts(setup, recorder):
            rows.measure(readout)
        recorder.diagnose(n_contexts_tested=int(sum(len(setup.data.rows(split)) for split in experiment.splits)))
        return report(experiment, setup, recorder, rows)
