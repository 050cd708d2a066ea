"""Hooks that read and edit a site of a model during a forward pass and are removed afterwards."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from paribus.engine.sites import Site
from paribus.errors import ConfigError

Edit = Callable[[Tensor], Tensor]


class Reached(Exception):
    """Ends a forward pass once the site has been read."""


@contextlib.contextmanager
def at_rest(*models: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every submodule's training flag is restored, also after an exception.

    Example:
        >>> net = nn.Dropout()
        >>> with at_rest(net):
        ...     net.training, torch.is_grad_enabled()
        (False, False)
        >>> net.training
        True
    """
    training = list({id(one): one for model in models for one in model.modules() if one.training}.values())
    try:
        for module in training:
            module.training = False
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


class Visitor:
    """Sees (and may exchange) the value at a site during forward passes.

    Attributes:
        value: What was at the site in the last pass, before any edit; a copy unless ``stop``.
        calls: How often the site's module was passed since the start.
        written_over: Whether something wrote into the value after it had passed by; known in a pass without inference
            mode.
        log: Where the site is noted down when it is reached.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        >>> with visiting(net, Site("1")) as visitor, torch.no_grad():
        ...     _ = net(torch.ones(2, 3))
        >>> visitor.value.shape, visitor.calls
        (torch.Size([2, 4]), 1)
    """

    def __init__(self, site: Site, edit: Edit | None, *, stop: bool) -> None:
        """Prepare to read, and to apply ``edit``; with ``stop`` the pass ends at the site by :class:`Reached`."""
        self.site, self.edit, self.stop = site, edit, stop
        self.value: Tensor | None = None
        self.calls = 0
        self.log: list[Site] | None = None
        self._passed: tuple[Tensor, int] | None = None

    @property
    def written_over(self) -> bool:
        """Whether something wrote into the value after it had passed by."""
        return self._passed is not None and self._passed[0]._version != self._passed[1]

    def visit(self, value: Any) -> Any:
        """Record ``value`` (or its first tensor) and return its replacement, or None for no change."""
        self.calls += 1
        if self.site.call is not None and self.calls != self.site.call:
            return None
        tensor = first_of(value)
        if not isinstance(tensor, Tensor) or tensor.is_nested:
            kind = "nested tensor" if isinstance(tensor, Tensor) else type(value).__name__
            raise ConfigError(f"site {self.site}: its value is a {kind}, not a tensor")
        if self.log is not None:
            self.log.append(self.site)
        if self.stop:
            self.value = tensor
            raise Reached
        if self.edit is None:
            # Later in-place operations (ReLU(inplace=True), +=) must not reach what was read.
            self.value = tensor.clone()
            self._passed = None if tensor.is_inference() else (tensor, tensor._version)
            return None
        return with_first(value, self.edit(tensor))

    def attach(self, module: nn.Module) -> RemovableHandle:
        """Register on ``module``."""
        if self.site.port == "output":
            return module.register_forward_hook(self._after)
        return module.register_forward_pre_hook(self._before, with_kwargs=True)

    def _after(self, module: nn.Module, args: Any, output: Any) -> Any:
        return self.visit(output)

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            changed = self.visit(args[0])
            return None if changed is None else ((changed, *args[1:]), kwargs)
        for name, value in kwargs.items():
            if isinstance(value, Tensor):
                changed = self.visit(value)
                return None if changed is None else (args, {**kwargs, name: changed})
        raise ConfigError(f"site {self.site}: the module is called without a tensor")


@contextlib.contextmanager
def visiting(model: nn.Module, site: Site, edit: Edit | None = None, *, stop: bool = False) -> Iterator[Visitor]:
    """Attach a :class:`Visitor` to ``site`` of ``model``; it is removed afterwards, also after an exception.

    Raises:
        ConfigError: If the model has no such module, or the value there is no tensor.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        >>> with visiting(net, Site("0"), lambda h: h * 0) as visitor:
        ...     out = net(torch.ones(2, 3))
        >>> visitor.calls, bool((out == 0).all())
        (1, True)
    """
    module = site.validate(model)
    visitor = Visitor(site, edit, stop=stop)
    handle = visitor.attach(module)
    try:
        yield visitor
    finally:
        handle.remove()


def first_of(value: Any) -> Any:
    """Return the tensor in what a module takes or returns: the value itself, or the first of a tuple or mapping.

    Example:
        >>> first_of((torch.ones(2), "state"))
        tensor([1., 1.])
    """
    if isinstance(value, Mapping):
        return next((one for one in value.values() if isinstance(one, Tensor)), value)
    return value[0] if isinstance(value, tuple | list) and value else value


def with_first(value: Any, edited: Tensor) -> Any:
    """Return ``value`` with the tensor that :func:`first_of` finds in it exchanged; ``value`` itself stays as it is.

    Example:
        >>> with_first((torch.ones(1), "state"), torch.zeros(1))
        (tensor([0.]), 'state')
    """
    if isinstance(value, Mapping):
        name = next(key for key, one in value.items() if isinstance(one, Tensor))
        changed: Any = copy.copy(value)
        assert isinstance(changed, MutableMapping)
        changed[name] = edited
        return changed
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named tuple takes its fields one by one
        return type(value)(edited, *value[1:])
    if isinstance(value, tuple | list):
        return type(value)((edited, *value[1:]))
    return edited


def check_visited(site: Site, calls: int) -> None:
    """Raise :class:`ConfigError` unless one forward pass ran the site's module once, or often enough for its call.

    Example:
        >>> check_visited(Site("0"), 1)
        >>> try:
        ...     check_visited(Site("0"), 0)
        ... except ConfigError as error:
        ...     print("refused")
        refused
    """
    if calls == 0:
        raise ConfigError(f"site {site}: the forward pass does not run this module; choose a module that it runs")
    if site.call is None and calls > 1:
        raise ConfigError(
            f"site {site}: the forward pass runs this module {calls} times; name one of its calls, "
            f"{site.module}.{site.port}:1 to {site.module}.{site.port}:{calls}"
        )
    if site.call is not None and calls < site.call:
        raise ConfigError(f"site {site}: the forward pass runs this module {calls} times only")
