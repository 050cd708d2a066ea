"""What the tests of the documentation share: reading a page's blocks, and running its commands in a folder."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MARK = "--- ran: "

DRIVER = f"""
import json, sys
from paribus.cli.main import main
for words in json.load(sys.stdin):
    print({MARK!r} + " ".join(words), flush=True)
    code = main(words)
    if code:
        sys.exit(f"exit code {{code}} of: paribus {{' '.join(words)}}")
    sys.stdout.flush()
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, and the file name in the line before it, if there is one."""

    language: str
    text: str
    file: str | None

    def commands(self) -> list[list[str]]:
        """Return the words of every command; a backslash joins lines, and comments are left out."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


@dataclass(frozen=True)
class Documents:
    """The pages, and a way to run what they show."""

    prepared: Any
    root: Path = ROOT

    def blocks(self, page: Path) -> list[Block]:
        """Return the fenced blocks of a page in order."""
        found = re.findall(r"(?:^`([\w./]+)`\n\n)?^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        return [Block(language, text, file or None) for file, language, text in found]

    def run(self, commands: list[list[str]], folder: Path, *, timeout: float = 400) -> list[str]:
        """Run ``paribus`` commands (their words without the program) one after the other in one process.

        Returns what each printed. A command that fails fails the test, with all that was printed.
        """
        done = self.python("-c", DRIVER, folder=folder, text=json.dumps(commands), timeout=timeout)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        printed = done.stdout.split(MARK)[1:]
        assert len(printed) == len(commands)
        return [part.partition("\n")[2] for part in printed]

    def python(self, *words: str, folder: Path, text: str = "", timeout: float = 200) -> subprocess.CompletedProcess:
        """Run Python on ``-c code`` or a file in a folder, in a process that has everything imported already."""
        env = self.environment()
        return self.prepared.run([sys.executable, *words], cwd=folder, env=env, text=text, timeout=timeout)

    def environment(self) -> dict[str, str]:
        """Return the environment of a command: the programs beside this Python first, one thread, no telemetry."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        fixed = {"PATH": path, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONUNBUFFERED": "1"}
        return os.environ | fixed


@pytest.fixture(scope="session")
def documents(prepared) -> Documents:
    """Return the pages."""
    return Documents(prepared)


@pytest.fixture(scope="session")
def recomputation() -> ModuleType:
    """Return the module :file:`recomputation.py`."""
    spec = importlib.util.spec_from_file_location("recomputation", Path(__file__).with_name("recomputation.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules["recomputation"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
