"""Chromium, driven over the WebDriver protocol, for tests of what a person sees."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--window-size=2600,1300",
]  # fmt: skip


def need_browser() -> None:
    """Skip where there is no browser; where everything is tested, that is a failure."""
    if CHROMIUM and DRIVER:
        return
    missing = "chromium and chromedriver are not installed (apt-get install chromium chromium-driver)"
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)


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
            logs = {"browser": "ALL", "performance": "ALL"}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": logs}
            asked = {"capabilities": {"alwaysMatch": wanted}}
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

    def click(self, text: str) -> None:
        """Click the link with this text, once it is there."""
        found = f"[...document.querySelectorAll('a')].find(link => link.innerText.trim() === {json.dumps(text)})"
        wait_for(lambda: self.script(f"return Boolean({found})"), f"a link {text!r}")
        self.script(f"{found}.click()")

    def columns(self) -> list[str]:
        """Return the heads of the run list's columns, from left to right."""
        return self.script(
            """
            const heads = [...document.querySelectorAll('.ag-header-cell')];
            const left = head => head.getBoundingClientRect().left;
            return heads.sort((a, b) => left(a) - left(b)).map(head => head.innerText.trim());
            """
        )

    def curves(self, metric: str) -> dict[str, list[float]]:
        """Return the curves that the page draws of a metric: the steps of each, by the name of its run."""
        return self.script(
            f"""
            const plots = [...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.data);
            const found = plots.find(plot => plot.data.some(trace => trace.metricKey === {json.dumps(metric)}));
            return found ? Object.fromEntries(found.data.map(trace => [trace.name, Array.from(trace.x)])) : {{}};
            """
        )

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

    def command(self, method: str, **params: object):
        """Send a command of the DevTools protocol."""
        return self._call("POST", f"{self._session}/goog/cdp/execute", {"cmd": method, "params": params})

    def later(self, text: str):
        """Run a script whose last argument is the function to call with what it returns."""
        return self._call("POST", f"{self._session}/execute/async", {"script": text, "args": []})

    def log(self, kind: str) -> list[dict]:
        """Return what was logged since it was last asked: ``browser`` or ``performance``."""
        return self._call("POST", f"{self._session}/se/log", {"type": kind})

    def requested(self) -> list[str]:
        """Return the addresses that were asked for since the last call."""
        messages = [json.loads(each["message"])["message"] for each in self.log("performance")]
        sent = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent]
