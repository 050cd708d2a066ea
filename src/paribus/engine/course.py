"""The course of a forward pass: where it is edited, and where it is read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from paribus.engine.hooks import Edit, Reached, first_of, visiting
from paribus.engine.sites import Site
from paribus.errors import ConfigError

TensorOf = Callable[[Any], Tensor]
"""From what a model returns to its output tensor."""
Score = Callable[[Tensor, slice], Tensor]
"""What is kept of the outputs ``[n_rows, *output]`` of some rows: ``[n_rows, ...]``, e.g. the loss at their targets."""
LOGITS = "logits"


@dataclass(frozen=True)
class Course:
    """Where a pass is edited and read.

    Attributes:
        site: The first site that is edited; everything before it is computed once.
        also: Further sites that the same pass edits; the model reaches them after ``site``.
        read: The site whose value is the output; None for what the model returns. The pass ends there.
        tensor_of: Returns the tensor ``[n, ...]`` in the value there; None for :func:`output_tensor`.
        positions: Which positions of that tensor (axis 1) are kept, negative ones from the end; None for all.

    Example:
        >>> Course(Site("fc", "input"), (), None, None).site.module
        'fc'
    """

    site: Site
    also: tuple[Site, ...] = ()
    read: Site | None = None
    tensor_of: TensorOf | None = None
    positions: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a site that is named twice.

        Raises:
            ConfigError: If one is.
        """
        twice = next((site for site in self.also if (self.site, *self.also).count(site) > 1), None)
        if twice is not None:
            raise ConfigError(f"site {twice}: is named twice; each site is edited once in a pass")

    @property
    def sites(self) -> tuple[Site, ...]:
        """All sites that are edited."""
        return (self.site, *self.also)

    def modules(self, model: nn.Module) -> tuple[nn.Module, ...]:
        """Return the modules of all sites, the one that is read included.

        Raises:
            ConfigError: If the model lacks one.
        """
        return tuple(site.validate(model) for site in (*self.sites, *((self.read,) if self.read else ())))

    def follow(self, model: nn.Module, run: Callable[[], Any], edits: Mapping[Site, Edit]) -> Any:
        """Return what a pass gives in the end: the raw value at ``read``, or what ``run`` returns.

        Args:
            model: The network in which the sites are looked up.
            run: Runs it.
            edits: What is done at each site.
        """
        with contextlib.ExitStack() as stack:
            for site, edit in edits.items():
                stack.enter_context(visiting(model, site, edit))
            if self.read is None:
                return run()
            reader = stack.enter_context(visiting(model, self.read, stop=True))
            with contextlib.suppress(Reached):
                run()
            if reader.value is None:
                raise ConfigError(f"site {self.read}: the forward pass does not run this module; nothing to read there")
            return reader.value

    def output(self, raw: Any, n_rows: int, owner: str) -> Tensor:
        """Return the output tensor in what a pass gave.

        Args:
            raw: What :meth:`follow` returned.
            n_rows: Examples in the pass.
            owner: Name of the model, for messages.

        Raises:
            ConfigError: If it is no tensor, or its first axis is not that of the examples.
        """
        if self.tensor_of is not None:
            found = self.tensor_of(raw)
        else:
            found = first_of(raw) if self.read is not None else output_tensor(raw, owner)
        if not isinstance(found, Tensor):
            raise ConfigError(f"{owner} returns a {type(found).__name__}; name its tensor with tensor_of")
        if not found.ndim or len(found) != n_rows:
            raise ConfigError(
                f"{owner} returns shape {tuple(found.shape)} for {n_rows} examples; the first axis must hold the "
                "examples"
            )
        return found if self.positions is None else self._at_positions(found, owner)

    def _at_positions(self, found: Tensor, owner: str) -> Tensor:
        assert self.positions is not None
        length = found.shape[1] if found.ndim > 1 else 0
        if any(not -length <= one < length for one in self.positions):
            raise ConfigError(f"positions {list(self.positions)}: {owner} gives shape {tuple(found.shape)}")
        return found[:, list(self.positions)]


def output_tensor(raw: Any, owner: str) -> Any:
    """Return the tensor in a model's output: the output itself, ``logits`` of a mapping, or the only one there is.

    Raises:
        ConfigError: If there are several and none is called ``logits``.

    Example:
        >>> import torch
        >>> output_tensor({"logits": torch.zeros(3, 2), "loss": 0.5}, "net").shape
        torch.Size([3, 2])
    """
    if isinstance(raw, Mapping) and isinstance(raw.get(LOGITS), Tensor):
        return raw[LOGITS]
    if not isinstance(raw, Mapping | tuple | list):
        return raw
    values = raw.values() if isinstance(raw, Mapping) else raw
    tensors = [one for one in values if isinstance(one, Tensor)]
    if len(tensors) == 1:
        return tensors[0]
    raise ConfigError(
        f"{owner} returns a {type(raw).__name__} with {len(tensors)} tensors; wrap it in a module that returns "
        "the output alone, or a mapping that calls it 'logits' (Engine takes tensor_of)"
    )
