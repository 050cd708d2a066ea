"""Unedited forward passes of one network over the cells of one subject, and the values at any place on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Floats, Ints
from paribus.engine.batches import FORMATS, HALF, Batches, number_format, to_device, widened
from paribus.engine.course import output_tensor
from paribus.engine.given import Given
from paribus.engine.hooks import at_rest, check_visited, first_of, visiting
from paribus.engine.sites import Site
from paribus.errors import ConfigError
from paribus.measure.distinct import distinct
from paribus.measure.nulls import Moments, spread
from paribus.measure.positions import counted
from paribus.measure.readout import Columns, at_each_position
from paribus.measure.subject import Subject

MOST_OUTPUT_BYTES = 1 << 30
"""Bytes of outputs of one pass, where those of a context are known to be large."""
Each = Callable[[Tensor], Tensor]
"""From vectors at single positions ``[..., d]`` to what is read there ``[..., k]``."""
Visit = Callable[[slice, Tensor, Any], None]
"""Receives a range of distinct inputs, the vectors at the place (or the outputs), and what the network returned."""


class Passes:
    """Runs one network (one checkpoint) on the cells of one subject, in batches that fit into memory.

    Attributes:
        network: The network, on its device, in evaluation mode.
        subject: What is measured.
        device: Where it is computed.
        format: Number format of forward passes; a half format through autocast.
        plain: Number format of the network's weights: ``format``, or float32 where that is a half format.
        batches: The batch size that fits into memory, found on the way.

    Example:
        >>> from paribus.measure.contexts import Contexts
        >>> from paribus.measure.subject import ArraySubject
        >>> net = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1))
        >>> passes = Passes(net, ArraySubject(Contexts(inputs=torch.zeros(3, 2))))
        >>> passes.width("0"), passes.vectors("1", np.arange(3)).shape
        (5, (3, 5))
    """

    def __init__(
        self,
        network: nn.Module,
        subject: Subject,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        batch_limit: int = 512,
    ) -> None:
        """Move the network to the device, in evaluation mode.

        Args:
            network: The network.
            subject: Knows the contexts and makes them inputs.
            device: Torch device.
            dtype: ``float32``, ``float64``, or ``bfloat16`` and ``float16`` through autocast.
            batch_limit: The most rows in one forward pass; halved when memory runs out.
        """
        self.subject, self.device = subject, torch.device(device)
        self.format = FORMATS[dtype]
        self.plain = torch.float64 if dtype == "float64" else torch.float32
        self.network = network.to(device=self.device, dtype=self.plain).eval()
        self.batches = Batches(batch_limit)

    @property
    def rounding(self) -> float:
        """Relative difference up to which two computations of the same number count as equal: 64 times its spacing.

        In a half format too, whose outputs are kept as 32-bit numbers: what is smaller than the spacing of 16-bit
        numbers is uncertain, but not 0 (:attr:`spacing`).
        """
        return 64 * float(torch.finfo(self.plain).eps)

    @property
    def spacing(self) -> float:
        """How far apart the outputs of a half format lie, relative to their size; 0 in other formats."""
        return float(torch.finfo(self.format).eps) if self.format in HALF else 0.0

    @property
    def _at_most(self) -> int | None:
        """How many rows go through the network together, so that their outputs fit into memory; None: no bound."""
        size = self.subject.output_bytes
        return max(1, MOST_OUTPUT_BYTES // size) if size else None

    def run(self, cells: Any, place: str, visit: Visit, *, each: Each | None = None) -> None:
        """Run the network on flat cells ``[m]`` and hand over, batch by batch, vectors at the place and outputs.

        Args:
            cells: The cells.
            place: The place; empty for the output.
            visit: Gets a batch.
            each: What is made of the vector at each position before the subject makes one of all.
        """
        site = Site.parse(place) if place else None

        def step(rows: slice) -> None:
            passed = self.moved(self.subject.inputs(cells[rows]))
            if visitor is not None:  # calls of a module are counted within one pass
                visitor.calls = 0
            with number_format(self.device, self.format):
                output = passed.call(self.network)
            if site is None or visitor is None:
                vectors = _tensor(output, self.network)
            else:
                check_visited(site, visitor.calls)
                assert visitor.value is not None
                vectors = self.vectors_of(visitor.value, passed, site, each)
            visit(rows, widened(vectors), output)

        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            stack.enter_context(at_rest(self.network))
            visitor = stack.enter_context(visiting(self.network, site)) if site is not None else None
            self.batches.run(0, len(cells.ok), step, at_most=self._at_most)

    def collected(self, cells: Any, place: str, *, each: Each | None = None) -> Tensor:
        """Return the vectors ``[m, d]`` of flat cells ``[m]`` at a place, on the CPU; arguments as for :meth:`run`."""
        found: dict[int, Tensor] = {}

        def visit(batch: slice, x: Tensor, _: Any) -> None:
            found[batch.start] = x.to("cpu", copy=True)

        self.run(cells, place, visit, each=each)
        return torch.cat([found[start] for start in sorted(found)])

    def vectors_of(self, value: Tensor, passed: Given, site: Site, each: Each | None) -> Tensor:
        """Return the vector of each row in a raw value at a site, of what ``each`` makes of it position by position.

        Raises:
            ConfigError: If the value does not go by examples.
        """
        _refuse_other_rows(value, len(passed), site)
        if each is None:
            return self.subject.vectors(value, passed, site, self.network)
        axis = site.channel_axis(self.network, value.shape)
        made = each(value.movedim(axis, -1).to(self.plain)).movedim(-1, axis)
        return self.subject.vectors(made, passed, replace(site, axis=axis), self.network)

    def moments(
        self, cells: Any, columns: Columns, rows: Ints, place: str, *, by_position: bool = False
    ) -> tuple[Moments, Floats]:
        """Measure features ``rows`` of ``columns`` on legal cells ``[n]``, in one pass.

        Args:
            cells: The cells.
            columns: Features of one kind.
            rows: Which.
            place: Where they are read.
            by_position: Whether at each position, of which the mean is taken.

        Returns:
            The moments, and f and z of the first feature ``[2, n]``.
        """
        wanted = torch.from_numpy(rows).to(self.device)
        first, inverse = distinct(self.subject, cells, None)
        times = torch.from_numpy(np.bincount(inverse, minlength=len(first)).astype(np.float64))
        done: dict[int, Tensor] = {}
        own = np.empty((2, len(first)))

        def visit(batch: slice, x: Tensor, _: Any) -> None:
            read = columns.read(x, wanted) if each is None else x.chunk(2, dim=1)
            f, z = (part.double().cpu() for part in read)
            weight = times[batch]
            parts = [weight @ f, weight @ f.square(), weight @ (f > 0).double(), weight @ z, weight @ z.square()]
            done[batch.start] = torch.stack(parts)
            own[0, batch], own[1, batch] = f[:, 0].numpy(), z[:, 0].numpy()

        each = at_each_position(columns, wanted) if by_position else None
        self.run(cells[first], place, visit, each=each)
        total = len(inverse)
        mean, square, firing, mean_z, square_z = (torch.stack(list(done.values())).sum(0) / total).numpy()
        return Moments(rows, mean, spread(mean, square), firing, spread(mean_z, square_z)), own[:, inverse]

    def moved(self, passed: Given) -> Given:
        """Return inputs on the device, in the network's number format."""
        moved = (to_device(one, self.device) for one in passed.tensors)
        return Given(tuple(one.to(self.plain) if one.is_floating_point() else one for one in moved), passed.names)

    def output_of(self, passed: Given) -> Tensor:
        """Return what the network returns for inputs: its output, or the first of several tensors."""
        with torch.inference_mode(), at_rest(self.network), number_format(self.device, self.format):
            found = first_of(self.moved(passed).call(self.network))
        if not isinstance(found, Tensor):
            raise ConfigError(f"{type(self.network).__name__} returns a {type(found).__name__}, not a tensor")
        return found

    def vectors(self, site: str, columns: Ints) -> Floats:
        """Return the vectors ``[b, d]`` that contexts, unedited, have at a site."""
        return self.collected(self.subject.cells(columns), site).double().numpy()

    def values(self, site: str, columns: Ints) -> Tensor:
        """Return the whole values ``[b, d, *positions]`` that contexts, unedited, have at a site, on the CPU."""
        return self.values_at((site,), columns)[site]

    def values_at(self, sites: Sequence[str], columns: Ints) -> dict[str, Tensor]:
        """Return the whole values that contexts, unedited, have at several sites, read in the same passes.

        The sites are in the order in which the network comes to them. Like :meth:`values`, on the CPU.
        """
        found: dict[str, dict[int, Tensor]] = {}
        names = {Site.parse(site): site for site in sites}

        def keep(rows: slice, passed: Given, where: Site, value: Tensor) -> None:
            axis = where.channel_axis(self.network, value.shape)
            found.setdefault(names[where], {})[rows.start] = value.movedim(axis, 1).detach().cpu().clone()

        self._visit(tuple(sites), columns, keep)
        return {site: torch.cat([parts[start] for start in sorted(parts)]) for site, parts in found.items()}

    def activations(self, columns: Columns, rows: Ints, site: str, contexts: Ints) -> Floats:
        """Return the activations ``[b, len(rows)]`` of features at a site: means over positions, unedited.

        Args:
            columns: Features of one kind.
            rows: Which.
            site: Where they are read.
            contexts: Which contexts.
        """
        wanted = torch.from_numpy(np.asarray(rows)).to(self.device)
        both = self.collected(self.subject.cells(contexts), site, each=at_each_position(columns, wanted))
        return both[:, : len(wanted)].double().numpy()

    def at_positions(self, site: str, columns: Ints) -> Tensor:
        """Return the vectors ``[m, d]`` at all positions that count, of contexts unedited, in their order."""
        found: dict[int, Tensor] = {}

        def visit(rows: slice, h: Tensor, counts: Tensor) -> None:
            found[rows.start] = h[counts > 0].to("cpu", self.plain, copy=True)

        self.visit_positions(self.subject.cells(columns), site, visit)
        return torch.cat([found[start] for start in sorted(found)])

    def vectors_at(self, sites: Sequence[str], columns: Ints) -> dict[str, Floats]:
        """Return the vectors ``[b, d]`` that contexts, unedited, have at several sites, read in the same passes."""
        found: dict[str, dict[int, Floats]] = {site: {} for site in sites}
        names = {Site.parse(site): site for site in sites}

        def keep(rows: slice, passed: Given, where: Site, value: Tensor) -> None:
            vectors = self.subject.vectors(value, passed, where, self.network)
            found[names[where]][rows.start] = vectors.double().cpu().numpy()

        self._visit(tuple(sites), columns, keep)
        return {site: np.concatenate([parts[start] for start in sorted(parts)]) for site, parts in found.items()}

    def ranges_at(self, sites: Sequence[str], columns: Ints, *, over_positions: bool) -> dict[str, Floats]:
        """Return by how much each channel differs between contexts, unedited, at several sites: ``[d]``, max - min.

        Args:
            sites: Where.
            columns: Which contexts.
            over_positions: Whether positions are compared with each other too, or each with itself only.
        """
        ends: dict[Site, tuple[Tensor, Tensor]] = {}

        def keep(rows: slice, passed: Given, where: Site, value: Tensor) -> None:
            axis = where.channel_axis(self.network, value.shape)
            h = value.movedim(axis, 1)
            flat = (h.flatten(2) if h.ndim > 2 else h[:, :, None]).double()
            if over_positions:
                flat = flat.movedim(2, 1).flatten(0, 1)[:, :, None]
            low, high = flat.amin(0), flat.amax(0)
            known = ends.get(where)
            ends[where] = (low, high) if known is None else (low.minimum(known[0]), high.maximum(known[1]))

        self._visit(tuple(sites), columns, keep)
        found = {site: ends[Site.parse(site)] for site in sites}
        return {site: (high - low).amax(1).cpu().numpy() for site, (low, high) in found.items()}

    def visit_positions(self, cells: Any, site: str, visit: Callable[[slice, Tensor, Tensor], None]) -> None:
        """Run flat cells ``[m]`` and hand over, batch by batch, what is at every position of a site.

        Args:
            cells: Checked cells.
            site: Where.
            visit: Gets a range of the cells, the vectors ``[b, positions, d]`` and how much each position counts
                ``[b, positions]`` (:func:`~paribus.measure.positions.counted`). A range that comes again (its batch was
                halved) replaces what came before.
        """

        def keep(rows: slice, passed: Given, where: Site, value: Tensor) -> None:
            axis = where.channel_axis(self.network, value.shape)
            h = value.movedim(axis, 1)
            h = h.flatten(2) if h.ndim > 2 else h[:, :, None]
            h = widened(h)
            visit(rows, h.movedim(1, 2), counted(self.subject, value, passed, where, self.network).to(h))

        self._visit_cells((site,), cells, keep)

    def _visit(self, sites: tuple[str, ...], columns: Ints, keep: Callable[[slice, Given, Site, Tensor], None]) -> None:
        """Run contexts unedited and hand over the raw value at every site, batch by batch."""
        self._visit_cells(sites, self.subject.cells(columns), keep)

    def _visit_cells(
        self, sites: tuple[str, ...], cells: Any, keep: Callable[[slice, Given, Site, Tensor], None]
    ) -> None:
        """Run flat cells and hand over the raw value at every site, batch by batch, as it was when the pass came by.

        Raises:
            ConfigError: If the forward pass does not run one of the modules, runs it more often than is said, or its
                value does not go by examples.
        """
        wanted = tuple(dict.fromkeys(map(Site.parse, sites)))

        def step(rows: slice) -> None:
            passed = self.moved(self.subject.inputs(cells[rows]))
            order: list[Site] = []
            with contextlib.ExitStack() as stack:
                visitors = {where: stack.enter_context(visiting(self.network, where)) for where in wanted}
                for visitor in visitors.values():
                    visitor.log = order
                stack.enter_context(number_format(self.device, self.format))
                passed.call(self.network)
            for where, visitor in visitors.items():
                check_visited(where, visitor.calls)
            for where in order:  # as the pass comes to them
                value = visitors[where].value
                assert value is not None
                _refuse_other_rows(value, len(passed), where)
                keep(rows, passed, where, value)

        with torch.inference_mode(), at_rest(self.network):
            self.batches.run(0, len(cells.ok), step, at_most=self._at_most)

    def width(self, site: str) -> int:
        """Return the number of channels at a site.

        Raises:
            ConfigError: If the network has no such site, or its value holds no vector.
        """
        _, *shape = self.vectors(site, np.arange(1)).shape
        if len(shape) != 1:
            raise ConfigError(f"{f'site {site}' if site else 'outputs'}: {shape} numbers for a context are no vector")
        return int(shape[0])


def _refuse_other_rows(value: Tensor, n: int, site: Site) -> None:
    """Refuse values that do not go by examples: experts and OPT's units take all positions of all sequences as rows."""
    if value.ndim and len(value) != n:
        raise ConfigError(
            f"site {site}: its value has shape {tuple(value.shape)} for {n} examples; axis 0 must hold the examples"
        )


def _tensor(output: Any, network: nn.Module) -> Tensor:
    found = output_tensor(output, type(network).__name__)
    if not isinstance(found, Tensor):
        raise ConfigError(f"{type(network).__name__} returns a {type(found).__name__}, not a tensor")
    return found
