"""Name and tags of a run in the run list of a tracking UI."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from paribus.config.foreign import Foreign, parameters
from paribus.experiments.asked import label
from paribus.models.untrained import UNTRAINED, random_parts
from paribus.running.colour import COLOUR_TAG, colour
from paribus.running.identify import identify
from paribus.running.sequence import with_steps
from paribus.spec import fields_of
from paribus.tracking.claim_tags import HYPOTHESIS_TAG
from paribus.tracking.kept import ASKED_TAG, MODEL_TAG, ONCE_TAG
from paribus.tracking.provenance import code_version
from paribus.training.spec import TrainingSpec

if TYPE_CHECKING:
    from paribus.running.resolved import Resolved


def condition(resolved: Resolved) -> str | None:
    """Return the training condition of the model, where there is one."""
    node = resolved.request.nodes.get("training")
    experiment = resolved.request.experiment
    uses = any("training" in each.needs for each in with_steps(experiment))
    if resolved.source is None and not uses:
        return None
    return node.condition or None if isinstance(node, TrainingSpec) else None


def n_train(resolved: Resolved) -> int | None:
    """Return how many examples the model was or is trained on, if its data spec states it."""
    if resolved.source is not None:
        return stated_size(resolved.source.data)
    request = resolved.request
    return stated_size(request.nodes.get("data")) if "data" in request.experiment.needs else None


def stated_size(node: Any) -> int | None:
    """Return the training-set size that a data spec, or the arguments of a foreign one, state."""
    if isinstance(node, Foreign):
        declared = parameters(node.function)[0].get("n_train")
        size = node.arguments.get("n_train", declared.default if declared is not None else None)
    else:
        size = fields_of(node).get("n_train")
    return size if isinstance(size, int) and not isinstance(size, bool) else None


def model_seed(resolved: Resolved) -> int | None:
    """Return the seed that the model was trained with, or is being trained with."""
    if resolved.source is not None:
        return resolved.source.seed
    return resolved.request.seed if resolved.request.experiment.produces_model else None


AS_GIVEN = "as the factory gave them"


def weights(resolved: Resolved) -> str | None:
    """Return the origin of the weights of an examined model that has neither a training run nor a file."""
    experiment, node = resolved.request.experiment, resolved.request.nodes.get("model")
    if resolved.source is not None or not experiment.takes_trained or "model" not in experiment.needs:
        return None
    if isinstance(node, Foreign):
        return AS_GIVEN
    return UNTRAINED if random_parts(node) else None


def run_name(resolved: Resolved) -> str:
    """Return e.g. ``train_classifier grokking s3``, or ``subspace_ablation grokking n600 s3 of 1a2b3c4d``.

    The seed is that of the model; an experiment's own is added where it is another one.
    """
    request, source = resolved.request, resolved.source
    head = request.study if request.study and not request.step and request.experiment.type == "sequence" else None
    parts = [head or request.experiment.type, feature_label(resolved), condition(resolved)]
    if source is None:
        parts.append(UNTRAINED if weights(resolved) == UNTRAINED else None)
        parts.append(f"s{request.seed}")
    else:
        parts += [f"n{size}" if (size := n_train(resolved)) is not None else None, f"s{source.seed}"]
        parts.append(f"of {source.run_id[:8]}" if source.run_id else None)
        parts.append(f"seed {request.seed}" if request.seed != source.seed else None)
        parts.append(f"on {resolved.other}" if resolved.other else None)
    return " ".join(part for part in parts if part)


def feature_label(resolved: Resolved) -> str | None:
    """Return the name of the feature in the run list: ``latent 3``, or the chosen option."""
    request = resolved.request
    node = request.nodes.get("feature")
    if node is None or "feature" not in request.experiment.needs:
        return None
    option, number = request.choices.get("feature") or type(node).__name__, fields_of(node).get("id")
    return option if number is None else f"{option} {number}"


def model_label(resolved: Resolved) -> str | None:
    """Return the name of the model in results: the run it comes from, or the chosen option."""
    request = resolved.request
    if "model" not in request.experiment.needs:
        return None
    node, option = request.nodes.get("model"), request.choices.get("model")
    architecture = None if node is None else label(node, option if option != "tracked" else None)
    if resolved.source is not None:
        architecture = resolved.source.options.get("model") or architecture
        return f"{architecture} ({resolved.source.label})" if architecture else resolved.source.label
    return f"{architecture} ({UNTRAINED})" if weights(resolved) == UNTRAINED else architecture


def run_tags(resolved: Resolved, identity: str, provenance: dict[str, Any]) -> dict[str, str]:
    """Return the tags of a run: what it is, for searching and grouping."""
    request = resolved.request
    experiment = request.experiment
    named = {
        "experiment_type": experiment.type,
        "experiment_version": experiment.version,
        "evidence": experiment.evidence.value,
        "subject": request.subject,
        "training": condition(resolved),
        "n_train": n_train(resolved),
        "feature": feature_label(resolved),
        "seed": request.seed,
        "identity": identity,
        ASKED_TAG: identify(resolved) if resolved.runs else None,
        "study": request.study,
        HYPOTHESIS_TAG: request.parent_hypothesis,
        "sweep": request.sweep,
        "step": request.step,
        "model": model_label(resolved),
        "model_run": resolved.source.run_id if resolved.source else None,
        "model_seed": model_seed(resolved),
        "beside_run": resolved.beside.source.run_id if resolved.beside and resolved.beside.source else None,
        "measured_on": resolved.other,
        "weights": weights(resolved),
        "code_version": code_version(provenance),
        ONCE_TAG: "true" if request.reuses else None,
        COLOUR_TAG: run_colour(resolved),
        MODEL_TAG: "true" if experiment.produces_model else None,
        "paribus.version": provenance.get("paribus"),
        "mlflow.source.name": "paribus",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": (provenance.get("git") or {}).get("commit"),
        "mlflow.user": provenance.get("user"),
    }
    return {name: str(value) for name, value in named.items() if value not in (None, "")}


def run_colour(resolved: Resolved) -> str:
    """Return the run's colour, from the request, the model's condition and size, and the seed."""
    node, seed = resolved.request.tree.get("experiment"), model_seed(resolved)
    asked = [condition(resolved), n_train(resolved), feature_label(resolved), node]
    return colour(json.dumps(asked, sort_keys=True, default=str), resolved.request.seed if seed is None else seed)
