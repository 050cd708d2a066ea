"""The ``as_trained`` option of the ``data`` group: what the tracked model was trained on."""

from __future__ import annotations

from dataclasses import dataclass

from paribus.spec import Spec


@dataclass(frozen=True)
class AsTrained(Spec, kind="data/as_trained"):
    """The data set of the run that trained the model; needs ``model=tracked``."""
