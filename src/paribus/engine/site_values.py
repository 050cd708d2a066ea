"""The value at a site for given inputs: computed once, in batches, and kept."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import torch
from torch import Tensor, nn

from paribus.engine.batches import Batches, to_device, widened
from paribus.engine.cache import FeatureCache, InputDigests
from paribus.engine.given import Given
from paribus.engine.hooks import Reached, visiting
from paribus.engine.layers import Layers
from paribus.engine.plan import Plan
from paribus.engine.sites import Site
from paribus.engine.tail import kept_keys

# Bytes that enter one pass on the CPU. ResNet-18 at 96 px was within 10 % of its fastest from the image, after layer1,
# layer2 and layer3 alike with 4 to 9 MB; 512 rows at once were up to 45 % slower from layer1, 16 rows 40 % slower from
# layer3. A fixed size, because a timed choice would change the rounding from run to run.
PASS_BYTES = 8 << 20
_LEAST_ROWS = 16
# Bytes of outputs that one pass makes on the CPU: those of a language model are wider by far than what enters (49,152
# logits at each of 12 positions are 2.4 MB a row), and some three copies of them are held while they are read.
PASS_OUTPUT_BYTES = 256 << 20


class SiteValues:
    """Computes and keeps a site's values. Use it in evaluation mode without gradients."""

    def __init__(
        self, model: nn.Module, site: Site, cache: FeatureCache, key: str, batches: Batches, names: tuple[Any, ...]
    ) -> None:
        """Prepare.

        Args:
            model: The network, on its device and in its number format.
            site: Where to look.
            cache: Where values are kept.
            key: What identifies the weights.
            batches: How many rows at once.
            names: What else the values depend on (number format, device, the rest of the course).
        """
        self.model, self.site, self.batches = model, site, batches
        self._cache, self._key, self._names = cache, key, names
        weight = next(model.parameters(), torch.empty(0))
        self.device, self.dtype = weight.device, weight.dtype if weight.is_floating_point() else torch.float32
        self._digests = InputDigests()

    def rows(self, inputs: Given, rows: slice) -> Given:
        """Return rows of the inputs on the device, in the model's number format."""
        moved = tuple(to_device(one[rows], self.device) for one in inputs.tensors)
        return Given(tuple(one.to(self.dtype) if one.is_floating_point() else one for one in moved), inputs.names)

    def rows_at_once(self, values: tuple[Tensor, ...]) -> int:
        """Return how many rows of ``values`` go through (a part of) the network together, memory permitting."""
        return self.rows_within(sum(one[0].numel() * one.element_size() for one in values))

    def rows_within(self, row_bytes: int) -> int:
        """Return the same for rows of ``row_bytes`` bytes."""
        if self.device.type != "cpu":
            return self.batches.limit
        return max(_LEAST_ROWS, PASS_BYTES // max(1, row_bytes))

    def rows_out(self, plan: Plan, positions: int = 0) -> int:
        """Return of how many rows outputs are made together, at as many positions as a pass runs (0: as are kept)."""
        if self.device.type != "cpu":
            return self.batches.limit
        made = max(math.prod(plan.output_shape), positions * (plan.output_shape[-1] if plan.output_shape else 1))
        return max(_LEAST_ROWS, PASS_OUTPUT_BYTES // max(1, made * self.dtype.itemsize))

    def blocks(self, plan: Plan, n: int) -> list[slice]:
        """Return the row ranges whose values are held together: all rows, or a quarter of the cache's bound each."""
        if n * plan.row_bytes <= self._cache.limit_bytes:
            return [slice(0, n)]
        size = max(1, self._cache.limit_bytes // 4 // plan.row_bytes)
        return [slice(start, min(n, start + size)) for start in range(0, n, size)]

    def values(self, plan: Plan, inputs: Given, block: slice) -> tuple[Tensor, ...]:
        """Return the raw site values of ``block`` and the boundary values that go by rows."""
        kind = ("hooks" if plan.split is None else "split", len(plan.boundary), inputs.names)
        digest = self._digests.of(inputs.tensors)
        key = (self._key, str(self.site), kind, self._names, digest, block.start, block.stop)
        found = self._cache.get(key)
        if found is None:
            found = self._computed(plan, inputs, block)
            self._cache.put(key, found)
        return found

    def after_layers(
        self, inputs: Given, rows: slice, layers: Layers, uptos: tuple[int, ...], *, keys: bool
    ) -> tuple[dict[int, Tensor], Any]:
        """Return what the first layers return for some rows ``[n, ...]``, by how many of them; from one pass.

        Args:
            inputs: All rows.
            rows: Which of them.
            layers: The layers.
            uptos: Numbers of layers, ascending, each at least 1.
            keys: Whether the keys and values that the model keeps of the rows are wanted, where one pass gives both.

        Returns:
            The values, and the keys and values of the rows; None for the latter where they are not wanted, nothing had
            to be run, or the model keeps none.
        """
        if not uptos:
            return {}, None
        digest = self._digests.of(inputs.tensors)
        key = (self._key, layers.names, uptos, inputs.names, self._names, digest, rows.start, rows.stop)
        found, kept = self._cache.get(key), None
        if found is None:
            sites = [layers.output(upto - 1) for upto in uptos]
            found, kept = self._after_layers(self.rows(inputs, rows), sites, keys=keys)
            self._cache.put(key, found)
        return dict(zip(uptos, found, strict=True)), kept

    def _after_layers(self, batch: Given, sites: list[Site], *, keys: bool) -> tuple[tuple[Tensor, ...], Any]:
        kept = None
        with contextlib.ExitStack() as stack:
            visitors = [stack.enter_context(visiting(self.model, site)) for site in sites[:-1]]
            visitors.append(stack.enter_context(visiting(self.model, sites[-1], stop=not keys)))
            with contextlib.suppress(Reached):
                kept = kept_keys(self.model, batch) if keys else batch.call(self.model)
        return tuple(one.value for one in visitors if one.value is not None), kept if keys else None

    def features(self, plan: Plan, inputs: Given) -> Tensor:
        """Return the activations of all rows, ``[n, d, *positions]``, at least in single precision."""
        parts = [self.values(plan, inputs, block)[0] for block in self.blocks(plan, len(inputs))]
        return widened(plan.channels_second(parts[0] if len(parts) == 1 else torch.cat(parts)))

    def pooled(self, plan: Plan, inputs: Given) -> Tensor:
        """Return the means of all rows over positions, ``[n, d]``; never holds the positions of more than a block."""
        parts = []
        for block in self.blocks(plan, len(inputs)):
            h = widened(plan.channels_second(self.values(plan, inputs, block)[0]))
            parts.append(h.flatten(2).mean(2) if h.ndim > 2 else h)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _computed(self, plan: Plan, inputs: Given, block: slice) -> tuple[Tensor, ...]:
        kept: list[Tensor] = []

        def step(rows: slice) -> None:
            batch = self.rows(inputs, rows)
            values = (self._seen(batch),) if plan.split is None else plan.before(batch)
            if not kept:
                kept.extend(one.new_empty((block.stop - block.start, *one.shape[1:])) for one in values)
            for whole, part in zip(kept, values, strict=True):
                whole[rows.start - block.start : rows.stop - block.start] = part

        self.batches.run(block.start, block.stop, step, at_most=self.rows_at_once(inputs.tensors))
        return tuple(kept)

    def _seen(self, batch: Given) -> Tensor:
        with visiting(self.model, self.site, stop=True) as visitor, contextlib.suppress(Reached):
            batch.call(self.model)
        assert visitor.value is not None
        return visitor.value
