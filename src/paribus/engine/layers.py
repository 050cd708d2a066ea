"""Layers that run one after the other, and a forward pass that starts in the middle of them.

Models that cannot be traced (most of Hugging Face's) still run a list of layers, each on what the one before returned.
Then the model's own forward can be run with the first layers passed over: it is given what they returned for the same
inputs, which is computed once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from paribus.engine.given import Given
from paribus.engine.hooks import first_of
from paribus.engine.sites import Site


@dataclass(frozen=True)
class Layers:
    """Modules of a model that run once each, one on what the other returned.

    Attributes:
        names: Their names, in the order in which they run.
        rests: What each returns after the tensor that goes on: nothing but constants; None where it returns the tensor
            alone.
    """

    names: tuple[str, ...]
    rests: tuple[tuple[Any, ...] | None, ...]

    def output(self, index: int) -> Site:
        """Return the site of what layer ``index`` returns."""
        return Site(self.names[index], "output")

    @contextlib.contextmanager
    def passed_over(self, model: nn.Module, upto: int, value: Tensor | None = None) -> Iterator[None]:
        """Skip the first ``upto`` layers: the last of them returns ``value``; hooks on them still run.

        The layers are restored afterwards, also after an exception.
        """
        changed: list[tuple[nn.Module, Any]] = []
        try:
            for index in range(upto):
                module = model.get_submodule(self.names[index])
                given = value if index == upto - 1 else None
                changed.append((module, vars(module).get("forward")))
                module.forward = _returns(given, self.rests[index])
            yield
        finally:
            for module, own in changed:
                if own is None:
                    del module.forward
                else:  # one that was put there before, as by the hooks of ``accelerate``
                    module.forward = own


def _returns(value: Tensor | None, rest: tuple[Any, ...] | None) -> Callable[..., Any]:
    """Return a forward that gives ``value`` (or what it gets) back, in the layer's own form."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        got = args[0] if args else next(one for one in kwargs.values() if isinstance(one, Tensor))
        out = got if value is None else value
        return out if rest is None else (out, *rest)

    return forward


@dataclass(frozen=True)
class Trail:
    """What one forward pass showed of a model.

    Attributes:
        layers: Its longest list of layers.
        upto: For each site that was asked about, how many of them were done when the pass came to it. What a layer
            returns comes after that layer; a site that is not reached has 0.
    """

    layers: Layers
    upto: tuple[int, ...]


def trail(model: nn.Module, sites: Sequence[Site], inputs: Given) -> Trail | None:
    """Return the layers of a model and where sites are among them, or None where there are no two layers.

    Every list of modules is a candidate; it counts where one forward pass runs each of them once, in order, each on the
    very tensor that the one before returned.

    Example:
        >>> import torch
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
        ...     def forward(self, x):
        ...         for layer in self.layers:
        ...             x = layer(x)
        ...         return x
        >>> found = trail(Net(), [Site.parse("layers.2.input")], Given((torch.zeros(1, 2),), (None,)))
        >>> found.layers.names, found.upto
        (('layers.0', 'layers.1', 'layers.2'), (2,))
    """
    with TrailWatch(model, sites) as watch:
        inputs.call(model)
    return watch.found()


class TrailWatch:
    """Observes a forward pass to find a model's layers and where sites are among them.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        >>> with TrailWatch(net, [Site.parse("1.input")]) as watch:
        ...     _ = net(torch.zeros(1, 2))
        >>> watch.found().layers.names
        ('0', '1')
    """

    def __init__(self, model: nn.Module, sites: Sequence[Site]) -> None:
        """Prepare; every list of modules is a candidate."""
        self._model, self._sites = model, sites
        self._candidates = {
            name: list(module.children())
            for name, module in model.named_modules()
            if isinstance(module, nn.ModuleList | nn.Sequential) and len(list(module.children())) > 1
        }
        self._seen: dict[int, list[tuple[Any, Any]]] = {}
        self._order: list[int] = []
        self._reached: dict[int, int] = {}
        """By the place of a site among them: how many modules had run when the pass came to it."""
        self._hooks = contextlib.ExitStack()

    def __enter__(self) -> TrailWatch:
        """Put the hooks on."""
        for index, site in enumerate(self._sites):
            self._hooks.callback(_noted(self._model, site, index, self._order, self._reached))
        for module in {id(one): one for members in self._candidates.values() for one in members}.values():
            self._hooks.callback(module.register_forward_hook(self._after, with_kwargs=True).remove)
        return self

    def __exit__(self, *_: object) -> None:
        """Take them off."""
        self._hooks.close()

    def _after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self._order.append(id(module))
        taken = args[0] if args else next((one for one in kwargs.values() if isinstance(one, Tensor)), None)
        self._seen.setdefault(id(module), []).append((taken, output))

    def found(self) -> Trail | None:
        """Return what the pass showed, None where there are no two layers; what it held of the pass is released."""
        every = [
            layers
            for name, members in self._candidates.items()
            if (layers := _as_layers(name, members, self._model, self._seen, self._order)) is not None
        ]
        self._seen.clear()
        if not every:
            return None
        layers = max(every, key=lambda one: len(one.names))
        of_layers = {id(self._model.get_submodule(name)) for name in layers.names}
        upto = (
            _upto(layers, site, sum(one in of_layers for one in self._order[: self._reached.get(index, 0)]))
            for index, site in enumerate(self._sites)
        )
        return Trail(layers, tuple(upto))


def _noted(model: nn.Module, site: Site, index: int, order: list[int], reached: dict[int, int]) -> Callable[[], None]:
    """Note when the pass comes to a site; return the handle that removes the hook."""
    calls = 0

    def hook(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if site.call in (None, calls):
            reached.setdefault(index, len(order))

    module = site.validate(model)
    register = module.register_forward_pre_hook if site.port == "input" else module.register_forward_hook
    return register(hook).remove


def _upto(layers: Layers, site: Site, counted: int) -> int:
    returned = site.port == "output" and site.call is None and site.module in layers.names
    return layers.names.index(site.module) + 1 if returned else counted


def _as_layers(
    name: str,
    members: list[nn.Module],
    model: nn.Module,
    seen: dict[int, list[tuple[Any, Any]]],
    order: list[int],
) -> Layers | None:
    calls = [seen.get(id(one), []) for one in members]
    if any(len(each) != 1 for each in calls) or len({id(one) for one in members}) != len(members):
        return None
    places = [order.index(id(one)) for one in members]
    pairs = [each[0] for each in calls]
    chained = all(
        isinstance(first_of(before[1]), Tensor) and first_of(before[1]) is after[0]
        for before, after in zip(pairs, pairs[1:], strict=False)
    )
    if places != sorted(places) or not chained or not isinstance(first_of(pairs[-1][1]), Tensor):
        return None
    rests: list[tuple[Any, ...] | None] = []
    for _, output in pairs:
        if isinstance(output, Tensor):
            rests.append(None)
        elif isinstance(output, tuple) and not any(isinstance(one, Tensor) for one in output[1:]):
            rests.append(tuple(output[1:]))
        else:
            return None
    children = [child for child, _ in model.get_submodule(name).named_children()]
    return Layers(tuple(f"{name}.{child}" if name else child for child in children), tuple(rests))
