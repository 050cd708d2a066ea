"""The runs in MLflow's own UI, in a real browser: what a person sees. Screenshots stay in the test's folder."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from paribus.tracking.spec import TrackingSpec
from paribus.tracking.store import open_store

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--window-size=2600,1300",
]  # fmt: skip
STUDY = "looked_at"
SEEDS = (1, 2)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or its driver is not installed"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def wait_for(condition, what: str, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.3)


class Browser:
    """Chromium, driven over the WebDriver protocol (JSON over HTTP)."""

    def __init__(self, profile: Path, shots: Path) -> None:
        port = free_port()
        self._base = f"http://127.0.0.1:{port}"
        self._shots = shots
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([DRIVER, f"--port={port}"], **quiet)
        self._session = ""
        try:
            wait_for(lambda: answers(f"{self._base}/status"), "chromedriver", 30)
            options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
            asked = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
            self._session = f"/session/{self._call('POST', '/session', asked)['sessionId']}"
        except BaseException:
            self.close()
            raise

    def _call(self, method: str, path: str, body: dict | None = None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)["value"]

    def script(self, text: str):
        return self._call("POST", f"{self._session}/execute/sync", {"script": text, "args": []})

    def text(self) -> str:
        return self.script("return document.body ? document.body.innerText : ''")

    def open(self, url: str, *words: str) -> str:
        """Open a page, wait until it shows all words, and return its text."""
        self._call("POST", f"{self._session}/url", {"url": "about:blank"})  # the UI's pages differ after the # only
        self._call("POST", f"{self._session}/url", {"url": url})
        wait_for(lambda: all(word in self.text() for word in words), f"{words} on {url}")
        return self.text()

    def shot(self, name: str) -> Path:
        path = self._shots / f"{name}.png"
        path.write_bytes(base64.b64decode(self._call("GET", f"{self._session}/screenshot")))
        return path

    def close(self) -> None:
        try:
            if self._session:
                self._call("DELETE", self._session)
        finally:
            self._process.terminate()
            self._process.wait(timeout=20)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with two steering runs of different seeds."""
    folder = tmp_path_factory.mktemp("looked_at")
    words = [
        "-m", "experiment=activation_steering", "data=digits_scanners", "data.n_train=60", "data.n_eval=40",
        "model=mlp", "model.untrained=true",
        "stats=quick", "device=cpu", f"tracking.experiment={STUDY}", f"seed={','.join(map(str, SEEDS))}",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "paribus", *words], cwd=folder, env=environment, check=True, capture_output=True,
        timeout=300,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def ui(place):
    """``paribus ui`` over that folder: its address, and the address it names for the study's runs."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    log = (place / "ui.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "paribus", "ui", "--port", str(port)],
        cwd=place, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: answers(f"{base}/health"), "the UI")
        named = dict(
            line.split() for line in (place / "ui.log").read_text().splitlines() if line.startswith(f"  {STUDY} ")
        )
        yield base, named[STUDY]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        log.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory, place):
    one = Browser(tmp_path_factory.mktemp("profile"), place)
    yield one
    one.close()


@pytest.fixture(scope="module")
def run_id(place) -> str:
    store = open_store(TrackingSpec(experiment=STUDY, folder=str(place)), writing=False)
    return next(run.run_id for run in store.runs() if run.tags["seed"] == "1")


def test_the_run_list_has_the_columns_that_tell_runs_apart(browser, ui):
    _, address = ui
    names = [f"activation_steering standard s{seed}" for seed in SEEDS]
    text = browser.open(address, *names, "experiment_type", "head_ood_acc_raw")
    for column in ("evidence", "training", "seed", "model", "mean_delta", "n_samples", "delta_acc"):
        assert column in text
    assert "interventional" in text and "All runs" in text
    assert browser.shot("run_list").stat().st_size > 20_000


def test_steering_curves_of_several_runs_lie_over_each_other(browser, ui):
    _, address = ui
    steering = address.replace("viewStateShareKey=paribus", "viewStateShareKey=paribus_steering&compareRunsMode=CHART")
    browser.open(steering, "curve/head_ood_acc", *(f"activation_steering standard s{seed}" for seed in SEEDS))
    curves = """
        const plots = [...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.data);
        const found = plots.find(plot => plot.data.some(trace => trace.metricKey === 'curve/head_ood_acc'));
        return found ? Object.fromEntries(found.data.map(trace => [trace.name, Array.from(trace.x)])) : {};
    """
    wait_for(lambda: len(browser.script(curves)) == len(SEEDS), "a chart with a curve of every run")
    browser.shot("steering")
    levels = [-3, -2, -1, 0, 1, 2, 3]
    assert browser.script(curves) == {f"activation_steering standard s{seed}": levels for seed in SEEDS}


def test_a_run_says_what_it_is_and_what_was_found(browser, ui, run_id):
    _, address = ui
    text = browser.open(address.split("?")[0] + f"/{run_id}", "Description", "delta_acc =", "digits_scanners")
    assert "Warning: everything" in text or "Show more" in text
    browser.shot("run")


def test_figures_and_report_are_visible_among_the_artifacts(browser, ui, run_id):
    _, address = ui
    artifacts = address.split("?")[0] + f"/{run_id}/artifacts"
    browser.open(f"{artifacts}/figures/steering.png", "steering.png", "report.html")
    size = """
        const sizes = [...document.querySelectorAll('img')].map(image => image.naturalWidth);
        return Math.max(0, ...sizes);
    """
    wait_for(lambda: browser.script(size) > 500, "the figure")
    browser.shot("figure")
    browser.open(f"{artifacts}/report.html", "report.html", "KB")
    wait_for(lambda: browser.script("return document.querySelectorAll('iframe').length") > 0, "the report")
    assert browser.shot("report").stat().st_size > 20_000
