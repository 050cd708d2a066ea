"""Designs: at which conditions every context is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from paribus.arrays import Ints
from paribus.engine.intervention import Intervention

Edit = Callable[[Any], Any]
"""From cells ``[b]`` to cells ``[levels, b]``."""
Acts = Callable[[Ints], Sequence[Intervention]]
"""From contexts ``[b]`` to one intervention per act, for just these rows."""


@dataclass(frozen=True, eq=False)
class Design:
    """Conditions: levels of the inputs times acts on the activations, level by level; the first is the baseline.

    Attributes:
        edit: Makes the levels ``[levels, b]`` of contexts ``[b]``; None: the contexts as they are, one level.
        n_levels: How many levels it makes.
        acts: Interventions at ``sites``; the first should do nothing. Where they depend on the row, a function of the
            contexts at hand. Empty: no activation is touched.
        n_acts: How many acts there are (0 without any).
        sites: Where they happen, as text: one site, or several for edits of several sites in a pass.
        description: What to show beside the progress.

    Example:
        >>> from paribus.engine.interventions import Identity, Steer
        >>> import torch
        >>> Design(acts=(Identity(), Steer(torch.ones(3), 1.0)), n_acts=2, sites=("0",)).n_conditions
        2
    """

    edit: Edit | None = None
    n_levels: int = 1
    acts: Sequence[Intervention] | Acts = ()
    n_acts: int = 0
    sites: tuple[str, ...] = ()
    description: str = ""

    @property
    def n_conditions(self) -> int:
        """Levels times acts."""
        return self.n_levels * max(1, self.n_acts)

    def acts_on(self, columns: Ints) -> Sequence[Intervention]:
        """Return the interventions for contexts ``columns [b]``."""
        return self.acts(columns) if callable(self.acts) else self.acts
