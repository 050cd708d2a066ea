"""Steps of a sequence that are run once for each feature that an earlier step chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paribus.config.check import node_of
from paribus.errors import ExperimentError
from paribus.features.latent import Latent
from paribus.features.unit import Unit
from paribus.spec import Spec, fields_of

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.running.request import Request

TABLE = "chosen"
FEATURE = "feature_id"
UNIT = "unit"
OF_FILE = ("path", "clamp")
"""Column of a survey with the file of its autoencoder."""
PLACEHOLDER = "chosen."
"""A text value ``chosen.NAME`` of a step's experiment stands for column NAME of the chosen feature's row."""


def waiting(steps: Sequence[Request]) -> frozenset[str]:
    """Return the names of the steps whose feature is chosen by another step."""
    names: set[str] = set()
    chosen = False
    for step in steps:
        if chosen and "feature" in step.experiment.needs:
            names.add(str(step.step))
        chosen = chosen or step.experiment.chooses_features
    return frozenset(names)


def for_each(step: Request, chosen: Result) -> list[Request]:
    """Return a waiting step once for each chosen feature, named ``<step>_<feature>``.

    Args:
        step: The step as configured; its values ``chosen.NAME`` are filled in from the row of the feature.
        chosen: The result with the table ``chosen``, one row per feature with its ``feature_id``.

    Raises:
        ExperimentError: If a requested column does not exist.
    """
    rows = chosen.tables[TABLE].frame.to_dict("records")
    survey: Mapping[str, Any] = chosen.config.get("experiment") or {}
    return [_filled_step(step, {str(name): value for name, value in row.items()}, survey) for row in rows]


def _feature(row: Mapping[str, Any], survey: Mapping[str, Any]) -> Latent | Unit:
    """Return a chosen feature; where the survey gives no site, a latent of the model's own autoencoder."""
    number = int(row[FEATURE])
    if "site" not in row:
        return Latent(id=number)
    site = str(row["site"])
    if row["kind"] == UNIT:
        return Unit(id=number, site=site)
    return Latent(id=number, site=site, **{name: survey[name] for name in OF_FILE if name in survey})


def _filled_step(step: Request, row: Mapping[str, Any], survey: Mapping[str, Any]) -> Request:
    number = int(row[FEATURE])
    spec = _feature(row, survey)
    experiment = _filled(step.experiment, row, str(step.step))
    made = step.for_step(
        f"{step.step}_{number}", experiment, _filled(step.tree.get("experiment", {}), row, str(step.step))
    ).with_nodes(feature=spec)
    option = UNIT if isinstance(spec, Unit) else "latent"
    return replace(made, tree={**made.tree, "feature": node_of(spec)}, choices={**step.choices, "feature": option})


def _filled(value: Any, row: Mapping[str, Any], where: str) -> Any:
    """Return a value with every ``chosen.NAME`` in it replaced."""
    if isinstance(value, str) and value.startswith(PLACEHOLDER):
        name = value.removeprefix(PLACEHOLDER)
        if name not in row:
            raise ExperimentError(f"step {where}: {value} is no column of the chosen features: {', '.join(row)}")
        return row[name]
    if isinstance(value, Spec):
        given = fields_of(value)
        filled = {name: _filled(each, row, where) for name, each in given.items()}
        return value if all(filled[name] is given[name] for name in given) else replace(value, **filled)
    if isinstance(value, Mapping):
        return {name: _filled(each, row, where) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, row, where) for each in value]
    return value
