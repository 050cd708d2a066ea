"""The interface of stores of runs, and the store that keeps none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from paribus.errors import ConfigError
from paribus.results.files import RESULT_FILE
from paribus.tracking.file_run import FileRun
from paribus.tracking.kept import KeptRun

if TYPE_CHECKING:
    from paribus.results.schema import Result
    from paribus.tracking.groups import Groups


class Store(Protocol):
    """A store of runs; :class:`FileStore` keeps none but lets each write its files."""

    def start(
        self, name: str, *, folder: Path, tags: Mapping[str, str] | None = None, parent: str | None = None
    ) -> FileRun:
        """Begin a run."""

    def runs(self, *, where: str = "", limit: int | None = None, everywhere: bool = False) -> list[KeptRun]:
        """Return runs, the latest first."""

    def keep_groups(self, groups: Groups) -> list[str]:
        """Keep runs that represent the groups of a comparison, and return their ids."""

    def get(self, run: str) -> KeptRun:
        """Return the run with this id, or the only one whose id begins with it."""

    def finished(self, identity: str) -> list[KeptRun]:
        """Return the finished runs of this identity, the latest first."""

    def claim(self, identity: str, busy: Callable[[], None]) -> AbstractContextManager[None]:
        """Hold the exclusive right to measure an identity; wait (``busy`` is called once) while another holds it."""

    def is_ours(self, identity: str) -> bool:
        """Return whether the claim held on an identity, if any, has not been taken over by another process."""

    def latest_model(self, subject: str | None = None) -> KeptRun | None:
        """Return the latest finished run that produced a model."""

    def children(self, run_id: str) -> list[KeptRun]:
        """Return the runs nested in a run, the earliest first."""

    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        """Return the paths of the files directly in a folder of the run."""

    def download(self, run_id: str, path: str) -> Path:
        """Return a local copy of an artifact."""

    def result(self, run_id: str) -> Result:
        """Read a run's result; for an unfinished run its partial result."""

    def complete(self, run_id: str) -> Result:
        """Read a finished run's result after checking that all its files exist unchanged."""

    def reap(self) -> list[str]:
        """Mark runs whose process has ended as KILLED."""

    def mark_killed(self, sweep: str, message: str) -> list[str]:
        """Mark the RUNNING runs of a sweep as KILLED."""


class FileStore:
    """``tracking=off``: runs write their files, and none is found again."""

    def start(
        self, name: str, *, folder: Path, tags: Mapping[str, str] | None = None, parent: str | None = None
    ) -> FileRun:
        """Begin a run that only writes files.

        Raises:
            ConfigError: If a finished run is in the folder: it would be lost.
        """
        if (folder / RESULT_FILE).exists():
            raise ConfigError(
                f"{folder}: holds a finished run ({RESULT_FILE}), which would be overwritten; with tracking=off the "
                "folder is the run, so choose another one or move it away"
            )
        return FileRun(folder)

    def runs(self, *, where: str = "", limit: int | None = None, everywhere: bool = False) -> list[KeptRun]:
        """Return no run."""
        return []

    def keep_groups(self, groups: Groups) -> list[str]:
        """Keep none."""
        return []

    def get(self, run: str) -> KeptRun:
        """Refuse.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"run {run!r}: tracking=off keeps no runs to take it from; use tracking=local or server")

    def finished(self, identity: str) -> list[KeptRun]:
        """Return no run."""
        return []

    def claim(self, identity: str, busy: Callable[[], None]) -> AbstractContextManager[None]:
        """Claim nothing: no run is reused, so each is measured."""
        return nullcontext()

    def is_ours(self, identity: str) -> bool:
        """Return True."""
        return True

    def latest_model(self, subject: str | None = None) -> KeptRun | None:
        """Return None."""
        return None

    def children(self, run_id: str) -> list[KeptRun]:
        """Return no run."""
        return []

    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        """Return no file."""
        return []

    def download(self, run_id: str, path: str) -> Path:
        """Refuse, as :meth:`get` does."""
        raise ConfigError(f"run {run_id!r}: tracking=off keeps no artifacts")

    def result(self, run_id: str) -> Result:
        """Refuse, as :meth:`get` does."""
        raise ConfigError(f"run {run_id!r}: tracking=off keeps no results")

    def complete(self, run_id: str) -> Result:
        """Refuse, as :meth:`get` does."""
        raise ConfigError(f"run {run_id!r}: tracking=off keeps no results")

    def reap(self) -> list[str]:
        """Return no run."""
        return []

    def mark_killed(self, sweep: str, message: str) -> list[str]:
        """Return no run."""
        return []
