"""Current locations of classes that kept runs name by a former module.

Every ``_target_`` that Paribus ever wrote into a run is in one table. When a class is moved or renamed, a line is added
to ``MOVED`` here, so that every kept run still finds it.
"""

from __future__ import annotations

from collections.abc import Mapping

_ROOMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "paribus.experiments",
        "paribus.experiments.shortcut",
        (
            "activation_steering.ActivationSteering",
            "domain_swap.DomainSwap",
            "neuron_ablation.NeuronAblation",
            "probe_trajectory.ProbeTrajectory",
            "subspace_ablation.SubspaceAblation",
        ),
    ),
    (
        "paribus.experiments",
        "paribus.experiments.builds",
        (
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
    ),
    (
        "paribus.experiments",
        "paribus.experiments.validation",
        (
            "shuffle_null.ShuffleNull",
            "split_half.SplitHalf",
        ),
    ),
    (
        "paribus.experiments",
        "paribus.experiments.training",
        ("train_classifier.TrainClassifier",),
    ),
    (
        "paribus.models",
        "paribus.subjects.builds.models",
        (
            "planted.Planted",
            "set_completion.SetCompletion",
            "set_completion.SetCompletionSmall",
            "splatgpt.SplatGPT",
        ),
    ),
)
"""Classes that moved with their file: from, to, and the names inside."""
MOVED: Mapping[str, str] = {
    **{f"{old}.{name}": f"{new}.{name}" for old, new, names in _ROOMS for name in names},
    "paribus.experiments.builds.train_sae.TrainSAE": "paribus.experiments.train_sae.TrainSAE",
    "paribus.experiments.builds.feature_survey.FeatureSurvey": "paribus.experiments.feature_survey.FeatureSurvey",
    "paribus.features.planted.PlantedFeature": "paribus.subjects.builds.planted_feature.PlantedFeature",
}
"""Current location by former location, for everything that moved."""

STORED = (
    "paribus.compare.compare.Compare",
    "paribus.compare.compare_features.CompareFeatures",
    "paribus.compare.compare_modular_addition.CompareModularAddition",
    "paribus.compare.compare_interventions.CompareInterventions",
    "paribus.engine.device.DeviceSpec",
    "paribus.experiments.activation_steering.ActivationSteering",
    "paribus.experiments.any.ablate.Ablate",
    "paribus.experiments.any.activation_patching.ActivationPatching",
    "paribus.experiments.any.cores.Cores",
    "paribus.experiments.any.grid.Grid",
    "paribus.experiments.any.head_ablation.HeadAblation",
    "paribus.experiments.any.interact.Interact",
    "paribus.experiments.any.latent_intervention.LatentIntervention",
    "paribus.experiments.any.match_features.MatchFeatures",
    "paribus.experiments.any.patch.Patch",
    "paribus.experiments.any.probe.Probe",
    "paribus.experiments.any.scan_features.ScanFeatures",
    "paribus.experiments.any.swap.Swap",
    "paribus.experiments.any.sweep.Sweep",
    "paribus.experiments.binary_presence_effect.BinaryPresenceEffect",
    "paribus.experiments.conditional_interactions.ConditionalInteractions",
    "paribus.experiments.core_coverage_analysis.CoreCoverageAnalysis",
    "paribus.experiments.decoder_output_analysis.DecoderOutputAnalysis",
    "paribus.experiments.domain_swap.DomainSwap",
    "paribus.experiments.family_1d_sweep.Family1dSweep",
    "paribus.experiments.family_2d_heatmap.Family2dHeatmap",
    "paribus.experiments.feature_report.FeatureReport",
    "paribus.experiments.feature_survey.FeatureSurvey",
    "paribus.experiments.frequent_itemsets.FrequentItemsets",
    "paribus.experiments.kit_sweep.KitSweep",
    "paribus.experiments.minimal_cores.MinimalCores",
    "paribus.experiments.neuron_ablation.NeuronAblation",
    "paribus.experiments.pairwise_interactions.PairwiseInteractions",
    "paribus.experiments.probe_trajectory.ProbeTrajectory",
    "paribus.experiments.shuffle_null.ShuffleNull",
    "paribus.experiments.split_half.SplitHalf",
    "paribus.experiments.subspace_ablation.SubspaceAblation",
    "paribus.experiments.token_influence_sweep.TokenInfluenceSweep",
    "paribus.experiments.train_classifier.TrainClassifier",
    "paribus.experiments.train_sae.TrainSAE",
    "paribus.experiments.train_set_completion.TrainSetCompletion",
    "paribus.experiments.weapon_group_analysis.WeaponGroupAnalysis",
    "paribus.experiments.weapon_sweep.WeaponSweep",
    "paribus.experiments.within_family_interference.WithinFamilyInterference",
    "paribus.experiments.builds.train_set_completion.spec.TrainSetCompletion",
    "paribus.experiments.tokens.circuit_metrics.spec.CircuitMetrics",
    "paribus.experiments.tokens.prefix_matching.spec.PrefixMatching",
    "paribus.experiments.tokens.subspace_isolation.spec.SubspaceIsolation",
    "paribus.experiments.tokens.train_modular_addition.spec.TrainModularAddition",
    "paribus.experiments.training.train_classifier.spec.TrainClassifier",
    "paribus.factors.spec.Directions",
    "paribus.factors.spec.Erase",
    "paribus.factors.spec.Heads",
    "paribus.factors.spec.Latent",
    "paribus.factors.spec.Patch",
    "paribus.factors.spec.PatchAlong",
    "paribus.factors.spec.Units",
    "paribus.features.direction.Direction",
    "paribus.features.latent.Latent",
    "paribus.features.logit.Logit",
    "paribus.features.margin.Margin",
    "paribus.features.planted.PlantedFeature",
    "paribus.features.unit.Unit",
    "paribus.models.handed.HandedModel",
    "paribus.models.mlp.MLP",
    "paribus.models.modular_transformer.ModularTransformerSpec",
    "paribus.models.planted.Planted",
    "paribus.models.resnet18.ResNet18",
    "paribus.models.sae.SAE",
    "paribus.models.set_completion.SetCompletion",
    "paribus.models.set_completion.SetCompletionSmall",
    "paribus.models.small_cnn.SmallCNN",
    "paribus.models.splatgpt.SplatGPT",
    "paribus.models.text_classifier.TextClassifier",
    "paribus.models.tracked.Tracked",
    "paribus.running.sequence.Sequence",
    "paribus.stats.spec.StatsSpec",
    "paribus.subjects.as_trained.AsTrained",
    "paribus.subjects.builds.constraints.ConstraintsSpec",
    "paribus.subjects.builds.factors.Families",
    "paribus.subjects.builds.factors.Family",
    "paribus.subjects.builds.factors.Weapon",
    "paribus.subjects.builds.generated.BuildsGenerated",
    "paribus.subjects.builds.slices.SliceSpec",
    "paribus.subjects.builds.statink.BuildsStatink",
    "paribus.subjects.builds.tokenized.BuildsTokenized",
    "paribus.subjects.handed.HandedContexts",
    "paribus.subjects.images.arrays.Arrays",
    "paribus.subjects.images.camelyon17.Camelyon17",
    "paribus.subjects.images.digits_scanners.DigitsScanners",
    "paribus.subjects.images.factors.Patches",
    "paribus.subjects.images.factors.Style",
    "paribus.subjects.images.image_folder.ImageFolder",
    "paribus.subjects.tables.factors.Column",
    "paribus.subjects.tables.factors.Columns",
    "paribus.subjects.tables.factors.Donor",
    "paribus.subjects.tables.factors.Permute",
    "paribus.subjects.tables.table.Table",
    "paribus.subjects.tokens.factors.TokenAt",
    "paribus.models.hf.HF",
    "paribus.subjects.tokens.prompt_pairs.PromptPairs",
    "paribus.subjects.tokens.repeated.RepeatedTokens",
    "paribus.subjects.tokens.text_table.TextTable",
    "paribus.subjects.tokens.token_file.TokenFile",
    "paribus.subjects.tokens.modular_addition.ModularAddition",
    "paribus.tracking.spec.TrackingSpec",
    "paribus.training.spec.TrainingSpec",
)
"""Every location that runs may contain, as first written."""

PLACES: Mapping[str, str] = {stored: MOVED.get(stored, stored) for stored in (*STORED, *MOVED)}
"""The table: current location by the location in a run."""


def today(target: str) -> str:
    """Return the current location of a stored target; a name that is not in the table stays as it is.

    Example:
        >>> today("paribus.experiments.train_sae.TrainSAE")
        'paribus.experiments.train_sae.TrainSAE'
        >>> today("paribus.models.planted.Planted")
        'paribus.subjects.builds.models.planted.Planted'
    """
    return PLACES.get(target, target)
