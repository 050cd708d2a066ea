"""The identity of a request, known before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paribus.config.own_code import code_of
from paribus.config.science import science
from paribus.experiments import plugins
from paribus.running.contents import InputFile, contents, without_start
from paribus.tracking.identity import digest, identity

if TYPE_CHECKING:
    from paribus.running.resolved import Resolved


@dataclass(frozen=True)
class Identified:
    """The identity of a request, with the files and code that it covers.

    Attributes:
        identity: The hash.
        files: The files whose content is in it, by group and by what each is for.
        code: Digests of the foreign code in it, by ``module NAME`` and ``distribution NAME``.
    """

    identity: str
    files: Mapping[str, InputFile] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)


def identify(resolved: Resolved) -> str:
    """Return the identity of a resolved request; see :func:`identified`."""
    return identified(resolved).identity


def identified(resolved: Resolved, *, runs: str | None = None) -> Identified:
    """Return the identity of a resolved request with the files and the code that it covers.

    It covers the experiment with its version, the seed, the number format, and the groups that the experiment needs:
    their science fields, the files that they read by content, and foreign code. A trained model is the identity of the
    run that made it (and the choice of its checkpoint), with what is read and run anew to set it up.

    Args:
        resolved: The request, with the model it takes.
        runs: For a comparison or a report: a digest of the runs it is made from.

    Raises:
        ParibusError: If a file is missing or cannot be read.
    """
    request, source = resolved.request, resolved.source
    experiment = request.experiment
    stated: dict[str, Any] = {"seed": request.seed}
    nodes: dict[str, Any] = {"experiment": experiment}
    inputs: dict[str, str] = {}
    if runs is not None:
        inputs["runs"] = runs
    for group in experiment.needs:
        node = request.nodes.get(group)
        if group in ("model", "training") and source is not None:
            inputs["source"] = source.identity
            inputs["source_read"] = source.read
            stated["checkpoint"] = request.checkpoint
            nodes["model"] = without_start(source.architecture)
        else:
            nodes[group] = node
    if resolved.beside is not None and resolved.beside.source is not None:
        second = resolved.beside.source
        inputs |= {"beside_source": second.identity, "beside_read": second.read}
        stated["beside_checkpoint"] = request.checkpoint
        nodes["beside"] = without_start(second.architecture)
    if experiment.takes_dtype:
        nodes["device"] = request.nodes["device"]
    files: dict[str, InputFile] = {}
    code: dict[str, str] = {}
    for group, node in nodes.items():
        stated[group] = science(node)
        found = contents(node)
        inputs[group] = found.digest()
        files |= {f"{group}.{name}": file for name, file in found.files.items()}
        code |= found.code
    outside = plugins.outside(request.subject)
    if outside is not None:
        found_code = code_of(outside.code())
        inputs["subject"] = digest({"code": found_code})
        code |= found_code
    known = identity(experiment.type, experiment.version, stated, {k: v for k, v in inputs.items() if v})
    return Identified(known, files, code)
