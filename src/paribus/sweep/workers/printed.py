"""What a job of a worker prints: kept in the job's own log, whoever prints it and however much it is."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from hydra.core.hydra_config import HydraConfig

from paribus.errors import size_of

FIRST = LAST = 8 << 20
"""Bytes of a log that are kept at least: its first ones, and its latest. More may be there for a moment only."""
LOOK_SECONDS = 0.2
LOG = "paribus.log"


@contextlib.contextmanager
def in_own_log() -> Iterator[None]:
    """Let the job that Hydra has set up write everything into its own log, also code that knows no ``sys.stdout``.

    Records of ``logging`` get there by themselves, so they are not printed on top of it.
    """
    root = logging.getLogger()
    own = next((each.baseFilename for each in root.handlers if isinstance(each, logging.FileHandler)), None)
    path = Path(own) if own is not None else Path(HydraConfig.get().runtime.output_dir) / LOG
    if own is not None:
        root.handlers[:] = [each for each in root.handlers if not _prints(each)]
    with Printed(path):
        yield


def _prints(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.stderr)


class Printed:
    """Appends all that the process prints to a file, which stays bounded: the middle of too much is cut out.

    The file is shortened from outside, and nothing reads a pipe: code that prints never waits, whatever locks it holds.
    """

    def __init__(self, path: Path, *, first: int = FIRST, last: int = LAST) -> None:
        """Open the file.

        Args:
            path: The file.
            first: Bytes that are kept of its beginning.
            last: Bytes that are kept of its end, at least.
        """
        self._first, self._last, self._cut = first, last, 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._before: tuple[int, int] = (-1, -1)
        self._ended = threading.Event()
        self._look = threading.Thread(target=self._looking, name="printed", daemon=True)

    def __enter__(self) -> Self:
        """Redirect what is printed from here on."""
        _flush()
        self._before = (os.dup(1), os.dup(2))
        for number in (1, 2):
            os.dup2(self._file, number)
        for stream in (sys.stdout, sys.stderr):  # so that a killed job has said what it said
            with contextlib.suppress(AttributeError, ValueError):
                stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        self._look.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Print where it was printed before."""
        _flush()
        for number, before in zip((1, 2), self._before, strict=True):
            os.dup2(before, number)
            os.close(before)
        self._ended.set()
        self._look.join()
        self.shorten()
        os.close(self._file)

    def _looking(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self.shorten()

    def shorten(self) -> None:
        """Cut the middle out of a file that has become too long, and say there how much that was."""
        with contextlib.suppress(OSError):
            size = os.fstat(self._file).st_size
            if size <= self._first + 2 * self._last:
                return
            end = os.pread(self._file, self._last, size - self._last)
            end = end[end.find(b"\n") + 1 :]
            self._cut += os.fstat(self._file).st_size - self._first - len(end)  # it may have grown meanwhile
            os.ftruncate(self._file, self._first)
            said = f"\n[... {size_of(self._cut)} of this log are not kept ...]\n"
            os.write(self._file, said.encode() + end)


def _flush() -> None:
    """Flush; what finds no room is lost, as the file says by ending there."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
