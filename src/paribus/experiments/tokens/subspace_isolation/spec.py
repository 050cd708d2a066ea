"""The variables of the isolation of circles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paribus.experiments.base import NECESSITY, SUFFICIENCY
from paribus.experiments.tokens._circles import Circles
from paribus.experiments.tokens._endpoints import ISOLATION
from paribus.experiments.told import Sentence, Told
from paribus.results.endpoint import Endpoint
from paribus.results.evidence import Evidence
from paribus.spec import field

OPS = ("keep", "remove")


@dataclass(frozen=True, kw_only=True)
class SubspaceIsolation(Circles):
    """Keep only one circle of the embedding, or remove it, and run the rest of the network.

    The null is ``stats.n_null`` random planes of two kinds: isotropic, and drawn with the embedding's covariance. They
    answer different questions: removing an isotropic plane removes almost nothing.

    Example:
        >>> SubspaceIsolation(ops=["keep"]).together
        True
    """

    type: ClassVar[str] = "subspace_isolation"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Keeps or removes each circle of the embedding, beside random planes of two kinds."
    takes_dtype: ClassVar[bool] = True
    declares: ClassVar[tuple[Endpoint, ...]] = ISOLATION
    bears_on: ClassVar[tuple[str, ...]] = (
        NECESSITY,
        SUFFICIENCY,
    )
    tells: ClassVar[tuple[Told, ...]] = (
        Sentence(
            "With only one of the {n_circles:.0f} circles kept accuracy is {kept_accuracy:share} on average, "
            "with one removed {removed_accuracy:share}."
        ),
        Sentence("With all circles and nothing else it is {all_kept_accuracy:share}."),
        Sentence(
            "Among planes with the embedding's covariance the kept margin is at percentile "
            "{kept_percentile:.0f}, that with a circle removed at {removed_percentile:.0f}."
        ),
        Sentence(
            "All pairs there are were looked at, so there is no p: other training runs tell how far this repeats."
        ),
    )

    ops: list[str] = field(["keep", "remove"], once=1, choices=OPS, help="Keep only the subspace, remove it, or both.")
    together: bool = field(True, help="Also keep and remove all circles together, beside subspaces of their rank.")
