"""A6: the same content in every domain's style, and what the style alone does to the prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.base import SUFFICIENCY
from paribus.experiments.requires import Requires
from paribus.experiments.shortcut._endpoints import SWAP
from paribus.experiments.shortcut._spec import SPLITS, OnClassifier
from paribus.experiments.told import Effects, Sentence, Told
from paribus.results.endpoint import Endpoint
from paribus.spec import field


@dataclass(frozen=True)
class DomainSwap(OnClassifier):
    """Show each held-out content, jitter unchanged, in the style of every domain and run the network.

    Example:
        >>> DomainSwap(splits=["ood"]).requires.rendering
        True
    """

    type: ClassVar[str] = "domain_swap"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Shows the same content in every domain's style: the true effect of the shortcut."
    declares: ClassVar[tuple[Endpoint, ...]] = SWAP
    bears_on: ClassVar[tuple[str, ...]] = (SUFFICIENCY,)
    tells: ClassVar[tuple[Told, ...]] = (
        Effects(
            "signed_swap",
            "contents of {split}",
            "margin shift (logit) towards the class a style is paired with",
            "delta",
        ),
        Sentence(
            "In sd of the margin that is {signed_swap_effect_in_sd:signed} [{signed_swap_effect_in_sd_ci_low:signed}, "
            "{signed_swap_effect_in_sd_ci_high:signed}], all contents together."
        ),
        Sentence(
            "Between the styles accuracy on the same contents differs by up to {accuracy_range_over_styles:.2f}; "
            "between those of the training domains the mean margin differs by {margin_range_over_styles:.3g} logit."
        ),
    )
    requires: ClassVar[Requires] = Requires(labels=True, rendering=True, chosen=("splits",), classes=("positive",))

    splits: list[str] = field(["id_val", "val", "ood"], once=1, choices=SPLITS, help="Splits whose contents are shown.")
    positive: int | None = field(None, low=0, help="Class that the margin leans to; null for the last one.")
