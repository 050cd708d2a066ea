"""Builds as a generic experiment works on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.experiments.setup import NetworkSetup
from paribus.measure.executor import Executor
from paribus.subjects.builds.subject import BuildSubject, readable

if TYPE_CHECKING:
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.features.readable import Readable


def network_setup(setup: BuildSetup) -> NetworkSetup:
    """Return a setup of builds as one that knows no subject: its slice, its model, its feature, its constraints."""

    def read(executor: Executor) -> Readable:
        return readable(setup.model, executor, setup.vocabulary)

    contexts = setup.executor.subject
    assert isinstance(contexts, BuildSubject)
    return NetworkSetup(
        seed=setup.seed,
        stats=setup.stats,
        device=setup.device,
        batch_limit=setup.batch_limit,
        dtype=setup.dtype,
        contexts=contexts,
        network=setup.model.network,
        feature=setup.feature,
        parts={"readable": read, "edits": setup.edits},
        checkpoint="final",
        notes=setup.said(),
        digest=setup.data_digest,
    )
