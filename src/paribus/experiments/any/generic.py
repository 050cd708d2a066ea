"""What the experiments on any network share: place, readout, and which contexts are reported or fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import Experiment, Recorder
from paribus.experiments.effect_vector import EffectVector, Promised, WithEffectVector
from paribus.measure.binding import FactorSpec
from paribus.results.endpoint import Endpoint
from paribus.results.evidence import Evidence
from paribus.spec import field

READOUTS = (
    "auto", "correct", "margin", "label_margin", "loss", "logit_difference", "output", "kl", "feature",
)  # fmt: skip
AUTO = "auto"
ALL = "all"
OWN_PARTS = {
    "experiment.factor.ids": (),
    "experiment.factor.id": (),
    "experiment.factor.method": ("pc", "random", "given"),
}
"""Params of factors that edit what only this network has: its units, heads and latents by number, directions that say
nothing of labels or domains (see :class:`~paribus.results.battery.Battery`)."""
VARIED = ("factor", "experiment.factor.ablation")
"""What tells the edits of two factors apart: how a factor is called (an aggregate), and what units are set to."""


@dataclass(frozen=True, kw_only=True)
class Generic(Experiment):
    """Base of the experiments on any network.

    Class attributes:
        varied: Its fields that are factors or units.
        refused: Readouts that it cannot take, each with the reason.
        ranks: Whether something is ranked or fitted whatever the factors.
    """

    subject: ClassVar[str] = "any"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "feature", "slice", "constraints", "stats")
    may_lack: ClassVar[tuple[str, ...]] = ("feature",)
    takes_dtype: ClassVar[bool] = True
    varied: ClassVar[tuple[str, ...]] = ()
    refused: ClassVar[Mapping[str, str]] = MappingProxyType({})
    ranks: ClassVar[bool] = False

    place: str = field(
        "auto",
        help="Where activations are edited: a module, its input or output, some of its channels, heads or positions, "
        "as in blocks.2, fc.input, blocks.2|head:6|pos:-1; auto: the input of the last linear layer.",
    )
    readout: str = field(
        "auto",
        choices=READOUTS,
        help="What is read: of the output (correct, loss, label_margin of the own label; margin, logit_difference or "
        "output of named outputs; kl from the unedited), or the feature chosen in the feature group. auto: the feature "
        "where one is chosen, else label_margin (margin of the last class for a factor that moves toward one, as "
        "directions do), output or kl, whatever the network and the labels allow.",
    )
    outputs: list[str] = field(
        [], help="Outputs that the readout is about, by name or number: one for margin and output, two for differences."
    )
    split: str = field("auto", help="Which contexts are reported; auto: the last of all, val, id_val, ood, test there.")
    fit_split: str = field(
        "auto",
        help="Which contexts factors are fitted on, without clusters of those reported; auto: train where there is "
        "one, else half of the clusters of split, and the other half is reported.",
    )
    n_contexts: int = field(1000, low=0, help="The most contexts that are reported, drawn at random; 0: all.")

    def factors(self) -> dict[str, FactorSpec]:
        """Return its factors by field."""
        return {name: getattr(self, name) for name in self.varied}

    @property
    def fits(self) -> bool:
        """Whether anything is fitted, ranked or chosen, which is done on contexts that are not reported."""
        return self.ranks or any(spec.fitted for spec in self.factors().values())

    def refuse_readout(self, kind: str) -> None:
        """Refuse what it cannot take, named by the user or found to be what ``auto`` is here.

        Raises:
            ConfigError: If it is such a readout.
        """
        if kind in self.refused:
            raise ConfigError(f"experiment.readout: {self.refused[kind]}")

    def validate(self, setup: Any) -> None:
        """Look up split, place, readout, and everything that the factors name."""
        self.work_module().validate(self, setup)

    def check(self) -> None:
        """Refuse factors that are none, and a readout that it cannot take."""
        self.refuse_readout(self.readout)
        for name, spec in self.factors().items():
            if not isinstance(spec, FactorSpec):
                raise ConfigError(
                    f"{type(self).__name__}.{name}: {type(spec).__name__} is no factor; choose one with "
                    f"factor@experiment.{name}=NAME"
                )


@dataclass(frozen=True, kw_only=True)
class Paired(Generic, WithEffectVector):
    """Base of those whose rows are paired differences: halves of the clusters can be compared, and signs flipped."""

    def measured_vector(self, setup: Any, recorder: Recorder) -> EffectVector:
        """Return the rows of its table as a vector, measured once on the one network that is chosen."""
        found: EffectVector = self.work_module().effect_vector(self, setup, recorder)
        return found

    def promised_vector(self, setup: Any) -> Promised:
        """Return how many rows and clusters there can be.

        Raises:
            ConfigError: If several networks are chosen, or a row cannot be told from the others.
        """
        if setup.checkpoint == ALL:
            raise ConfigError(
                f"checkpoint={ALL}: a vector of effects is of one network; say checkpoint=final, peak_val or epoch:N"
            )
        found: Promised = self.work_module().promised(self, setup)
        return found


def endpoint(
    name: str, table: str = "effects", label: str = "", choices: tuple[str, ...] = ("level",)
) -> tuple[Endpoint, ...]:
    """Return the endpoint of a type: the effect of one row of its canonical table, chosen by its level (and others).

    Example:
        >>> endpoint("ablate")[0].name, endpoint("ablate")[0].choices
        ('ablate_level_effect', ('level',))
    """
    return (
        Endpoint(
            name=f"{name}_level_effect",
            label=label or f"effect of a row of {name}",
            table=table,
            value="mean_delta",
            low="ci_low",
            high="ci_high",
            unit="readout",
            zero=True,
            choices=choices,
        ),
    )
