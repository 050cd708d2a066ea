"""Specs for tests of the configuration: nothing of Paribus's own options is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.errors import ConfigError
from paribus.results.evidence import Evidence
from paribus.spec import Spec, field


@dataclass(frozen=True)
class Digits(Spec):
    seed: int = field(0, low=0, help="Seed.")
    strength: float = field(0.9, low=0, high=1, help="Strength.")
    names: list[str] = field(["a", "b"], help="Names.")
    root: str | None = field(None, science=False, help="Folder.")


@dataclass(frozen=True)
class Net(Spec):
    width: int = field(16, low=1, help="Width.")
    activation: str = field("relu", choices=("relu", "gelu"), help="Activation.")
    scale: float | int = field(1, help="Scale.")
    extras: dict[str, float] = field({}, help="Extras.")


class _Type:
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    subject: ClassVar[str] = "images"
    summary: ClassVar[str] = "A toy."

    def run(self, setup: Any, recorder: Any) -> Any:
        return None


@dataclass(frozen=True)
class Steer(_Type, Spec):
    type: ClassVar[str] = "steer"
    alphas: list[float] = field([-1.0, 1.0], help="Alphas.")
    sites: list[str] | None = field(None, help="Sites.")
    low: int = field(0, help="Low.")
    high: int = field(1, help="High.")

    def check(self) -> None:
        if self.low > self.high:
            raise ConfigError(f"Steer.low: must not exceed high={self.high}, got {self.low}")


@dataclass(frozen=True)
class Sweep(_Type, Spec):
    type: ClassVar[str] = "sweep"
    family: str = field(help="Family.")
    rungs: list[int] | None = field(None, help="Rungs.")


@dataclass(frozen=True)
class Halves(_Type, Spec):
    type: ClassVar[str] = "halves"
    target: Any = field(help="Target.")
    n: int = field(100, low=1, help="Splits.")


@dataclass(frozen=True)
class Steps(_Type, Spec):
    type: ClassVar[str] = "steps"
    steps: dict[str, Any] = field({}, help="Steps.")


def make_net(width: int, in_channels: int, *, bias: bool = True) -> tuple[int, int, bool]:
    return width, in_channels, bias


def make_any(**settings: Any) -> dict[str, Any]:
    return settings


def make_model(hidden: Callable[[], Any], n_classes: int) -> tuple[Any, int]:
    return hidden, n_classes


NOT_CALLABLE = 3
