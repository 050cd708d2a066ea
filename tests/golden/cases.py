"""What is measured for the golden tables: every experiment type on fixed weights, through the public request."""

from __future__ import annotations

from pathlib import Path

import comparisons

WEIGHTS = Path(__file__).parent / "weights"
SET_MODEL = [
    "model=set_completion_small",
    *("model.embedding=12", "model.hidden=24", "model.n_inducing=2"),
    f"model.weights={WEIGHTS / 'set_model.safetensors'}",
    f"model.sae={{_target_:paribus.models.sae.SAE,path:{WEIGHTS / 'sae.safetensors'},n_features:256,clamp:6.0}}",
]
LATENT = ["feature=latent", "feature.id=52"]
CLASSIFIER = ["model=small_cnn", "model.width=4"]
QUICK = [
    *("stats=quick", "stats.n_null=10", "stats.n_bootstrap=200", "stats.n_permutations=999"),
    *("tracking=off", "device=cpu", "device.batch_limit=37", "seed=3"),
]
BUILDS = [*QUICK, "data.n_builds=150"]
IMAGES = [*QUICK, "stats.n_null=20", "data.n_train=120", "data.n_eval=60", "data.eval_renderings=1"]

ANY = ["data=builds_generated", "slice=all", "constraints=legal", "experiment.n_contexts=100"]
FAMILIES = ["factor@experiment.factor=families"]

NEEDS: dict[str, list[str]] = {
    "sweep": [*ANY, "factor@experiment.factor=family", "experiment.factor.family=special_charge_up"],
    "grid": [
        *(*ANY, "factor@experiment.factor=family", "experiment.factor.family=quick_respawn"),
        *("experiment.factor.rungs=[3,12]", "factor@experiment.other=family"),
        *("experiment.other.family=special_saver", "experiment.other.rungs=[3]"),
    ],
    "swap": [*ANY, "factor@experiment.factor=weapon", "experiment.factor.most=4"],
    "interact": [*ANY, *FAMILIES, "experiment.n_units=3"],
    "latent_intervention": ["experiment.latents=[2,5]", "experiment.n_contexts=40"],
    "match_features": [
        f"experiment.other_path={WEIGHTS / 'modular_sae_other.safetensors'}",
        "experiment.n_random=19",
        "experiment.n_vectors=100",
    ],
    "cores": [*ANY, *FAMILIES, "experiment.n_units=3"],
    "ablate": [*ANY, "experiment.place=output_layer.input", "experiment.factor.ids=[0,1,2,3]"],
    "patch": [*ANY, "experiment.place=output_layer.input", "experiment.factor.donors=any", "experiment.n_donors=3"],
    "binary_presence_effect": ["experiment.primary_family=quick_respawn"],
    "conditional_interactions": ["experiment.modulator=sub_power_up", "experiment.n_candidates=3"],
    "core_coverage_analysis": ["experiment.confirm=true"],
    "family_1d_sweep": ["experiment.family=special_charge_up", "experiment.placebo_contexts=20"],
    "family_2d_heatmap": [
        *("experiment.family_x=quick_respawn", "experiment.family_y=special_saver"),
        *("experiment.rungs_x=[3,12]", "experiment.rungs_y=[3,12]"),
    ],
    "frequent_itemsets": ["experiment.confirm=true"],
    "kit_sweep": ["experiment.swap_contexts=20"],
    "minimal_cores": ["experiment.max_contexts=20", "experiment.include_weapon=true"],
    "pairwise_interactions": ["experiment.n_candidates=3"],
    "shuffle_null": ["experiment.target.family=swim_speed_up"],
    "split_half": ["experiment.target.family=swim_speed_up"],
    "token_influence_sweep": ["experiment.high_quantile=0.9", "experiment.influence_contexts=20"],
    "weapon_sweep": ["experiment.swap_contexts=20", "experiment.min_examples=3"],
    "within_family_interference": ["experiment.families=[SSU,QR]"],
}
"""Variables that a type requires, or that make it small."""
PLANTED: dict[str, str] = {
    "binary_presence_effect": "noisy",
    "conditional_interactions": "xor",
    "family_1d_sweep": "threshold",
    "family_2d_heatmap": "and",
    "cores": "or",
    "grid": "and",
    "interact": "relu_sum",
    "sweep": "threshold",
    "kit_sweep": "weapon_gate",
    "minimal_cores": "and",
    "pairwise_interactions": "relu_sum",
    "weapon_sweep": "weapon_gate",
}
"""The planted feature that a type is measured on; ``dose`` where none is named."""
BUILD_TYPES = (
    "binary_presence_effect", "conditional_interactions", "core_coverage_analysis", "decoder_output_analysis",
    "family_1d_sweep", "family_2d_heatmap", "feature_survey", "frequent_itemsets", "kit_sweep", "minimal_cores",
    "pairwise_interactions", "shuffle_null", "split_half", "token_influence_sweep", "weapon_group_analysis",
    "weapon_sweep", "within_family_interference",
)  # fmt: skip
ANY_TYPES = ("ablate", "cores", "grid", "interact", "patch", "swap", "sweep")
"""Types that know no subject, here on builds; ``probe`` needs labels and is looked at on images."""
SITED_TYPES = ("activation_steering", "neuron_ablation", "subspace_ablation")
TOKEN_TYPES = ("circuit_metrics", "subspace_isolation", "prefix_matching")
"""Types on token sequences, here on a network whose embedding has two planted circles, or whose heads are known."""
HEAD_TYPES = ("head_ablation", "activation_patching")
"""Types that need attention heads."""
LATENT_TYPES = ("latent_intervention", "match_features", "scan_features")
"""Types that need an autoencoder, here one from a file that reads a transformer's stream."""
LATENTS = ["data=modular_addition", "experiment.place=blocks.0"]
LATENTS.append(f"experiment.path={WEIGHTS / 'modular_sae.safetensors'}")
REPEATS = [
    *("data=repeated_tokens", "data.n_tokens=40", "data.length=6", "data.n_sequences=8", "data.n_reference=4"),
    "model={_target_:induction.Repeats}",
]
IMAGE_TYPES = (*SITED_TYPES, "domain_swap", "probe_trajectory")
CHECKPOINTS = {9: WEIGHTS / "classifier_9.safetensors", 24: WEIGHTS / "classifier_24.safetensors"}


VALIDATED: dict[str, list[str]] = {
    "split_half.ablate": ["experiment=split_half", "experiment@experiment.target=ablate"],
    "shuffle_null.sweep": [
        *("experiment=shuffle_null", "experiment@experiment.target=sweep", "factor@experiment.target.factor=family"),
        "experiment.target.factor.family=special_charge_up",
    ],
    "split_half.grid": [
        *("experiment=split_half", "experiment@experiment.target=grid", "experiment.target.place=output_layer.input"),
        *("factor@experiment.target.factor=family", "experiment.target.factor.family=quick_respawn"),
        *("experiment.target.factor.rungs=[3,12]", "factor@experiment.target.other=family"),
        *("experiment.target.other.family=special_saver", "experiment.target.other.rungs=[3,6,12]"),
    ],
}
"""Validations of types that know no subject, on the trained set model."""
VALIDATED_IMAGES = [
    *("experiment=shuffle_null", "experiment@experiment.target=ablate", "experiment.target.place=layer2"),
    *("data=digits_scanners", "experiment.target.n_units=12"),
]


ELSEWHERE = (
    *VALIDATED, "shuffle_null.images", "feature_survey.images", "feature_survey.tokens", "split_half.tokens"
)  # fmt: skip
"""Types on builds where they are about something else; compared where the contract runs them."""


def builds_words(kind: str, model: str) -> list[str]:
    """Return the request of one type of experiment on builds, on the ``planted`` or the ``trained`` model."""
    base = [f"experiment={kind}", *BUILDS, *NEEDS.get(kind, [])]
    if model == "planted":
        feature = [] if kind == "feature_survey" else [f"feature={PLANTED.get(kind, 'dose')}"]
        return [*base, "model=planted", *feature]
    return [*base, *SET_MODEL, *([] if kind == "feature_survey" else LATENT)]


def image_words(kind: str, site: str | None) -> list[str]:
    """Return the request of one type of experiment on images; both checkpoints are put in by the runner."""
    ks = ["experiment.ks=[0,2,4,16]"] if kind == "neuron_ablation" else []
    sited = [f"experiment.site={site}"] if site else []
    weights = f"model.weights={CHECKPOINTS[24]}"
    return [f"experiment={kind}", *IMAGES, *CLASSIFIER, weights, *ks, *sited]


def token_words(kind: str) -> list[str]:
    """Return the request of one type of experiment on token sequences."""
    if kind in ("prefix_matching", *HEAD_TYPES):
        return [f"experiment={kind}", *QUICK, *REPEATS]
    model = ["model=modular_transformer", "model.d_model=16", f"model.weights={WEIGHTS / 'modular.safetensors'}"]
    further = [*LATENTS, *NEEDS.get(kind, [])] if kind in LATENT_TYPES else []
    return [f"experiment={kind}", *QUICK, "data.p=11", *model, *further]


def cases() -> dict[str, list[str]]:
    """Return every case by name with the words that ask for it."""
    found = {f"{kind}.{model}": builds_words(kind, model) for kind in BUILD_TYPES for model in ("planted", "trained")}
    found |= {f"{kind}.planted": builds_words(kind, "planted") for kind in ANY_TYPES}
    found |= {f"{kind}.circles": token_words(kind) for kind in (*TOKEN_TYPES, *HEAD_TYPES, *LATENT_TYPES)}
    for kind in IMAGE_TYPES:
        for site in ("avgpool", "layer2") if kind in SITED_TYPES else (None,):
            found[f"{kind}.{site or 'images'}"] = image_words(kind, site)
    found |= {name: [*words, *BUILDS, *SET_MODEL, *LATENT] for name, words in VALIDATED.items()}
    found["feature_survey.images"] = [
        *("experiment=feature_survey", "data=digits_scanners", "experiment.place=layer2", "experiment.max_firing=1.0"),
        *("experiment.n_permutations=99", "experiment.screen_contexts=20", *IMAGES, *CLASSIFIER),
        f"model.weights={CHECKPOINTS[24]}",
    ]
    found["feature_survey.tokens"] = [
        *token_words("feature_survey"),
        *("data=modular_addition", "experiment.place=blocks.0.mlp.1", "experiment.n_permutations=99"),
    ]
    found["split_half.tokens"] = [
        *token_words("split_half"),
        *("experiment@experiment.target=ablate", "experiment.target.place=blocks.0.mlp.1", "data=modular_addition"),
        *("experiment.target.n_units=12", "experiment.target.n_contexts=36"),
    ]
    found["shuffle_null.images"] = [*VALIDATED_IMAGES, *IMAGES, *CLASSIFIER, f"model.weights={CHECKPOINTS[24]}"]
    return found | {name: [] for name in comparisons.names()}
