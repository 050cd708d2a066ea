"""What the further overrides on the line of a spec name, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence

from paribus.errors import ConfigError

OF_THE_SPEC = {"experiment": "type", "feature": "feature_id", "feature.id": "feature_id"}
"""What a spec itself decides, and the field that does; the result file is named by it."""


def option(words: Sequence[str], group: str) -> str | None:
    """Return the option that the words choose for a config group; None if they only set values of it, or nothing.

    >>> option(["data.n_builds=40", "model=planted"], "model")
    'planted'
    >>> option(["data.n_builds=40", "model=planted"], "data") is None
    True
    """
    found = [value for key, value in map(_split, words) if key.partition("@")[0] == group]
    return found[-1] if found else None


def sets(words: Sequence[str], key: str) -> bool:
    """Return whether the words give a value to a key.

    >>> sets(["++model.path=F"], "model.path")
    True
    """
    return any(name == key for name, _ in map(_split, words))


def refuse_those_of_the_spec(words: Sequence[str]) -> None:
    """Refuse words that contradict what a spec is about.

    Raises:
        ConfigError: If one chooses the experiment or the feature.
    """
    for word in words:
        field = OF_THE_SPEC.get(_split(word)[0])
        if field is not None:
            raise ConfigError(f"spec: {word}: the spec's {field} says that; change it there")


def _split(word: str) -> tuple[str, str]:
    key, _, value = word.lstrip("+~").partition("=")
    return key.strip(), value.strip()
