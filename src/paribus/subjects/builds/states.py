"""Token sets with a weapon, as compact arrays: what edits change and what models are run on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from paribus.arrays import Bools, Ints
from paribus.errors import ConfigError

Codes = npt.NDArray[np.uint16]

N_STACKING = 14
MAIN_ONLY_COLUMN = 14
WEAPON_COLUMN = 15
N_COLUMNS = 16


@dataclass(frozen=True)
class States:
    """Any number of token sets with a weapon, in any shape (``[n]``, ``[levels, n]``, ...).

    A state is sixteen 16-bit numbers: for each of the fourteen stacking families a bit mask of the rungs whose token is
    there, the bit mask of the main-only abilities, and the weapon's index. Sets need not be closed under the
    cumulative tokens.

    Attributes:
        codes: ``[..., 16]``.
        source: Source build (cluster id) of each state, ``[...]``.
        ok: Whether the state is to be evaluated; edits and constraints take states out, never put them back.
        clash: Whether an edit left two capstones of one family (see
            :meth:`paribus.subjects.builds.edits.Edits.add_tokens`).
        checked: Whether the constraints have been applied.

    Example:
        >>> from paribus.subjects.builds.vocabulary import Vocabulary
        >>> from paribus.subjects.builds.tokens import encode_build
        >>> vocabulary = Vocabulary.default()
        >>> codes = encode_build({"swim_speed_up": 12}, vocabulary, 0)[None]
        >>> states = States.of(codes, np.arange(1))
        >>> states.shape, states.only(np.array([False])).ok.tolist()
        ((1,), [False])
    """

    codes: Codes
    source: Ints
    ok: Bools
    clash: Bools
    checked: bool = field(default=False)

    @classmethod
    def of(cls, codes: Codes, source: Ints) -> States:
        """Return untouched states of codes ``[..., 16]`` and their source builds."""
        shape = codes.shape[:-1]
        return cls(codes, np.broadcast_to(source, shape), np.ones(shape, bool), np.zeros(shape, bool))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without the columns."""
        return self.codes.shape[:-1]

    @property
    def size(self) -> int:
        """Number of states."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __getitem__(self, rows: Any) -> States:
        """Return the states at ``rows`` (any numpy index over the leading axes)."""
        return replace(
            self,
            codes=self.codes[rows],
            source=self.source[rows],
            ok=self.ok[rows],
            clash=self.clash[rows],
        )

    def reshape(self, *shape: int) -> States:
        """Return the same states in another shape."""
        return replace(
            self,
            codes=self.codes.reshape(*shape, N_COLUMNS),
            source=self.source.reshape(*shape),
            ok=self.ok.reshape(*shape),
            clash=self.clash.reshape(*shape),
        )

    def with_codes(self, codes: Codes) -> States:
        """Return states of these codes ``[..., 16]``, to whose shape these ones are spread."""
        shape = codes.shape[:-1]
        source, ok = np.broadcast_to(self.source, shape), np.broadcast_to(self.ok, shape)
        return States(codes, source, ok, np.broadcast_to(self.clash, shape))

    def only(self, mask: Bools) -> States:
        """Return the same states with those outside ``mask`` taken out."""
        return replace(self, ok=self.ok & mask)

    @property
    def weapon(self) -> npt.NDArray[np.uint16]:
        """Weapon indices ``[...]``."""
        return self.codes[..., WEAPON_COLUMN]

    @property
    def empty(self) -> Bools:
        """Whether a state holds no ability token, ``[...]``."""
        return np.asarray(~self.codes[..., :WEAPON_COLUMN].any(-1))


def stack(states: Sequence[States]) -> States:
    """Put states of equal shape on a new first axis, e.g. levels ``[levels, n]``.

    Raises:
        ConfigError: If there are none.

    Example:
        >>> from paribus.subjects.builds.vocabulary import Vocabulary
        >>> from paribus.subjects.builds.tokens import encode_build
        >>> vocabulary = Vocabulary.default()
        >>> states = States.of(encode_build({"swim_speed_up": 12}, vocabulary, 0)[None], np.arange(1))
        >>> stack([states, states]).shape
        (2, 1)
    """
    if not states:
        raise ConfigError("nothing to stack: no levels")
    return _joined(np.stack, states)


def concatenate(states: Sequence[States]) -> States:
    """Join states along their first axis.

    Example:
        >>> from paribus.subjects.builds.vocabulary import Vocabulary
        >>> from paribus.subjects.builds.tokens import encode_build
        >>> vocabulary = Vocabulary.default()
        >>> states = States.of(encode_build({"swim_speed_up": 12}, vocabulary, 0)[None], np.arange(1))
        >>> concatenate([states, states]).shape
        (2,)
    """
    return _joined(np.concatenate, states)


def _joined(join: Callable[[list[Any]], Any], states: Sequence[States]) -> States:
    codes, source, ok, clash = (
        join([getattr(one, name) for one in states]) for name in ("codes", "source", "ok", "clash")
    )
    return States(codes, source, ok, clash, all(one.checked for one in states))
