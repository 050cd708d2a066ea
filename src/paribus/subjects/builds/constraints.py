"""The ``constraints`` config group: what every edited state must satisfy, and how violations are handled."""

from __future__ import annotations

from dataclasses import dataclass

from paribus.spec import Spec, field

LEVELS = ("hard", "soft", "off")


@dataclass(frozen=True)
class ConstraintsSpec(Spec, kind="constraints"):
    """Level of every constraint. Soft: counted and warned about. Hard: the state is not evaluated.

    Example:
        >>> ConstraintsSpec(max_ap_budget="off").valid_gear_combinations
        'hard'
    """

    one_rung_per_family: str = field("hard", choices=LEVELS, help="No state holds two capstones of one family.")
    valid_gear_combinations: str = field(
        "hard", choices=LEVELS, help="Every state is legal: one main-only ability per piece, exact feasibility."
    )
    max_ap_budget: str = field("hard", choices=LEVELS, help="No state asks for more than 57 AP (66 with a doubler).")
    avoid_ood_token_combinations: str = field(
        "off", choices=LEVELS, help="No state joins two families that never occur together in the corpus."
    )
    no_weapon_gating_if_relu_floor: str = field(
        "soft",
        choices=LEVELS,
        help="Weapon experiments warn (soft) or skip (hard) where more than half of all contexts lie below 0.1 sd.",
    )
    keep_empty: bool = field(False, help="Evaluate states without any token (their embedding is often untrained).")
    on_violation: str = field(
        "drop", choices=("drop", "warn", "error"), help="Hard violations: drop the state, drop and warn, or stop."
    )
