"""Wrong names are found before anything is run, and nothing is left behind."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paribus.errors import ConfigError, DataError, ParibusError
from paribus.experiments import networks, plugins
from paribus.running import caches, summary
from paribus.running import validate as validation
from paribus.running.validate import validate, validate_store
from paribus.tracking.spec import TrackingSpec

DIGITS = {
    "_target_": "paribus.subjects.images.digits_scanners.DigitsScanners",
    "seed": 0,
    "n_train": 24,
    "n_eval": 24,
    "image_size": 8,
}
CNN = {"_target_": "paribus.models.small_cnn.SmallCNN", "width": 4}
RANDOM = {**CNN, "untrained": True}
TRAIN = {"_target_": "paribus.experiments.training.train_classifier.TrainClassifier"}
ABLATE = {"_target_": "paribus.experiments.shortcut.subspace_ablation.SubspaceAblation"}
TRACKED = {"_target_": "paribus.models.tracked.Tracked"}


@pytest.fixture(autouse=True)
def nothing_validated():
    networks._validated.clear()


@pytest.mark.parametrize(
    ("experiment", "groups", "error", "message"),
    [
        ("Measure", {"data": None}, ConfigError, "toy_measure needs a data set"),
        ("Measure", {"data": {"broken": True}}, DataError, "row 3 is broken"),
        ("Measure", {"model": TRACKED}, ConfigError, "no run"),
        ("Measure", {"tracking": {"folder": "50%"}}, ConfigError, "database URI"),
        ("Measure", {"device": {"name": "cpu", "dtype": "float16"}}, ConfigError, "half formats are for CUDA"),
        ({"_target_": "paribus_toy.ToyData"}, {}, ConfigError, "is no experiment"),
        ({"_target_": "paribus.running.sequence.Sequence", "steps": {}}, {}, ConfigError, "steps: is empty"),
        ("Compare", {"tracking": {"kind": "off"}}, ConfigError, "compares kept runs"),
        (TRAIN, {"data": None, "model": CNN}, ConfigError, "needs a data set"),
        (TRAIN, {"data": DIGITS, "model": None}, ConfigError, "needs a model"),
        (TRAIN, {"data": DIGITS}, ConfigError, "ToyModel is no network for images"),
        (TRAIN, {"model": CNN}, DataError, "ToyData gave a ndarray"),
        (TRAIN, {"data": CNN, "model": CNN}, ConfigError, "SmallCNN is no data set"),
        (
            ABLATE | {"site": "no_such_layer"},
            {"data": DIGITS, "model": RANDOM},
            ConfigError,
            "experiment.site: .*valid",
        ),
        (ABLATE, {"data": DIGITS, "model": CNN}, ConfigError, "random weights.*model=tracked.*model.untrained=true"),
        (ABLATE, {"data": DIGITS, "model": {**CNN, "weights": "gone.pt"}}, ParibusError, "gone.pt"),
        (ABLATE, {"data": DIGITS, "model": {"_target_": "builtins.dict"}}, ConfigError, "made a dict, not a torch"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line_and_leaves_nothing(workdir, job, experiment, groups, error, message):
    with pytest.raises(error, match=message) as caught:
        validate(job(experiment, **groups))
    assert "\n" not in str(caught.value) and os.listdir(workdir) == []


def test_a_right_request_leaves_nothing_either(workdir, job, seq):
    validate(job("Measure"))
    validate(job(ABLATE, data=DIGITS, model=RANDOM))
    validate(job(seq(train=TRAIN, ablate=ABLATE), data=DIGITS, model=CNN))
    assert os.listdir(workdir) == []


def test_an_old_file_store_is_found_before_anything_is_run(workdir, job):
    (workdir / "mlruns" / "0").mkdir(parents=True)
    (workdir / "mlruns" / "0" / "meta.yaml").write_text("")
    with pytest.raises(ConfigError, match="old MLflow file store"):
        validate(job("Measure"))


def test_jobs_that_differ_by_seed_are_looked_at_once(workdir, job, monkeypatch):
    built = []
    network = networks.network
    monkeypatch.setattr(networks, "network", lambda *a: built.append(1) or network(*a))
    for seed in range(4):
        validate(job(TRAIN, data=DIGITS, model=CNN, seed=seed))
    validate(job(TRAIN, data=DIGITS, model={**CNN, "width": 5}))
    assert len(built) == 2


def test_subjects_are_found_by_name():
    assert {"images", "builds", "runs", "toy"} <= set(plugins.names())
    with pytest.raises(ConfigError, match="did you mean 'images'"):
        plugins.named("image")


def test_a_cache_is_bounded_and_forgets_the_oldest():
    made = []
    cache = caches.Latest(2)
    for key in "abacb":
        cache.get(key, lambda key=key: made.append(key))
    assert made == ["a", "b", "c", "b"] and "a" not in cache.values()


def test_data_without_a_fingerprint_are_known_by_what_makes_them():
    from paribus.config.check import build
    from paribus.running.contents import fingerprint

    one = build({"_target_": "collections.Counter", "a": 1}, "data")
    two = build({"_target_": "collections.Counter", "a": 2}, "data")
    assert fingerprint(one) == fingerprint(one) != fingerprint(two)


def test_the_ui_line_names_the_store():
    assert "paribus ui" in summary.ui_line(TrackingSpec())
    assert "http://h:1" in summary.ui_line(TrackingSpec(kind="server", uri="http://h:1"))
    assert summary.ui_line(TrackingSpec(kind="off")) == ""


OTHERS = "HOST"


@pytest.fixture
def web_server():
    """A server that is none of MLflow's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{made.server_port}"
        made.shutdown()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("postgresql+psycopg2://me:secret@127.0.0.1:9/runs", "me:[*]+@127.0.0.1:9/runs: no answer"),
        ("postgresql+no_such_driver://127.0.0.1:9/runs", "no_such_driver"),
        ("mssql+pymssql://127.0.0.1:9/runs", "the driver of this database is not installed"),
        ("sqlite:///nowhere/runs.db", "nowhere is not there"),
        ("sqlite:///others.db", "not MLflow's"),
        ("http://127.0.0.1:9", "no answer"),
        (f"http://me:secret@{OTHERS}", f"http://{OTHERS}: it answers, but not as a tracking server of MLflow's"),
    ],
)
def test_a_store_that_no_run_could_be_kept_in_is_refused(workdir, uri, message, request):
    if OTHERS in uri:
        uri, message = (text.replace(OTHERS, request.getfixturevalue("web_server")) for text in (uri, message))
    with closing(sqlite3.connect("others.db")) as connection:
        connection.execute("create table others (a int)")
    with pytest.raises(ParibusError, match=message) as refusal:
        validate_store(TrackingSpec(kind="server", uri=uri))
    assert "secret" not in str(refusal.value)
    assert [path.name for path in workdir.iterdir()] == ["others.db"]


def test_a_database_file_that_can_be_made_is_not_made_by_looking(workdir):
    validate_store(TrackingSpec(kind="server", uri="sqlite:///runs.db"))
    assert list(workdir.iterdir()) == []


def test_a_store_that_only_mlflow_can_ask_is_asked(workdir, monkeypatch):
    asked = []
    monkeypatch.setattr(validation, "client_of", asked.append)
    validate_store(TrackingSpec(kind="server", uri="databricks"))
    assert asked == ["databricks"]
