"""The variables that say which planes of an embedding are called circles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.experiments.base import Experiment
from paribus.spec import field


@dataclass(frozen=True, kw_only=True)
class Circles(Experiment):
    """Base of the experiments on the circles of an embedding."""

    subject: ClassVar[str] = "tokens"

    embedding: str = field("auto", help="The module that embeds the numbers; auto: the only embedding of that size.")
    circles: str = field(
        "frequencies",
        choices=("frequencies", "components"),
        help="What a circle is: the plane of a frequency, or two principal components of one frequency, as in the "
        "published numbers; where circles are of like size, components mix them.",
    )
    least_times: float = field(
        2.0, above=0.0, help="With frequencies: how many times the even share of the variance a circle holds."
    )
    least_power: float = field(
        0.9,
        above=0.0,
        high=1.0,
        help="With components: share of its power in one frequency that makes one part of a circle.",
    )

    def validate(self, setup: Any) -> None:
        """Look up the pairs and the embedding."""
        self.work_module().embedding_of(setup, self.embedding)
