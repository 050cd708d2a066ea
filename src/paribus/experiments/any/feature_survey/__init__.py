"""The work of ``feature_survey`` on any network; its fields are in ``paribus.experiments.feature_survey``."""
