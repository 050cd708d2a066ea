"""Token sequences for the measurement layer: sequences as contexts."""

from __future__ import annotations

from torch import Tensor, nn

from paribus.engine.given import Given
from paribus.engine.sites import Site
from paribus.measure import ArraySubject, Contexts
from paribus.subjects.tokens.data import TokenData
from paribus.subjects.tokens.readouts import token_readouts


class TokenSubject(ArraySubject):
    """Sequences as contexts; a cell holds a sequence's ids, and where sequences are padded what is read of them.

    Attributes:
        data: The sequences.
    """

    name = "tokens"

    def __init__(self, data: TokenData) -> None:
        """Hold the sequences."""
        self.data = data
        passed = Given((data.ids,), (None,))
        if data.mask is not None:
            mask = data.mask.long()
            passed = Given((data.ids, mask), (None, "attention_mask"))
            if not mask[:, 0].all():  # padded on the left: positions are counted from the first token that is read
                places = (mask.cumsum(1) - 1).clamp(min=0)
                passed = Given((data.ids, mask, places), (None, "attention_mask", "position_ids"))
        super().__init__(
            Contexts(
                inputs=passed,
                cluster=data.clusters,
                label=data.labels,
                splits=data.splits,
                output_names=data.class_names,
            )
        )
        self.readouts = token_readouts(data)

    def vectors(self, value: Tensor, inputs: Given, site: Site, network: nn.Module) -> Tensor:
        """Return the mean over positions, without padding, and without the first one where it is an attention sink."""
        sink, mask = self.data.sink, self.data.mask is not None
        if value.ndim != 3 or not (sink or mask):
            return super().vectors(value, inputs, site, network)
        axis = site.channel_axis(site.validate(network), value.ndim)
        h = value if axis == 2 else value.movedim(axis, 2)
        weights = inputs.tensors[1].to(h) if mask else h.new_ones(h.shape[:2])
        if sink:
            weights = weights.clone()
            # the first token that is read: sequences may be padded on the left
            weights[range(len(weights)), weights.argmax(1)] = 0
        return (h * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1)
