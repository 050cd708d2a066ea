"""The result file of a spec of the older format."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.errors import ConfigError, ExperimentError
from paribus.results import files
from paribus.results.io import to_tree
from paribus.results.schema import Aggregates, Diagnostics, Result

if TYPE_CHECKING:
    from paribus.experiments.builds.older.document import LegacySpec


def prepare(folder: Path) -> None:
    """Make the output folder.

    Raises:
        ConfigError: If it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--output-dir {folder}: cannot be made ({error})") from None
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"--output-dir {folder}: cannot be written to")


def write(result: Result, spec: LegacySpec, folder: Path, *, source: Path, notes: Sequence[str] = ()) -> Path:
    """Write the parts that the spec asks for; a file or link of that name is replaced, never followed.

    Args:
        result: What was found.
        spec: The spec.
        folder: Where the file goes.
        source: The spec's own file.
        notes: What was mapped or ignored; comes first among the warnings.

    Raises:
        ExperimentError: If it cannot be written; the run itself is kept.
    """
    path = folder / spec.file_name
    try:
        return files.write_text(path, content(chosen(result, spec, notes), spec, source))
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be written ({error.strerror}); the run itself is kept") from None


def content(result: Result, spec: LegacySpec, source: Path) -> str:
    """Return the file's text: that of a result, with ``feature_id`` and ``spec_path`` beside ``spec_id``."""
    tree = dict(to_tree(result))
    named = {"spec_id": tree.pop("spec_id"), "spec_path": str(source.absolute()), "feature_id": spec.feature_id}
    first = {"format": tree.pop("format"), **named}
    return json.dumps({**first, **tree}, ensure_ascii=False, allow_nan=False, indent=1)


def chosen(result: Result, spec: LegacySpec, notes: Sequence[str] = ()) -> Result:
    """Return the result under the spec's id, without the parts that it switches off."""
    warnings = (*notes, *result.diagnostics.warnings)
    result = replace(result, spec_id=spec.id, diagnostics=replace(result.diagnostics, warnings=warnings))
    if not spec.outputs["aggregates"]:
        result = replace(result, aggregates=Aggregates(), metrics={}, curves=())
    if not spec.outputs["tables"]:
        result = replace(result, tables={})
    if not spec.outputs["diagnostics"]:
        result = replace(result, diagnostics=Diagnostics())
    if not spec.outputs["figures"]:
        result = replace(result, figures=())
    return result
