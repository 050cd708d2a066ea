"""A look at every latent of an autoencoder, which chooses those that the rest of a study works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.experiments.builds.feature_survey.spec import FeatureSurvey

__all__ = ["FeatureSurvey"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
