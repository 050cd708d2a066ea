"""A1: what linear probes read of domain and label, layer by layer, over training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.requires import Requires
from paribus.experiments.shortcut._endpoints import PROBES
from paribus.experiments.shortcut._spec import OnClassifier
from paribus.experiments.told import Sentence, Told
from paribus.results.endpoint import Endpoint
from paribus.results.evidence import Evidence
from paribus.spec import field

TARGETS = ("domain", "label")


@dataclass(frozen=True)
class ProbeTrajectory(OnClassifier):
    """Fit linear probes of domain and label on the features of each layer of each checkpoint.

    Example:
        >>> ProbeTrajectory(layers=["avgpool"]).requires.domains_in
        ('train', 'id_val')
    """

    type: ClassVar[str] = "probe_trajectory"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "Reads domain and label with linear probes, layer by layer, over training."
    declares: ClassVar[tuple[Endpoint, ...]] = PROBES
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "At {headline_layer}, a linear probe reads the {target} of held-out rows with balanced accuracy "
            "{balanced_accuracy:share} [{ci_low:share}, {ci_high:share}]; chance is {chance:share}, permuted labels "
            "reach {control_accuracy:share} (probes).",
            table="probes",
            rows={"target": "domain", "layer": "{headline_layer}"},
        ),
        Sentence(
            "There it reads the {target} with {balanced_accuracy:share} [{ci_low:share}, {ci_high:share}]; chance is "
            "{chance:share}, permuted labels reach {control_accuracy:share}.",
            table="probes",
            rows={"target": "label", "layer": "{headline_layer}"},
        ),
        Sentence("The domain is first read above chance at epoch {domain_first_read_epoch}."),
        Sentence("The label is first read above chance at epoch {label_first_read_epoch}."),
        Sentence("What a probe reads need not be used by the network: that takes an intervention."),
    )
    requires: ClassVar[Requires] = Requires(labels=True, domains_in=("train", "id_val"))

    layers: list[str] = field([], help="Modules to probe, e.g. [layer1,avgpool]; empty for the model's stages.")
    fit_balance: bool = field(True, help="Fit and score with inverse domain x class weights.")
    n_controls: int = field(3, low=1, help="Probes on permuted targets that the control is averaged over.")
