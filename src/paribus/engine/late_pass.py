"""Forward passes that start late: after the layers before the first edit, and at the first edited position."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from paribus.engine.course import Course
from paribus.engine.given import Given
from paribus.engine.hooks import Edit
from paribus.engine.intervention import Intervention
from paribus.engine.interventions import Identity
from paribus.engine.parts import edits_of
from paribus.engine.plan import Plan, Resume
from paribus.engine.tail import Tail, call, cut_to, kept_keys, repeated
from paribus.errors import ExperimentError

Edits = Callable[[Plan, Sequence[Intervention]], dict[int, Edit]]
"""From interventions to what is done at each site to the rows of one after another."""


def upto_of(resume: Resume, one: Intervention) -> int:
    """Return how many layers are passed over for an intervention: those before the first site that it edits."""
    edits = edits_of(one, len(resume.upto))
    touched = [
        upto
        for upto, edit in zip(resume.upto, edits, strict=True)
        if edit is not None and not isinstance(edit, Identity)
    ]
    return min(touched) if touched else max(resume.upto)


class LatePass:
    """The passes of some rows of the inputs, under any edits at the engine's sites."""

    def __init__(
        self,
        model: nn.Module,
        course: Course,
        plan: Plan,
        batch: Given,
        values: Mapping[int, Tensor],
        edits: Edits,
        keys: Any = None,
    ) -> None:
        """Run what no edit changes.

        Args:
            model: The network.
            course: Where it is edited and read.
            plan: How; its ``resume`` says which layers there are.
            batch: The rows, on the device.
            values: What the first layers return, by how many of them ``[n, ...]``.
            edits: Makes hooks of interventions.
            keys: The keys and values that the network keeps of the rows, where a pass before gave them.

        Raises:
            ExperimentError: If the late positions are wanted alone and the network keeps no keys and values.
        """
        assert plan.resume is not None
        self.model, self.course, self.plan, self.batch, self.values = model, course, plan, batch, values
        self._edits, self._layers = edits, plan.resume.layers
        self._tail = None if plan.tail is None else _TailOutputs(self, plan.tail, keys)

    def outputs(self, upto: int, interventions: Sequence[Intervention]) -> Tensor:
        """Return the outputs ``[F * n, *output]`` under interventions that change nothing in the first layers.

        Args:
            upto: How many layers are passed over.
            interventions: Bound to the rows.
        """
        if self._tail is not None:
            return self._tail.outputs(upto, interventions)
        times = len(interventions)
        batch = self.batch.repeated(times)
        edits = {self.course.sites[index]: edit for index, edit in self._edits(self.plan, interventions).items()}
        with self._layers.passed_over(self.model, upto, *self.hidden(upto, times)):
            raw = self.course.follow(self.model, lambda: batch.call(self.model), edits)
        return self.course.output(raw, len(batch), type(self.model).__name__)

    def hidden(self, upto: int, times: int, start: int = 0) -> tuple[Tensor, ...]:
        """Return what the first layers return ``[times * n, ...]`` from a position on; nothing for none of them."""
        if not upto:
            return ()
        value = self.values[upto] if not start else self.values[upto][:, start:]
        return (value.repeat(times, *(1 for _ in value.shape[1:])),)


class _TailOutputs:
    """Outputs of passes of which only the last positions are run."""

    def __init__(self, whole: LatePass, tail: Tail, keys: Any) -> None:
        self.whole, self.tail, self.n = whole, tail, len(whole.batch)
        course, model = whole.course, whole.model
        self.keys = None if keys is None else cut_to(keys, tail.start)
        if self.keys is None:
            self.keys = kept_keys(model, tail.before(whole.batch))
        if self.keys is None:
            raise ExperimentError(
                f"{type(model).__name__} keeps no keys and values, so its last positions cannot be run alone"
            )
        places = [one % tail.length for one in course.positions or range(tail.length)]
        self.late = [index for index, place in enumerate(places) if place >= tail.start]
        self.course = replace(course, positions=tuple(places[index] - tail.start for index in self.late))
        self.plain: Tensor | None = None
        if len(self.late) < len(places):  # outputs of earlier positions are kept too: they are those of a plain pass
            assert whole.plan.resume is not None
            unedited = replace(whole.plan, tail=None)
            plain = LatePass(model, course, unedited, whole.batch, whole.values, whole._edits)
            self.plain = plain.outputs(max(whole.plan.resume.upto), [Identity()])

    def outputs(self, upto: int, interventions: Sequence[Intervention]) -> Tensor:
        whole, tail, times = self.whole, self.tail, len(interventions)
        after = tail.after(whole.batch).repeated(times)
        shifted = [tail.shifted(one) or Identity() for one in interventions]
        edits = {whole.course.sites[index]: edit for index, edit in whole._edits(whole.plan, shifted).items()}
        keys = repeated(self.keys, self.n, times)
        with whole._layers.passed_over(whole.model, upto, *whole.hidden(upto, times, tail.start)):
            raw = self.course.follow(whole.model, lambda: call(whole.model, after, keys), edits)
        found = self.course.output(raw, self.n * times, type(whole.model).__name__)
        if self.plain is None:
            return found
        out = self.plain.repeat(times, *(1 for _ in self.plain.shape[1:]))
        out[:, self.late] = found.to(out.dtype)
        return out
