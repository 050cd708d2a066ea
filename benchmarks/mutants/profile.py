"""A pytest plugin that writes down, for every test, how it ended, how long it took and which functions it ran."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from types import CodeType, FrameType

import pytest


class Profile:
    """Records the functions of one package that each test runs.

    What a fixture runs while a test is set up counts for every test of its file: they may share it.

    Args:
        package: The folder whose functions are recorded.
        out: The JSON file that is written at the end.
    """

    def __init__(self, package: Path, out: Path) -> None:
        self._prefix = f"{package}/"
        self._out = out
        self._seen: set[CodeType] = set()
        self._tests: dict[str, dict[str, object]] = {}
        self._shared: dict[str, set[str]] = {}

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Note a function that is entered."""
        if event == "call":
            self._seen.add(frame.f_code)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._tests[item.nodeid] = {"seconds": 0.0, "outcome": "passed", "ran": []}
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        with_profile = self._started()
        try:
            return (yield)
        finally:
            self._stopped(with_profile)
            self._shared.setdefault(_file(item.nodeid), set()).update(self._functions())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        with_profile = self._started()
        try:
            return (yield)
        finally:
            self._stopped(with_profile)
            self._tests[item.nodeid]["ran"] = sorted(self._functions())

    def _started(self) -> object:
        self._seen = set()
        before = sys.getprofile()
        threading.setprofile(self)
        sys.setprofile(self)
        return before

    def _stopped(self, before: object) -> None:
        sys.setprofile(before)  # type: ignore[arg-type]
        threading.setprofile(None)  # type: ignore[arg-type]

    def _functions(self) -> set[str]:
        """Return ``file:function`` of what was entered since the start."""
        n = len(self._prefix)
        return {
            f"{code.co_filename[n:]}:{code.co_qualname.replace('.<locals>', '')}"
            for code in self._seen
            if code.co_filename.startswith(self._prefix)
        }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests[report.nodeid]
        test["seconds"] = float(test["seconds"]) + report.duration  # type: ignore[arg-type]
        if report.outcome != "passed":
            test["outcome"] = report.outcome

    def pytest_sessionfinish(self) -> None:
        shared = {name: sorted(found) for name, found in self._shared.items()}
        self._out.write_text(json.dumps({"tests": self._tests, "shared": shared}))


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
