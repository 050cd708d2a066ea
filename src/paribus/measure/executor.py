"""The one way from a question to numbers: cells and interventions in, values per context out, in bounded memory."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paribus.arrays import Bools, Floats, Ints
from paribus.engine.batches import Batches, number_format, to_device
from paribus.engine.cache import FeatureCache
from paribus.engine.course import output_tensor
from paribus.engine.evaluation import Engine
from paribus.engine.given import Given
from paribus.engine.hooks import at_rest, check_visited, visiting
from paribus.engine.intervention import Intervention
from paribus.engine.sites import Site
from paribus.errors import ConfigError, ExperimentError
from paribus.measure.at_site import AtSite
from paribus.measure.design import Design
from paribus.measure.distinct import distinct
from paribus.measure.nulls import Contrasts, Moments, NullSums, spread
from paribus.measure.readout import Columns, Readout
from paribus.measure.stream import Measured, Stream
from paribus.measure.subject import Subject
from paribus.measure.watch import Watch
from paribus.results.schema import EngineReport

_FORMATS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_private_keys = itertools.count()
Visit = Callable[[slice, Tensor, Any], None]
"""Receives a range of distinct inputs, the vectors at the place (or the outputs), and what the network returned."""


class Executor:
    """Runs one network (one checkpoint) on the cells of one subject.

    Conditions of inputs alone go through the plain network, each distinct input once, like ones in one batch; edits of
    activations go through :class:`~paribus.engine.evaluation.Engine`, which finds the cheapest exact way and proves it
    by parity. Neither ever takes the other's place.

    Attributes:
        network: The network, on its device, in evaluation mode.
        subject: What is measured.
        device: Where it is computed.
        format: Number format of forward passes; a half format through autocast.
        plain: Number format of the network's weights: ``format``, or float32 where that is a half format.

    Example:
        >>> from paribus.measure.contexts import Contexts
        >>> from paribus.measure.readout import Outputs
        >>> from paribus.measure.subject import ArraySubject
        >>> subject = ArraySubject(Contexts(inputs=torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])))
        >>> found = Executor(nn.Linear(2, 1), subject).stream(Design(), Outputs()).collected(3)
        >>> found.values.shape, found.report.n_requested, found.report.n_unique
        ((1, 1, 3), 3, 2)
    """

    def __init__(
        self,
        network: nn.Module,
        subject: Subject,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        batch_limit: int = 512,
        cache: FeatureCache | None = None,
        key: str | None = None,
    ) -> None:
        """Move the network to the device, in evaluation mode.

        Args:
            network: The network.
            subject: Knows the contexts and makes them inputs.
            device: Torch device.
            dtype: ``float32``, ``float64``, or ``bfloat16`` and ``float16`` through autocast.
            batch_limit: The most rows in one forward pass; halved when memory runs out.
            cache: Where site values are kept; None for the engine's own choice.
            key: What identifies the weights; see :class:`~paribus.engine.evaluation.Engine`.
        """
        self.subject, self.device = subject, torch.device(device)
        self.format = _FORMATS[dtype]
        self.plain = torch.float64 if dtype == "float64" else torch.float32
        self.network = network.to(device=self.device, dtype=self.plain).eval()
        self._dtype, self._batch_limit = dtype, batch_limit
        self._cache = FeatureCache() if cache is None and key is None else cache
        self._key = f"executor {next(_private_keys)}" if key is None else key
        self.batches = Batches(batch_limit)
        self._engines: dict[tuple[Any, ...], tuple[Engine, _Score]] = {}
        self._at: dict[str, AtSite] = {}

    def on(self, subject: Subject) -> Executor:
        """Return the same executor for other contexts; network, cache and the batch size that fits are shared."""
        other = copy.copy(self)
        other.subject, other._engines, other._at = subject, {}, {}
        return other

    @property
    def rounding(self) -> float:
        """What the same number, computed in two ways, may be off by, relative to its size.

        64 times the spacing of 32- or 64-bit numbers; of half formats, whose outputs are rounded once more, their own.
        """
        half = self.format in (torch.bfloat16, torch.float16)
        return float(torch.finfo(self.format).eps) if half else 64 * float(torch.finfo(self.plain).eps)

    # ---------------------------------------------------------------- designs

    def feasible(self, design: Design, watch: Watch | None = None) -> Bools:
        """Return which cells ``[levels, n]`` of a design the subject lets pass, without running the network."""
        ok = np.zeros((design.n_levels, len(self.subject)), bool)
        for columns in self.subject.blocks(design.n_levels):
            ok[:, columns] = self.subject.enforce(self._edited(design, columns), watch).ok
        return ok

    def stream(
        self,
        design: Design,
        readout: Readout,
        watch: Watch | None = None,
        *,
        ok: Bools | None = None,
        contrasts: Contrasts | None = None,
        columns: Ints | None = None,
        rows: Ints | None = None,
    ) -> Stream:
        """Measure a design on all contexts, block by block as they are asked for.

        Args:
            design: The conditions.
            readout: What is read.
            watch: Gets counts of what is not legal and of evaluations, and shows progress.
            ok: Which cells ``[levels, n]`` are known to pass (from :meth:`feasible`); None: not yet known.
            contrasts: Mean effects asked of the readout's null features.
            columns: Only these contexts, in one block; None for all.
            rows: Only these contexts, in blocks that fit into memory; None for all.

        Returns:
            What yields a :class:`~paribus.measure.stream.Block` at a time.

        Raises:
            ConfigError: If contrasts of null features are asked for in a design that edits activations.
        """
        blocks = self._blocks(design.n_conditions, rows) if columns is None else [columns]

        def edited() -> Iterator[tuple[Ints, Any]]:
            shown = blocks if watch is None else watch.progress(blocks, description=design.description)
            for some in shown:
                cells = self._edited(design, some)
                yield some, self.subject.enforce(cells, watch) if ok is None else cells.only(ok[:, some])

        sums = None
        if contrasts is not None and readout.nulls is not None:
            if design.n_acts:
                raise ConfigError("null features beside edits of activations: measure them as conditions instead")
            sums = NullSums(contrasts, readout.nulls)

        def measured(some: Ints, cells: Any) -> tuple[Floats, EngineReport]:
            if design.n_acts:
                values, report = self.acted(cells, some, design, readout)
            else:
                values, report = self.read(cells, some, readout, sums=sums)
            return readout.finish(values), report

        return Stream(measured, edited(), sums=sums, watch=watch)

    def measure(self, cells: Any, readout: Readout, watch: Watch | None = None) -> Measured:
        """Measure cells of any shape, legal ones once each: ``[r, *shape]``."""
        cells = self.subject.enforce(cells, watch)
        values, report = self.read(cells, None, readout)
        if watch is not None:
            watch.diagnose(engine=report)
        return Measured(values, None, report)

    def _blocks(self, n_conditions: int, rows: Ints | None) -> list[Ints]:
        """Return all contexts, or ``rows``, in blocks of the size that the subject chooses."""
        blocks = self.subject.blocks(n_conditions)
        if rows is None:
            return blocks
        size = max(len(block) for block in blocks)
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _edited(self, design: Design, columns: Ints) -> Any:
        cells = self.subject.cells(columns)
        return cells[None] if design.edit is None else design.edit(cells)

    # ---------------------------------------------------------------- inputs alone

    def read(
        self, cells: Any, columns: Ints | None, readout: Readout, *, sums: NullSums | None = None
    ) -> tuple[Floats, EngineReport]:
        """Return what is read of cells ``[*shape]``: ``[r, *shape]``, and how; each distinct input is run once.

        Args:
            cells: Checked cells.
            columns: The context of each cell along the last axis; None where the readout does not ask for it.
            readout: What is read.
            sums: Gets what the null features show (cells ``[conditions, b]``).
        """
        chosen = cells[cells.ok]
        n = int(cells.ok.sum())
        if not n:
            return np.full((len(readout.names), *cells.shape), np.nan), EngineReport("inputs", 0, 0)
        ctx = np.broadcast_to(columns, cells.shape)[cells.ok] if columns is not None else np.arange(n)
        first, inverse = distinct(self.subject, chosen, ctx if readout.by_context else None)
        weights = None
        if sums is not None:
            assert columns is not None
            weights = sums.weights(inverse, len(first), cells.ok, columns)
        found: list[Floats] = []

        def visit(batch: slice, x: Tensor, _: Any) -> None:
            values, nulls = readout.read(x, ctx[first[batch]])
            if not found:
                found.append(np.empty((len(values), len(first))))
            found[0][:, batch] = values.double().cpu().numpy()
            if sums is not None and weights is not None and nulls is not None:
                sums.add(weights[batch].T @ nulls.double().cpu().numpy(), batch)

        self.run(chosen[first], readout.place, visit)
        if sums is not None:
            sums.commit()
        values = np.full((len(found[0]), *cells.shape), np.nan)
        values[:, cells.ok] = found[0][:, inverse]
        return values, EngineReport("inputs", n, len(first))

    def run(self, cells: Any, place: str, visit: Visit) -> None:
        """Run the network on flat cells ``[m]`` and hand over, batch by batch, vectors at the place and outputs."""
        site = Site.parse(place) if place else None
        seen: list[Tensor] = []

        def keep(value: Tensor) -> Tensor:
            seen.append(value)
            return value

        def step(rows: slice) -> None:
            passed = self.moved(self.subject.inputs(cells[rows]))
            if visitor is not None:  # calls of a module are counted within one pass
                seen.clear()
                visitor.calls = 0
            with number_format(self.device, self.format):
                output = passed.call(self.network)
            if site is None or visitor is None:
                vectors = _tensor(output, self.network)
            else:
                check_visited(site, visitor.calls)
                vectors = self.subject.vectors(seen[-1], passed, site, self.network)
            if vectors.dtype in (torch.bfloat16, torch.float16):
                vectors = vectors.float()
            visit(rows, vectors, output)

        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            stack.enter_context(at_rest(self.network))
            visitor = stack.enter_context(visiting(self.network, site, keep)) if site is not None else None
            self.batches.run(0, len(cells.ok), step)

    def moments(self, cells: Any, columns: Columns, rows: Ints, place: str) -> tuple[Moments, Floats]:
        """Measure features ``rows`` of ``columns`` on legal cells ``[n]``, in one pass.

        Returns:
            The moments, and f and z of the first feature ``[2, n]``.
        """
        wanted = torch.from_numpy(rows).to(self.device)
        first, inverse = distinct(self.subject, cells, None)
        times = torch.from_numpy(np.bincount(inverse, minlength=len(first)).astype(np.float64))
        done: dict[int, Tensor] = {}
        own = np.empty((2, len(first)))

        def visit(batch: slice, x: Tensor, _: Any) -> None:
            f, z = (part.double().cpu() for part in columns.read(x, wanted))
            weight = times[batch]
            parts = [weight @ f, weight @ f.square(), weight @ (f > 0).double(), weight @ z, weight @ z.square()]
            done[batch.start] = torch.stack(parts)
            own[0, batch], own[1, batch] = f[:, 0].numpy(), z[:, 0].numpy()

        self.run(cells[first], place, visit)
        total = len(inverse)
        mean, square, firing, mean_z, square_z = (torch.stack(list(done.values())).sum(0) / total).numpy()
        return Moments(rows, mean, spread(mean, square), firing, spread(mean_z, square_z)), own[:, inverse]

    def moved(self, passed: Given) -> Given:
        """Return inputs on the device, in the network's number format."""
        moved = (to_device(one, self.device) for one in passed.tensors)
        return Given(tuple(one.to(self.plain) if one.is_floating_point() else one for one in moved), passed.names)

    # ---------------------------------------------------------------- edits of activations

    def at(self, site: Site | str) -> AtSite:
        """Return the network at a site: vectors, outputs with and without edits there, gradients; made once.

        Raises:
            ConfigError: If the network has no such site.
        """
        name = str(Site.parse(site) if isinstance(site, str) else site)
        if name not in self._at:
            engine = Engine(
                self.network,
                name,
                device=self.device,
                batch_limit=self._batch_limit,
                dtype=self._dtype,
                cache=self._cache,
                key=self._key,
            )
            self._at[name] = AtSite(engine, self.network, self.subject, moved=self.moved, batches=self.batches)
        return self._at[name]

    def _engine(self, sites: tuple[str, ...], readout: Readout) -> tuple[Engine, _Score]:
        """Return the engine that edits at ``sites`` for a readout, and what it keeps of outputs; made once."""
        key = (sites, readout)
        if key not in self._engines:
            score = _Score(self, readout)
            engine = Engine(
                self.network,
                sites[0],
                also=sites[1:],
                read=readout.place or None,
                positions=readout.positions,
                device=self.device,
                batch_limit=self._batch_limit,
                dtype=self._dtype,
                cache=self._cache,
                key=self._key,
                score=score,
            )
            self._engines[key] = engine, score
        return self._engines[key]

    def acted(self, cells: Any, columns: Ints, design: Design, readout: Readout) -> tuple[Floats, EngineReport]:
        """Return what is read of cells ``[levels, b]`` under each act: ``[r, levels * acts, b]``, and how."""
        acts = design.acts_on(columns)
        if len(acts) != design.n_acts:
            raise ExperimentError(f"the design speaks of {design.n_acts} acts, its factor made {len(acts)}")
        levels, b = cells.shape
        values: Floats | None = None
        report = EngineReport("", 0, 0)
        for level in range(levels):
            some = np.flatnonzero(cells.ok[level])
            if not len(some):
                continue
            found, how = self._acted(cells[level][some], columns[some], some, b, acts, design.sites, readout)
            if values is None:
                values = np.full((len(found), levels, len(acts), b), np.nan)
            values[:, level][:, :, some] = found
            report = report.joined(how)
        if values is None:
            return np.full((len(readout.names), levels * len(acts), b), np.nan), report
        return values.reshape(len(values), levels * len(acts), b), report

    def _acted(
        self,
        cells: Any,
        ctx: Ints,
        some: Ints,
        b: int,
        acts: Sequence[Intervention],
        sites: tuple[str, ...],
        readout: Readout,
    ) -> tuple[Floats, EngineReport]:
        """Return ``[r, acts, m]`` of flat legal cells of contexts ``ctx [m]``, at the places ``some`` of a block."""
        by_row = any(one.needs_rows for one in acts)
        if by_row and len(some) != b:
            raise ExperimentError("interventions that differ by row need every context of a block to be legal")
        if by_row:
            first = inverse = np.arange(len(ctx))
        else:
            first, inverse = distinct(self.subject, cells, ctx if readout.by_context else None)
        engine, score = self._engine(sites, readout)
        score.passed, score.ctx = self.subject.held(cells[first]), ctx[first]  # for each null the same ones again
        found = engine.evaluate(score.passed, acts)
        values = np.moveaxis(np.asarray(found.outputs, dtype=np.float64)[:, inverse], 2, 0)
        return values, EngineReport(
            strategy=found.report.strategy,
            n_requested=len(ctx) * len(acts),
            n_unique=len(first) * len(acts),
            parity_max_abs_diff=found.report.parity_max_abs_diff,
        )

    def vectors(self, site: str, columns: Ints) -> Floats:
        """Return the vectors ``[b, d]`` that contexts, unedited, have at a site."""
        cells = self.subject.cells(columns)
        found: list[Floats] = []

        def visit(batch: slice, x: Tensor, _: Any) -> None:
            del found[_place_in(found, batch) :]
            found.append(x.double().cpu().numpy())

        self.run(cells, site, visit)
        return np.concatenate(found)

    def values(self, site: str, columns: Ints) -> Tensor:
        """Return the whole values ``[b, d, *positions]`` that contexts, unedited, have at a site, on the CPU."""
        found: dict[int, Tensor] = {}

        def keep(rows: slice, passed: Given, where: Site, value: Tensor) -> None:
            axis = where.channel_axis(where.validate(self.network), value.ndim)
            found[rows.start] = value.movedim(axis, 1).detach().cpu().clone()

        self._visit((site,), columns, keep)
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
            axis = where.channel_axis(where.validate(self.network), value.ndim)
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

    def _visit(self, sites: tuple[str, ...], columns: Ints, keep: Callable[[slice, Given, Site, Tensor], None]) -> None:
        """Run contexts unedited and hand over the raw value at every site, batch by batch.

        Raises:
            ConfigError: If the forward pass does not run one of the modules.
        """
        seen: dict[Site, Tensor] = {}
        cells = self.subject.cells(columns)

        def step(rows: slice) -> None:
            seen.clear()
            passed = self.moved(self.subject.inputs(cells[rows]))
            with contextlib.ExitStack() as stack:
                for where in map(Site.parse, sites):
                    stack.enter_context(visiting(self.network, where, _noted(seen, where)))
                stack.enter_context(number_format(self.device, self.format))
                passed.call(self.network)
            for where in map(Site.parse, sites):
                if where not in seen:
                    raise ConfigError(f"site {where}: the forward pass does not run this module; nothing to read there")
                keep(rows, passed, where, seen[where])

        with torch.inference_mode(), at_rest(self.network):
            self.batches.run(0, len(columns), step)

    def width(self, site: str) -> int:
        """Return the number of channels at a site.

        Raises:
            ConfigError: If the network has no such site, or its value holds no vector.
        """
        return int(self.vectors(site, np.arange(1)).shape[1])


class _Score:
    """What an engine keeps of its outputs: what the readout reads, for the inputs and contexts at hand."""

    def __init__(self, executor: Executor, readout: Readout) -> None:
        self._executor, self._readout = executor, readout
        self._site = Site.parse(readout.place) if readout.place else None
        self.passed: Given | None = None
        self.ctx: Ints = np.empty(0, np.int64)

    def __call__(self, output: Tensor, rows: slice) -> Tensor:
        """Return ``[n_rows, r]`` of the outputs of ``rows``."""
        x = output
        if self._site is not None:
            assert self.passed is not None
            there = self._executor.moved(self.passed.take(rows))
            x = self._executor.subject.vectors(output, there, self._site, self._executor.network)
        x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        return self._readout.read(x, self.ctx[rows])[0].T


def _noted(seen: dict[Site, Tensor], where: Site) -> Callable[[Tensor], Tensor]:
    """Return an edit that changes nothing and keeps the latest value."""

    def keep(value: Tensor) -> Tensor:
        seen[where] = value
        return value

    return keep


def _place_in(found: list[Floats], batch: slice) -> int:
    """Return how many of the batches so far lie before ``batch``: a repeated one replaces itself."""
    total = 0
    for index, one in enumerate(found):
        if total >= batch.start:
            return index
        total += len(one)
    return len(found)


def _tensor(output: Any, network: nn.Module) -> Tensor:
    found = output_tensor(output, type(network).__name__)
    if not isinstance(found, Tensor):
        raise ConfigError(f"{type(network).__name__} returns a {type(found).__name__}, not a tensor")
    return found
