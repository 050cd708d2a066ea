"""Current locations of classes that kept runs name by a former module.

When a class is moved or renamed, a line is added to ``MOVED`` here, so that every kept run still finds it. The tests
hold the list of all places that runs may name.
"""

from __future__ import annotations

from collections.abc import Mapping

_ROOMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("paribus.experiments", "paribus.experiments.shortcut"): (
        "activation_steering.ActivationSteering",
        "domain_swap.DomainSwap",
        "neuron_ablation.NeuronAblation",
        "probe_trajectory.ProbeTrajectory",
        "subspace_ablation.SubspaceAblation",
    ),
    ("paribus.experiments", "paribus.experiments.builds"): (
        "binary_presence_effect.BinaryPresenceEffect",
        "conditional_interactions.ConditionalInteractions",
        "core_coverage_analysis.CoreCoverageAnalysis",
        "decoder_output_analysis.DecoderOutputAnalysis",
        "family_1d_sweep.Family1dSweep",
        "family_2d_heatmap.Family2dHeatmap",
        "feature_report.FeatureReport",
        "frequent_itemsets.FrequentItemsets",
        "kit_sweep.KitSweep",
        "minimal_cores.MinimalCores",
        "pairwise_interactions.PairwiseInteractions",
        "token_influence_sweep.TokenInfluenceSweep",
        "train_set_completion.TrainSetCompletion",
        "weapon_group_analysis.WeaponGroupAnalysis",
        "weapon_sweep.WeaponSweep",
        "within_family_interference.WithinFamilyInterference",
    ),
    ("paribus.experiments", "paribus.experiments.validation"): (
        "shuffle_null.ShuffleNull",
        "split_half.SplitHalf",
    ),
    ("paribus.experiments", "paribus.experiments.training"): ("train_classifier.TrainClassifier",),
    ("paribus.models", "paribus.subjects.builds.models"): (
        "planted.Planted",
        "set_completion.SetCompletion",
        "set_completion.SetCompletionSmall",
        "splatgpt.SplatGPT",
    ),
}
"""Classes that moved with their file: from, to, and the names inside."""
MOVED: Mapping[str, str] = {
    **{f"{old}.{name}": f"{new}.{name}" for (old, new), names in _ROOMS.items() for name in names},
    "paribus.experiments.builds.train_sae.TrainSAE": "paribus.experiments.train_sae.TrainSAE",
    "paribus.experiments.builds.feature_survey.FeatureSurvey": "paribus.experiments.feature_survey.FeatureSurvey",
    "paribus.features.planted.PlantedFeature": "paribus.subjects.builds.planted_feature.PlantedFeature",
}
"""Current location by former location, for everything that moved."""


def today(target: str) -> str:
    """Return the current location of a stored target; one that did not move stays as it is.

    Example:
        >>> today("paribus.experiments.train_sae.TrainSAE")
        'paribus.experiments.train_sae.TrainSAE'
        >>> today("paribus.models.planted.Planted")
        'paribus.subjects.builds.models.planted.Planted'
    """
    return MOVED.get(target, target)
