"""Attention heads of all layers ablated one by one, and the first K together, on any transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.any.generic import Paired, endpoint
from paribus.experiments.base import NECESSITY
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.battery import Battery
from paribus.results.endpoint import Endpoint
from paribus.spec import field

ABLATIONS = ("zero", "mean", "resample", "pattern")


@dataclass(frozen=True, kw_only=True)
class HeadAblation(Paired):
    """Ablate attention heads: each alone, and the first K of a ranking against random ones of the same layers.

    The ranking, by the size of the effect, is made on contexts whose clusters are not reported. A set of the null has
    as many heads in each layer and none of the set's own; an unmatched set would hit a critical head by chance.

    Example:
        >>> HeadAblation(ablations=["zero"]).ks
        [1, 2, 4, 8]
    """

    type: ClassVar[str] = "head_ablation"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Heads of all layers ablated alone and the first K together, against matched sets."
    ranks: ClassVar[bool] = True
    declares: ClassVar[tuple[Endpoint, ...]] = endpoint(
        "head_ablation", "heads", "effect of taking a head away", ("level", "ablation")
    )
    battery: ClassVar[Battery | None] = Battery(
        "heads", ("level", "ablation"), under=("experiment.place",), own={"experiment.ablations": ()}
    )
    bears_on: ClassVar[tuple[str, ...]] = (NECESSITY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects("heads", "{level} ({ablation})", "change of {readout} without the head"),
        Effects("k_sweep", "{level} ({ablation})", "change of {readout} without the first K heads", null="{null}"),
        Sentence(
            "Over {n} heads, where they look (prefix matching) and the size of what they do have a rank correlation of "
            "{rank_correlation:signed} (score_and_effect).",
            table="score_and_effect",
        ),
    )
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "stats")
    may_lack: ClassVar[tuple[str, ...]] = ()

    ablations: list[str] = field(
        ["mean"],
        once=1,
        choices=ABLATIONS,
        help="What heads that are taken away are set to; pattern: their attention, to its mean.",
    )
    ks: list[int] = field([1, 2, 4, 8], once=0, low=1, help="How many of the first are taken away together.")

    unmatched: bool = field(
        False, unstated=False, help="Whether random sets of heads of any layer stand beside those matched by layer."
    )
