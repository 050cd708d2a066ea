"""The configuration of a factor, which is bound to a subject, a network and a place before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from paribus.errors import ConfigError
from paribus.spec import Spec

if TYPE_CHECKING:
    import numpy as np

    from paribus.measure.executor import Executor
    from paribus.measure.factor import Factor, Units


@dataclass(frozen=True, eq=False)
class Binding:
    """What a factor is bound to.

    Attributes:
        executor: The network and the contexts.
        place: Where activations are edited, as text; empty where the experiment names no place.
        rng: Randomness of what is fitted (folds of probes, donors), a stream of its own.
        parts: Further objects by name, such as autoencoders by site.

    Example:
        >>> Binding(executor=None, place="encoder.2", rng=None).place
        'encoder.2'
    """

    executor: Executor
    place: str
    rng: np.random.Generator
    parts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FactorSpec(Spec):
    """Base of the options of the ``factor`` group: a subclass declares its fields.

    What they bind to is made by ``bind(spec, to)`` of the module that ``work`` names, or by a :meth:`bind` of its own.

    Class attributes:
        subject: The kind of data it belongs to; ``any`` for edits of activations.
        signed: Whether it moves toward one class, so that its effects toward each context's own label cancel.
        fitted: Whether it is fitted on contexts (directions, means, donors), which then are not reported.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Column(FactorSpec):
        ...     subject = "tables"
        >>> Column().subject, Column().fitted
        ('tables', False)
    """

    subject: ClassVar[str] = "any"
    fitted: ClassVar[bool] = False
    signed: ClassVar[bool] = False

    def bind(self, to: Binding) -> Factor | Units:
        """Look up every name and return what is varied.

        Raises:
            ConfigError: If a name, a level or the place does not fit the subject or the network.
        """
        found: Factor | Units = self.work_module().bind(self, to)
        return found

    def bound(self, to: Binding) -> Factor | Units:
        """Refuse a subject it does not belong to, then :meth:`bind`.

        Raises:
            ConfigError: If the data are of another kind, or a name does not fit.
        """
        kind = to.executor.subject.name
        if self.subject not in ("any", kind):
            raise ConfigError(
                f"experiment.factor: {type(self).__name__} varies {self.subject}, the data are {kind}; choose a factor "
                f"of {kind}, or one of the network's (units, heads, directions, erase, latent, patch)"
            )
        return self.bind(to)
