"""What the figures of a result are about, in a few words for their titles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paribus.results.schema import Result


def about(result: Result) -> str:
    """Return data set, place, feature and model of a result, as far as they are known and not comparisons.

    Example:
        >>> from paribus.results import Aggregates, Diagnostics, Evidence
        >>> from paribus.results.schema import Result
        >>> known = {"data_name": "digits_scanners"}
        >>> head = ("abc", "noise", Evidence.INTERVENTIONAL, None, "mlp", "images")
        >>> about(Result(*head, Aggregates(custom={"site": "fc.input"}), {}, Diagnostics(), provenance=known))
        'digits_scanners, fc.input, mlp'
    """
    custom: Mapping[str, Any] = result.aggregates.custom
    parts = (result.provenance.get("data_name"), custom.get("site"), result.feature, result.model)
    return ", ".join(dict.fromkeys(str(part) for part in parts if part))
