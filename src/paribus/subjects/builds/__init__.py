"""Sets of gear abilities and a weapon: vocabulary, legality, edits, corpora."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.subjects.builds.constraints import ConstraintsSpec
    from paribus.subjects.builds.factors import Families, Family, Weapon
    from paribus.subjects.builds.generated import BuildsGenerated
    from paribus.subjects.builds.planted_feature import PlantedFeature
    from paribus.subjects.builds.slices import SliceSpec
    from paribus.subjects.builds.statink import BuildsStatink
    from paribus.subjects.builds.subject import BuildSubject
    from paribus.subjects.builds.tokenized import BuildsTokenized
    from paribus.subjects.builds.vocabulary import Vocabulary

__all__ = [
    "BuildSubject",
    "BuildsGenerated",
    "BuildsStatink",
    "BuildsTokenized",
    "ConstraintsSpec",
    "Families",
    "Family",
    "PlantedFeature",
    "SliceSpec",
    "Vocabulary",
    "Weapon",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
