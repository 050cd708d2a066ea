"""The variables of prefix matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.experiments.base import Experiment
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.evidence import Evidence
from paribus.spec import field


@dataclass(frozen=True)
class PrefixMatching(Experiment):
    """How much each head attends from a repeated token to the one after its first occurrence.

    The control is the attention between the same positions in sequences without the repeat; each head's attention to
    the preceding token, which induction heads build on, is reported too. A score is not an effect: in language models,
    heads of high score may have no effect, or an effect of the other sign (see ``head_ablation``).

    Example:
        >>> PrefixMatching().split
        'auto'
    """

    type: ClassVar[str] = "prefix_matching"
    evidence: ClassVar[Evidence] = Evidence.OBSERVATIONAL
    subject: ClassVar[str] = "tokens"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Which heads attend to what followed a repeated token before; beside no repeat."
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "Loss of {loss_repeat} nats on the repeat, {loss_first} on the same tokens where they stand first (loss).",
            table="loss",
        ),
        Effects("heads", "{level}", "attention to what followed before, beyond sequences without a repeat", "delta"),
        Sentence("The highest scores: {highest:list}. A high score is no effect: take the heads away (head_ablation)."),
        Sentence(
            "From the same tokens to the one before each, most attention is that of {highest_previous:list} (heads)."
        ),
    )
    takes_dtype: ClassVar[bool] = True

    split: str = field("auto", help="Which sequences are reported; auto: test where there is one, else all.")

    def validate(self, setup: Any) -> None:
        """Look up split, repeats and layers."""
        self.work_module().validate(self, setup)
