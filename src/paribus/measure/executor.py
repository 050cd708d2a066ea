"""The one way from a question to numbers: cells and interventions in, values per context out, in bounded memory."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from paribus.arrays import Bools, Floats, Ints
from paribus.engine.batches import widened
from paribus.engine.cache import FeatureCache
from paribus.engine.evaluation import Engine
from paribus.engine.given import Given
from paribus.engine.intervention import Intervention
from paribus.engine.sites import Site
from paribus.errors import ConfigError, ExperimentError
from paribus.measure.at_site import AtSite
from paribus.measure.design import Design
from paribus.measure.distinct import distinct
from paribus.measure.nulls import Contrasts, NullSums
from paribus.measure.passes import Passes
from paribus.measure.readout import Readout
from paribus.measure.stream import Measured, Stream
from paribus.measure.subject import Subject
from paribus.measure.watch import Watch
from paribus.results.schema import EngineReport
from paribus.stats.clusters import by_size

_private_keys = itertools.count()


class Executor(Passes):
    """Runs one network (one checkpoint) on the cells of one subject.

    Conditions of inputs alone go through the plain network, each distinct input once, like ones in one batch; edits of
    activations go through :class:`~paribus.engine.evaluation.Engine`, which finds the cheapest exact way and checks its
    parity. Neither is ever substituted for the other.

    Attributes:
        network: The network, on its device, in evaluation mode.
        subject: What is measured.
        device: Where it is computed.
        format: Number format of forward passes; a half format through autocast.
        plain: Number format of the network's weights: ``format``, or float32 where that is a half format.

    Example:
        >>> import torch
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
        super().__init__(network, subject, device=device, dtype=dtype, batch_limit=batch_limit)
        self._settings: dict[str, Any] = {
            "device": self.device,
            "dtype": dtype,
            "batch_limit": batch_limit,
            "cache": FeatureCache() if cache is None and key is None else cache,
            "key": f"executor {next(_private_keys)}" if key is None else key,
        }
        self._engines: dict[tuple[Any, ...], tuple[Engine, _Score]] = {}
        self._at: dict[str, AtSite] = {}

    def on(self, subject: Subject) -> Executor:
        """Return the same executor for other contexts; network, cache and the batch size that fits are shared."""
        other = copy.copy(self)
        other.subject, other._engines, other._at = subject, {}, {}
        return other

    # ---------------------------------------------------------------- designs

    def feasible(self, design: Design, watch: Watch | None = None) -> Bools:
        """Return which cells ``[levels, n]`` of a design are legal, without running the network."""
        ok = np.zeros((design.n_levels, len(self.subject)), bool)
        for columns, legal in self.legal(design, watch=watch):
            ok[:, columns] = legal
        return ok

    def legal(
        self, design: Design, rows: Ints | None = None, watch: Watch | None = None
    ) -> Iterator[tuple[Ints, Bools]]:
        """Yield contexts ``[b]`` and which of their cells ``[levels, b]`` are legal, block by block."""
        for columns in self._blocks(design.n_levels, rows):
            yield columns, self.subject.enforce(self._edited(design, columns), watch).ok

    def stream(
        self,
        design: Design,
        readout: Readout,
        watch: Watch | None = None,
        *,
        ok: Bools | None = None,
        contrasts: Contrasts | None = None,
        rows: Ints | None = None,
    ) -> Stream:
        """Measure a design on all contexts, block by block as they are asked for.

        Args:
            design: The conditions.
            readout: What is read.
            watch: Gets counts of illegal cells and of evaluations, and shows progress.
            ok: Which cells ``[levels, n]`` are known to be legal (from :meth:`feasible`); None: not yet known.
            contrasts: Mean effects asked of the readout's null features.
            rows: Only these contexts, in blocks that fit into memory; None for all.

        Returns:
            What yields a :class:`~paribus.measure.stream.Block` at a time. What the network gives no finite number
            for is NaN there, as what is not legal; ``watch`` is told in how many contexts.

        Raises:
            ConfigError: If contrasts of null features are asked for in a design that edits activations.
        """
        blocks = self._blocks(design.n_conditions, rows)
        undefined: set[int] = set()

        def edited() -> Iterator[tuple[Ints, Any]]:
            shown = blocks if watch is None else watch.progress(blocks, description=design.description)
            for some in shown:
                cells = self._edited(design, some)
                yield some, self.subject.enforce(cells, watch) if ok is None else cells.only(ok[:, some])
            if watch is not None and undefined:
                watch.warn(
                    f"In {len(undefined)} of {sum(map(len, blocks))} contexts the network gives NaN, or infinite "
                    f"values, for what is read ({readout.names[0]}), edited or not; there they are left out."
                )

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
            values = readout.finish(values)
            finite = np.isfinite(values)
            odd = ~finite[0] & np.repeat(cells.ok, max(1, design.n_acts), axis=0)
            undefined.update(some[odd.any(axis=0) & cells.ok[0]].tolist())  # else the baseline was taken out
            return values if finite.all() else np.where(finite, values, np.nan), report

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
        return [rows[some] for some in by_size(len(rows), max(map(len, blocks)))]

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
                sums.add(weights, nulls.double().cpu().numpy(), batch)

        self.run(chosen[first], readout.place, visit, each=readout.each)
        if sums is not None:
            sums.commit()
        values = np.full((len(found[0]), *cells.shape), np.nan)
        values[:, cells.ok] = found[0][:, inverse]
        return values, EngineReport("inputs", n, len(first))

    # ---------------------------------------------------------------- edits of activations

    def at(self, site: Site | str) -> AtSite:
        """Return the network at a site: vectors, outputs with and without edits there, gradients; made once.

        Raises:
            ConfigError: If the network has no such site.
        """
        name = str(Site.parse(site) if isinstance(site, str) else site)
        if name not in self._at:
            engine = Engine(self.network, name, **self._settings)
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
                score=score,
                **self._settings,
            )
            self._engines[key] = engine, score
        return self._engines[key]

    def acted(self, cells: Any, columns: Ints, design: Design, readout: Readout) -> tuple[Floats, EngineReport]:
        """Return what is read of cells ``[levels, b]`` under each act: ``[r, levels * acts, b]``, and how."""
        every = design.acts_on(columns)
        if len(every) != design.n_acts:
            raise ExperimentError(f"the design declares {design.n_acts} acts, its factor made {len(every)}")
        by_row = any(one.needs_rows for one in every)
        levels, b = cells.shape
        values: Floats | None = None
        report = EngineReport("", 0, 0)
        for level in range(levels):
            some = np.flatnonzero(cells.ok[level])
            if not len(some):
                continue
            acts = design.acts_on(columns[some]) if by_row and len(some) != b else every
            found, how = self._acted(cells[level][some], columns[some], acts, design.sites, readout, by_row=by_row)
            if values is None:
                values = np.full((len(found), levels, len(every), b), np.nan)
            values[:, level][:, :, some] = found
            report = report.joined(how)
        if values is None:
            return np.full((len(readout.names), levels * len(every), b), np.nan), report
        return values.reshape(len(values), levels * len(every), b), report

    def _acted(
        self,
        cells: Any,
        ctx: Ints,
        acts: Sequence[Intervention],
        sites: tuple[str, ...],
        readout: Readout,
        *,
        by_row: bool,
    ) -> tuple[Floats, EngineReport]:
        """Return ``[r, acts, m]`` of flat legal cells of contexts ``ctx [m]``; ``by_row``: acts differ there."""
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
            x = self._executor.vectors_of(output, there, self._site, self._readout.each)
        return self._readout.read(widened(x), self.ctx[rows])[0].T
