"""Keeps a result, in an order such that a kill at any moment leaves the run either unfinished or complete."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from paribus.config.settings import PDF, PNG
from paribus.experiments.asked import label
from paribus.figures.about import about
from paribus.figures.draw import draw
from paribus.figures.save import in_formats
from paribus.report.page import render
from paribus.results.files import PARTIAL_FILE, REPORT_FILE, RESULT_FILE, ROWS_IN_JSON
from paribus.results.found import lines
from paribus.results.io import to_json
from paribus.results.values import plain
from paribus.running.holding import SignalsHeld
from paribus.running.repeating import line
from paribus.running.tags import weights
from paribus.spec import fields_of
from paribus.tracking.file_run import FINISHED
from paribus.tracking.spec import without_password

if TYPE_CHECKING:
    from paribus.experiments.base import Setup
    from paribus.results.schema import Result
    from paribus.running.resolved import Resolved
    from paribus.tracking.file_run import FileRun

LINES_IN_NOTE = 6
BOTH = (PNG, PDF)
DIGESTS = ("data_digest", "model_digest")
"""Inputs of a run that are also kept as tags, so that comparisons need not read every run's files."""
NO_DIGEST = "none"
log = logging.getLogger("paribus")


def keep(result: Result, run: FileRun, formats: Sequence[str] = BOTH) -> Result:
    """Keep everything of a finished result but ``result.json``, which :func:`seal` writes last.

    Args:
        result: The result.
        run: The run.
        formats: Formats of its figures, of ``png`` and ``pdf``; none are drawn if empty.

    Returns:
        The result with warnings about figures that could not be drawn, and with the list of the run's files.
    """
    drawn, warnings = draw_figures(result, run, formats)
    if warnings:
        diagnostics = replace(result.diagnostics, warnings=(*result.diagnostics.warnings, *warnings))
        result = replace(result, diagnostics=diagnostics)
    run.metrics(headline(result))
    run.note(note(result))
    if result.provenance.get("data_digest"):
        run.data_set(str(result.provenance.get("data_name") or "data"), str(result.provenance["data_digest"]))
    run.tags({name: str(result.provenance.get(name) or NO_DIGEST) for name in DIGESTS})
    for curve in result.curves:
        run.curve(curve)
    keep_report(result, run, drawn)
    run.flush()
    return replace(result, artifacts=dict(run.artifacts))


def seal(result: Result, run: FileRun) -> None:
    """Write ``result.json``, which names all the other files, and set the status to finished.

    Signals are held in between. A run killed before the status is set did not finish; afterwards it is complete.
    """
    text = to_json(result, rows_limit=ROWS_IN_JSON)
    with SignalsHeld():
        run.text(RESULT_FILE, text)
        run.finish(FINISHED)


def keep_partial(result: Result, run: FileRun) -> None:
    """Write the partial result of an unfinished run: ``partial.json`` and ``report.html``, never ``result.json``."""
    run.withdraw(RESULT_FILE)
    run.text(PARTIAL_FILE, to_json(replace(result, artifacts=dict(run.artifacts)), rows_limit=ROWS_IN_JSON))
    keep_report(result, run, {})


def keep_report(result: Result, run: FileRun, drawn: Mapping[str, bytes]) -> None:
    """Write ``report.html``."""
    run.text(REPORT_FILE, render(result, drawn, command=result.provenance.get("repeat")))


def note(result: Result) -> str:
    """Return the main findings in a few lines, and the warnings."""
    warned = [f"Warning: {warning}" for warning in result.diagnostics.warnings]
    return "  \n".join([*lines(result)[:LINES_IN_NOTE], *warned])


def headline(result: Result) -> dict[str, float]:
    """Return the few numbers that go into the run list: metrics, and the aggregates that are single numbers."""
    aggregates = result.aggregates
    numbers: dict[str, Any] = {
        "mean_delta": aggregates.mean_delta,
        "std_delta": aggregates.std_delta,
        "n_samples": aggregates.n_samples,
        **{name: value for name, value in aggregates.custom.items() if _is_number(value)},
        **result.metrics,
    }
    return {name: float(value) for name, value in numbers.items() if value is not None}


def draw_figures(
    result: Result, run: FileRun, formats: Sequence[str] = BOTH
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Draw the declared figures into the run; return PNG bytes by name, and a warning for each that failed.

    The page of the run shows every figure as PNG, whichever formats are kept.
    """
    if not result.figures or not formats:
        return {}, ()

    frames = {name: table.frame for name, table in result.tables.items()}
    drawn: dict[str, bytes] = {}
    warnings = []
    for figure in result.figures:
        try:
            made = draw(figure, frames, about=about(result))
            found = in_formats(made, [*dict.fromkeys((PNG, *formats))])
        except Exception as error:  # a figure that fails must not lose the numbers
            log.warning("figure %s could not be drawn: %s", figure.name, error)
            warnings.append(f"figure {figure.name} could not be drawn: {type(error).__name__}: {error}")
            continue
        drawn[figure.name] = found[PNG]
        run.figure(figure.name, {name: found[name] for name in formats})
    return drawn, tuple(warnings)


def provenance_of(resolved: Resolved, process: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of one run: that of the process, the line that repeats it, and its seed."""
    request = resolved.request
    return {
        "repeat": without_password(line(resolved)),
        "overrides": [without_password(word) for word in request.overrides],
        "step": request.step,
        "seed": request.seed,
        "needs": list(request.experiment.needs),
        **process,
    }


def inputs_of(resolved: Resolved, setup: Setup) -> dict[str, Any]:
    """Return the inputs of a run: device, digests of data and model, and the run the model comes from."""
    request, model = resolved.request, setup.examined
    found: dict[str, Any] = {
        "device": _device(setup.device),
        "dtype": setup.dtype,
        "threads": torch.get_num_threads(),  # these two are not in the identity, and change results by rounding
        "matmul_precision": torch.get_float32_matmul_precision(),
    }
    if setup.data_digest:
        found["data_digest"] = setup.data_digest
        found["data_name"] = label(request.nodes.get("data"), request.choices.get("data"))
    if model is not None:
        found["model_class"] = type(model).__name__
        if resolved.source is None:
            found["model_digest"] = weights_digest(model)
            found["weights"] = weights(resolved)
    if resolved.source is not None:
        found |= plain(resolved.source.origin())
    if resolved.beside is not None and resolved.beside.source is not None:
        found["beside"] = plain(resolved.beside.source.origin())
    values = fields_of(request.experiment)
    found |= {name: plain(values[name]) for name in ("site", "positive") if name in values}
    return found


def weights_digest(model: Any) -> str:
    """Return a hash of a model's weights, by name (SHA-256)."""
    hashed = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if isinstance(value, torch.Tensor):
            array = value.detach().cpu().contiguous().reshape(-1)
            hashed.update(f"{name}/{array.dtype}{tuple(value.shape)}".encode())
            hashed.update(array.view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()


def _device(name: str) -> str:
    if not name.startswith("cuda"):
        return name

    return f"{name}: {torch.cuda.get_device_name()}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
