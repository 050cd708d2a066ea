"""The identity of a request, known before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paribus.config.science import science
from paribus.running.caches import fingerprint, source_of
from paribus.tracking.identity import identity

if TYPE_CHECKING:
    from paribus.running.resolve import Resolved


def identify(resolved: Resolved, *, runs: str | None = None) -> str:
    """Return the identity of a resolved request.

    It covers the experiment with its version, the seed, and the groups that the experiment needs: data by their
    fingerprint, a trained model by the identity of the run that made it (and the choice of its checkpoint), a model
    file by its digest, everything else by its science fields.

    Args:
        resolved: The request, with the model it takes.
        runs: For a comparison or a report: a digest of the runs it is made from.
    """
    request, source = resolved.request, resolved.source
    experiment = request.experiment
    stated: dict[str, Any] = {"seed": request.seed, "experiment": science(experiment)}
    inputs: dict[str, str] = {}
    if runs is not None:
        inputs["runs"] = runs
    for group in experiment.needs:
        node = request.nodes.get(group)
        if group == "data" and node is not None:
            inputs[group] = fingerprint(node)
        elif group in ("model", "training") and source is not None:
            inputs["model"] = source.identity
            stated["checkpoint"] = request.checkpoint
        elif group == "model":
            stated[group] = without_files(science(node), node)
            inputs[group] = file_digest(node)
        else:
            stated[group] = science(node)
    return identity(experiment.type, experiment.version, stated, {k: v for k, v in inputs.items() if v})


def file_digest(node: Any) -> str:
    """Return what a model spec says about its file, or the source of a foreign one; empty for neither."""
    own = getattr(node, "fingerprint", None)
    return str(own()) if own is not None else source_of(node)


def without_files(stated: Any, node: Any) -> Any:
    """Leave out where a model's file stands: its digest is among the inputs, and a file that is moved is the same."""
    if isinstance(stated, dict) and getattr(node, "fingerprint", None) is not None:
        return {name: value for name, value in stated.items() if name != "weights"}
    return stated
