"""What a kind of data declares so that a network can be set up on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paribus.measure import Subject
from paribus.subjects.labelled import Overlap


@dataclass(frozen=True)
class Kind:
    """A kind of data: what its loaders return, and how that becomes contexts. All that a new subject has to declare.

    Attributes:
        subject: Its name.
        data_class: What its loaders give. It has a ``digest`` (what it holds), ``notes`` (what every result on it must
            say), ``offers`` (splits, domains, classes) and ``provided()`` (what a network's maker may ask for).
        contexts: Makes the contexts of a data set, as the measurement layer knows them.
        examples: An option of the data group and one of the model group that go together, for messages.
        overlap: Which held-out rows of the second data set the first one trains on; by default this is not checked.
        unlike: Sentences about differences of the two that a network would accept silently.
        shape: What the inputs of a data set are, in a few words.
        encoded: Returns the second data set with its inputs meaning what they mean in the first one, on which a model
            was trained. The first one is None where it cannot be loaded any more; so is what is returned where the
            second cannot be used without it. None where inputs mean the same in all data sets (tokens).

    Example:
        >>> from paribus.measure import ArraySubject, Contexts
        >>> Kind("points", Contexts, ArraySubject, ("points", "mlp")).shape(None)
        ''
    """

    subject: str
    data_class: type
    contexts: Callable[[Any], Subject]
    examples: tuple[str, str]
    overlap: Callable[[Any, Any], Overlap] = lambda own, data: Overlap(same={}, related={})
    unlike: Callable[[Any, Any], list[str]] = lambda own, data: []
    shape: Callable[[Any], str] = lambda data: ""
    encoded: Callable[[Any, Any], Any] | None = None
