"""Finished runs of two training conditions over four seeds, as steering leaves them; nothing is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from paribus.results.evidence import Evidence
from paribus.results.io import to_json
from paribus.results.schema import Aggregates, Curve, Diagnostics, Result, Table
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec

ALPHAS = np.arange(-2, 3)


def make(study: str, seeds: int = 4) -> None:
    """Write the runs into the store of the working folder."""
    store = open_store(TrackingSpec(experiment=study))
    rng = np.random.default_rng(0)
    for training, effect in (("standard", 0.0), ("grokking", 0.2)):
        for seed in range(seeds):
            accuracy = 0.5 + effect - 0.02 * ALPHAS**2 + rng.normal(0, 0.02, len(ALPHAS)) + rng.normal(0, 0.02)
            frame = pd.DataFrame({"alpha": ALPHAS, "head_ood_acc": accuracy})
            tags = {
                "experiment_type": "activation_steering", "evidence": "interventional", "training": training,
                "seed": str(seed), "identity": f"{training}{seed}", "code_version": "c", "data_digest": str(seed),
                "model_digest": "none", "mlflow.source.name": "paribus", "experiment_version": "1",
            }  # fmt: skip
            run = store.start(f"steering {training} s{seed}", folder=Path("made") / f"{training}{seed}", tags=tags)
            run.config({"seed": seed})
            table = Table("sweep", "Accuracy over alpha.", Evidence.INTERVENTIONAL, frame)
            run.table(table)
            run.metrics({"accuracy_area": float(accuracy.mean())})
            run.curve(Curve("head_ood_acc", tuple(map(float, ALPHAS)), tuple(accuracy), "alpha"))
            run.flush()
            head = (f"steering_{seed}", "activation_steering", Evidence.INTERVENTIONAL, None, None, "images")
            result = Result(*head, Aggregates(), {"sweep": table}, Diagnostics(), artifacts=dict(run.artifacts))
            run.text("result.json", to_json(result))
            run.finish("FINISHED")
