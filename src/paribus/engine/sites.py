"""Where in a model an intervention happens: the site grammar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from paribus.engine.channels import channel_axis
from paribus.errors import ConfigError, nearest

Port = Literal["output", "input"]
_PORTS: tuple[Port, ...] = ("output", "input")


@dataclass(frozen=True)
class Site:
    """A place in a model: a dotted module name and its input or output.

    Written ``module``, ``module.output``, ``module.input``, each optionally followed by ``:call`` and ``@axis``. A
    module that is itself called ``output`` or ``input`` is written with its port: ``encoder.output.output``.

    Attributes:
        module: Dotted name as in ``model.named_modules()``.
        port: Whether the module's output or its first input is meant.
        axis: The axis that holds the channels. None decides by the module and the size of the axes
            (:func:`~paribus.engine.channels.channel_axis`).
        call: Which of its calls in one forward pass, from 1, where a module runs several times (a shared activation, a
            recurrent block). None for a module that runs once.

    Example:
        >>> Site.parse("encoder.relu:2")
        Site(module='encoder.relu', port='output', axis=None, call=2)
    """

    module: str
    port: Port = "output"
    axis: int | None = None
    call: int | None = None

    def __post_init__(self) -> None:
        """Refuse an empty name, an unknown port, the batch axis and a call before the first."""
        if not self.module:
            raise ConfigError("site: empty; write a dotted module name such as 'avgpool' or 'output_layer.input'")
        if self.port not in _PORTS:
            raise ConfigError(f"site {self.module}: no such port {self.port!r}; {nearest(self.port, _PORTS)}")
        if self.axis == 0:
            raise ConfigError(f"site {self.module}: axis 0 holds the examples; the channels are in another")
        if self.call is not None and self.call < 1:
            raise ConfigError(f"site {self.module}: calls are counted from 1, got {self.call}")

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read a site from text such as ``avgpool``, ``output_layer.input``, ``blocks.2@-1`` or ``relu:2``.

        Raises:
            ConfigError: If the text is empty, or axis or call is no whole number.
        """
        rest, _, axis_text = text.strip().partition("@")
        name, _, call_text = rest.partition(":")
        axis = _whole(axis_text, f"site {text!r}: the axis after '@'")
        call = _whole(call_text, f"site {text!r}: the call after ':'")
        head, _, last = name.rpartition(".")
        for port in _PORTS:
            if head and last == port:
                return cls(head, port, axis, call)
        return cls(name, "output", axis, call)

    def __str__(self) -> str:
        """Return the text :meth:`parse` reads back."""
        call = "" if self.call is None else f":{self.call}"
        return f"{self.module}.{self.port}{call}" + ("" if self.axis is None else f"@{self.axis}")

    def validate(self, model: nn.Module) -> nn.Module:
        """Return the module of this site.

        Raises:
            ConfigError: If the model has no such module; the message names the nearest ones.

        Example:
            >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
            >>> Site.parse("0.input").validate(net)
            Linear(in_features=3, out_features=4, bias=True)
        """
        modules: dict[str, nn.Module] = dict(model.named_modules(remove_duplicate=False))
        modules.pop("", None)
        found = modules.get(self.module)
        if found is None:
            kind = type(model).__name__
            raise ConfigError(f"site {self}: {kind} has no module {self.module!r}; {nearest(self.module, modules)}")
        return found

    def channel_axis(self, model: nn.Module, shape: Sequence[int]) -> int:
        """Return the (positive) axis of the channels in an activation of this shape.

        Raises:
            ConfigError: If the model has no such module, the activation has no feature axis, or the declared one does
                not exist.

        Example:
            >>> net = nn.Sequential(nn.Conv1d(2, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3))
            >>> Site.parse("1").channel_axis(net, (7, 4, 5)), Site.parse("1@2").channel_axis(net, (7, 4, 5))
            (1, 2)
        """
        self.validate(model)
        n_dims = len(shape)
        if n_dims < 2:
            raise ConfigError(f"site {self}: its value has {n_dims} axes; an intervention needs [n, features, ...]")
        if self.axis is None:
            return channel_axis(model, self.module, shape, returned=self.port == "output")
        axis = self.axis + n_dims if self.axis < 0 else self.axis
        if not 1 <= axis < n_dims:
            raise ConfigError(f"site {self}: axis {self.axis} does not exist in a value of {n_dims} axes")
        return axis


def _whole(text: str, what: str) -> int | None:
    """Return the whole number in ``text``, None where it is empty."""
    try:
        return int(text) if text else None
    except ValueError:
        raise ConfigError(f"{what} must be a whole number") from None
