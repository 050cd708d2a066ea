"""The ``as_trained`` option of the ``data`` group: what the tracked model was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paribus.errors import ConfigError
from paribus.spec import Spec, field


@dataclass(frozen=True)
class AsTrained(Spec, kind="data/as_trained"):
    """The data set of the run that trained the model, with the same splits; what ``model=tracked`` brings by itself.

    Example:
        >>> AsTrained(changes={"n_eval": 50}).over({"n_eval": 500, "n_train": 300})
        {'n_eval': 50, 'n_train': 300}
    """

    changes: dict[str, Any] = field(
        {}, help="Values set over those of that data set: data.n_eval=50 on the command line comes here."
    )

    def check(self) -> None:
        """Check that values are changed, and not what the data are.

        Raises:
            ConfigError: If the kind of data set is among the changes.
        """
        if "_target_" in self.changes:
            raise ConfigError("AsTrained.changes: the kind of data set cannot be changed; choose one with data=NAME")

    def over(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration node of the data set with the changes made."""
        return _merged(node, self.changes)


def _merged(node: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nested mapping with values of another one put over its own."""
    made = dict(node)
    for key, value in changes.items():
        both = isinstance(made.get(key), Mapping) and isinstance(value, Mapping)
        made[key] = _merged(made[key], value) if both else value
    return made
