"""The steps after a survey are about the features that it chose, wherever they are read."""

from __future__ import annotations

import pandas as pd
import pytest

from paribus.config.compose import jobs
from paribus.features.latent import Latent
from paribus.features.unit import Unit
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Diagnostics, Result, Table
from paribus.running.choosing import for_each
from paribus.running.request import from_job


def steps_after(rows, **survey):
    (job,) = jobs(["experiment=ablate", "data=digits_scanners", "model=small_cnn"])
    step = from_job(job)
    step = step.for_step("ablate", step.experiment, step.tree["experiment"])
    table = Table("chosen", "The chosen ones.", Evidence.OBSERVATIONAL, pd.DataFrame(rows))
    chosen = Result(
        spec_id="", experiment_type="feature_survey", evidence=Evidence.OBSERVATIONAL, feature=None, model=None,
        subject="images", aggregates=Aggregates(), diagnostics=Diagnostics(), tables={"chosen": table},
        config={"experiment": survey},
    )  # fmt: skip
    return for_each(step, chosen)


def test_a_latent_of_the_models_own_autoencoder_is_named_by_its_number():
    (made,) = steps_after([{"feature_id": 7}])
    assert made.nodes["feature"] == Latent(id=7) and made.step == "ablate_7"


@pytest.mark.parametrize(
    ("row", "feature"),
    [
        ({"kind": "unit", "site": "layer2"}, Unit(id=7, site="layer2")),
        ({"kind": "latent", "site": "layer2"}, Latent(id=7, site="layer2", path="sae.pt", clamp=None)),
    ],
)
def test_a_feature_of_another_network_is_named_by_its_place_and_file(row, feature):
    (made,) = steps_after([{"feature_id": 7, **row}], path="sae.pt", clamp=None)
    assert made.nodes["feature"] == feature and made.choices["feature"] == row["kind"]
    assert made.tree["feature"]["site"] == "layer2" and made.tree["feature"]["id"] == 7
