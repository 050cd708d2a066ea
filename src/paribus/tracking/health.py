"""Checks of a store, and repairs."""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paribus.errors import ConfigError, DataError, ExperimentError
from paribus.results.files import RESULT_FILE, copy
from paribus.results.schema import Artifact
from paribus.tracking import heartbeat, local
from paribus.tracking.artifacts import inside, local_path
from paribus.tracking.delivery import waiting
from paribus.tracking.embedded import copy_database
from paribus.tracking.environment import no_deprecations, quiet
from paribus.tracking.ledger import END, ledgers, read_holder
from paribus.tracking.life_mark import life_mark
from paribus.tracking.manifest import check_folder
from paribus.tracking.opening import open_store
from paribus.tracking.patience import StoreError, connect, hurried
from paribus.tracking.relocate import relocate
from paribus.tracking.spec import TrackingSpec, database, without_password
from paribus.tracking.spool import spools
from paribus.tracking.store import MlflowStore

OUTPUTS = Path("multirun")
NAMED = 5
"""Number of runs that are listed individually."""


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: Name of the check.
        text: What was found.
        mend: Repairs it and returns what was done; None if all is well, or nothing can be done here.
        fine: Whether it is in order.
    """

    name: str
    text: str
    mend: Callable[[], str] | None = None
    fine: bool = False


def look(spec: TrackingSpec) -> Iterator[Finding]:
    """Yield the findings about a store, in the order in which they have to be repaired.

    The checks stop at the first problem that later ones depend on: check again after repairing.

    Raises:
        ConfigError: If a server does not answer.
        DataError: If a folder cannot be read.
    """
    for each in spools():
        if number := waiting(each):
            yield Finding("spool", f"{number} runs wait for {each.uri}: paribus sync delivers them")
    if spec.kind == "local":
        path = database(spec)
        if not path.exists():
            yield Finding("store", f"none yet in {path.parent}", fine=True)
            return
        broken = _database(path) or _moved(path.parent)
        if broken is not None:
            yield broken
            return
    store = open_store(spec, writing=False)
    assert isinstance(store, MlflowStore)
    refused = _unwritable(path) if spec.kind == "local" else None
    where = str(path) if spec.kind == "local" else without_password(str(spec.uri))
    yield refused or Finding("store", where, fine=True)
    yield _left_running(store)
    if spec.kind == "local":
        yield _files(path)
        yield _versions(path)
    else:
        yield _claims(store)


def _database(path: Path) -> Finding | None:
    """Return what is wrong with the database of an embedded store, None if it is usable."""
    if path.stat().st_size == 0:
        return Finding("store", f"{path}: an empty file, no database", lambda: _set_aside(path))
    try:
        local.refuse_file_store(path.parent)
        with hurried():
            local.usable(path)
    except (ConfigError, ExperimentError, StoreError) as error:  # locked or unreadable, not damaged
        return Finding("store", str(error))
    except DataError as error:
        return Finding("store", str(error), lambda: _set_aside(path))
    quiet()
    with no_deprecations():
        from mlflow.store.db import utils  # slow, and warns while it is imported

        schema: Any = utils
        newest = schema._get_latest_schema_revision()
    with closing(connect(path)) as connection:
        (found,) = connection.execute("select version_num from alembic_version").fetchone() or ("none",)
    if found == newest:
        return None
    if _is_known(found):
        return Finding("store", f"{path}: of an older MLflow (schema {found})", lambda: _migrate(path))
    return Finding("store", f"{path}: of a newer MLflow (schema {found}); install that one: pip install -U mlflow")


def _unwritable(path: Path) -> Finding | None:
    """Return why no more runs can be kept in an embedded store, None where they can."""
    try:
        local.refuse_unwritable(path.parent)
    except DataError as error:
        return Finding("store", str(error))
    return None if os.access(path, os.W_OK) else Finding("store", f"{path}: can be read, and not written")


def _is_known(revision: str) -> bool:
    import mlflow.store.db_migrations as migrations  # slow, and rarely needed

    return any(path.name.startswith(revision) for path in (Path(migrations.__path__[0]) / "versions").glob("*.py"))


def _migrate(path: Path) -> str:
    """Migrate a database to the schema of the installed MLflow, keeping a copy."""
    with local.locked(path.parent), no_deprecations():
        from mlflow.store.db import utils  # slow, and warns while it is imported

        schema: Any = utils
        kept = _beside(path, "before_mend")
        copy_database(path, kept)
        engine = schema.create_sqlalchemy_engine(f"sqlite:///{path.resolve()}")
        schema._upgrade_db(engine)
        engine.dispose()
    return f"migrated; as it was: {kept.name}"


def _set_aside(path: Path) -> str:
    with local.locked(path.parent):
        aside = _beside(path, "set_aside")
        path.rename(aside)
        local.set_journal_aside(path, aside)
    return f"moved to {aside.name}; the next run makes a new store"


def _beside(path: Path, ending: str) -> Path:
    """Return an unused name next to a file."""
    made = path.with_name(f"{path.name}.{ending}")
    return made if not made.exists() else path.with_name(f"{path.name}.{ending}.{time.strftime('%Y%m%d-%H%M%S')}")


def _moved(folder: Path) -> Finding | None:
    if (said := local.moved(folder)) is None:
        return None
    return Finding("store", said, lambda: f"{relocate(folder)} paths rewritten")


def _left_running(store: MlflowStore) -> Finding:
    runs = store.runs(where="attributes.status = 'RUNNING'", everywhere=True)
    now = store.clock()
    lost = [run.run_id for run in runs if heartbeat.is_lost(run.run_id, life_mark(run.tags), now=now)]
    if not lost:
        return Finding("runs", f"{len(runs)} go on, none left open", fine=True)
    text = f"{len(lost)} are marked as RUNNING, but their process is gone: {_named(lost)} (also --reap)"
    return Finding("runs", text, lambda: f"{len(store.reap())} marked as KILLED")


def _files(path: Path) -> Finding:
    """Check that finished runs have the files that their results list, each with its recorded size."""
    with closing(connect(path)) as connection:
        rows = connection.execute(
            "select r.run_uuid, r.artifact_uri from runs r join experiments e on e.experiment_id = r.experiment_id "
            "join tags t on t.run_uuid = r.run_uuid and t.key = 'identity' "
            "where r.status = 'FINISHED' and r.lifecycle_stage = 'active'"
        ).fetchall()
    folders = {run: folder for run, uri in rows if (folder := local_path(uri or "")) is not None}
    broken = {run: folder for run, folder in folders.items() if not _is_whole(folder, _manifest(folder))}
    if not broken:
        return Finding("files", f"of {len(folders)} finished runs, all there", fine=True)
    text = f"{len(broken)} of {len(folders)} finished runs miss files or have others: {_named(list(broken))}"
    return Finding("files", f"{text}; asked for again, they are measured again", lambda: _restore(broken))


def _manifest(folder: Path) -> Mapping[str, Artifact] | None:
    """Return the files that a run's result names, None where it has no readable one."""
    try:
        named = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))["artifacts"]
        return {name: Artifact(stated["size"], stated["sha256"]) for name, stated in named.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_whole(folder: Path, manifest: Mapping[str, Artifact] | None) -> bool:
    if manifest is None:
        return False
    paths = {name: inside(folder, name) for name in manifest}
    return all(path.is_file() and path.stat().st_size == manifest[name].size for name, path in paths.items())


def _restore(broken: Mapping[str, Path]) -> str:
    """Restore files from the output folders of runs, if they are unchanged."""
    outputs: dict[str, Path] = {}
    for path in OUTPUTS.rglob(RESULT_FILE):
        try:
            outputs[str(json.loads(path.read_text(encoding="utf-8"))["run_id"])] = path.parent
        except (OSError, ValueError, KeyError, TypeError):
            continue
    whole = []
    for run, folder in broken.items():
        source = outputs.get(run)
        manifest = _manifest(source) if source is not None else None
        if source is None or manifest is None:
            continue
        for name, expected in manifest.items():
            kept, target = inside(source, name), inside(folder, name)
            if kept.is_file() and not (target.is_file() and target.stat().st_size == expected.size):
                copy(kept, target)
        copy(source / RESULT_FILE, folder / RESULT_FILE)
        try:
            check_folder(folder, manifest)
        except DataError:
            continue
        whole.append(run)
    left = len(broken) - len(whole)
    return f"{len(whole)} are whole again from {OUTPUTS}" + (f"; {left} cannot be restored" if left else "")


def _versions(path: Path) -> Finding:
    with closing(connect(path)) as connection:
        rows = connection.execute(
            "select e.name, t.value, count(*) from runs r join experiments e on e.experiment_id = r.experiment_id "
            "join tags t on t.run_uuid = r.run_uuid and t.key = 'paribus.version' "
            "where r.lifecycle_stage = 'active' group by e.name, t.value order by e.name, t.value"
        ).fetchall()
    found: dict[str, list[str]] = defaultdict(list)
    for name, version, number in rows:
        found[name].append(f"{version} ({number} runs)")
    mixed = [f"{name}: {', '.join(each)}" for name, each in found.items() if len(each) > 1]
    text = f"runs of several versions in one study, compare with care: {'; '.join(mixed)}" if mixed else "one a study"
    return Finding("versions", text, fine=True)


def _claims(store: MlflowStore) -> Finding:
    """Find claims whose holder on this machine has ended; others can only be judged by their heartbeats."""
    dead: list[tuple[str, str]] = []
    for run in ledgers(store.client).values():
        params = store.client.get_run(run).data.params
        for key, text in params.items():
            holder = read_holder(text)
            if holder is None or f"{key}.{END}" in params or holder.host != heartbeat.here():
                continue
            if not heartbeat.process_alive(holder.pid, holder.started):
                dead.append((run, key))

    def mend() -> str:
        for run, key in dead:
            store.client.log_param(run, f"{key}.{END}", "its holder is gone")
        return f"{len(dead)} given back"

    if not dead:
        return Finding("claims", "none of a process of this machine that is gone", fine=True)
    return Finding("claims", f"{len(dead)} of processes of this machine that are gone", mend)


def _named(runs: list[str]) -> str:
    more = f" and {len(runs) - NAMED} more" if len(runs) > NAMED else ""
    return ", ".join(run[:8] for run in runs[:NAMED]) + more
