"""Comparing thousands of runs: select, load and aggregate, beside ``mlflow.search_runs`` and downloading the tables.

``python -m benchmarks.compare`` makes a store of 10,000 finished runs with 30 metrics and two tables each, compares a
metric, a number of a table and a curve over 20 groups, and says CPU seconds and the largest memory of each way, each
in a process of its own. The plain way downloads the tables of some of the runs and is extrapolated.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir, closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paribus.results.evidence import Evidence
from paribus.results.io import to_json
from paribus.results.schema import Aggregates, Diagnostics, Result, Table
from paribus.tracking.environment import quiet
from paribus.tracking.spec import TrackingSpec

STUDY, KIND = "many", "activation_steering"
GROUPS, N_METRICS = 20, 30
ALPHAS = np.linspace(-3, 3, 13)
DOWNLOADED = 200


def make(n: int) -> None:
    """Write ``n`` finished runs into the store of the working folder: the first by Paribus, then its copies."""
    from paribus.tracking.opening import open_store

    store = open_store(TrackingSpec(experiment=STUDY))
    run = store.start("steering", folder=Path("made"), tags={"experiment_type": KIND})
    run.config({"seed": 0, "training": {"condition": "g"}, "experiment": {"alphas": ALPHAS.tolist()}})
    result = _result(0, np.random.default_rng(0))
    for table in result.tables.values():
        run.table(table)
    run.text("result.json", to_json(result))
    run.metrics(_metrics(0, np.random.default_rng(0)))
    run.finish("FINISHED")
    first = run.run_id
    folder = store.download(first, "result.json").parent
    with closing(sqlite3.connect("mlflow.db")) as connection, connection:
        _copies(connection, first, folder, n)


def _metrics(index: int, rng: np.random.Generator) -> dict[str, float]:
    base = 0.5 + 0.01 * (index % GROUPS) + rng.normal(0, 0.02)
    return {"accuracy_area": base, **{f"metric_{i}": float(rng.normal()) for i in range(N_METRICS - 1)}}


def _result(index: int, rng: np.random.Generator) -> Result:
    base = 0.5 + 0.01 * (index % GROUPS) + rng.normal(0, 0.02)
    sweep = pd.DataFrame({"alpha": ALPHAS, "direction": "pc", "head_ood_acc": base - 0.01 * ALPHAS**2, "n": 200})
    responses = pd.DataFrame({"direction": ["pc", "random"], "slope": [base, 0.0], "low": [0.0, -1.0]})
    kind = Evidence.INTERVENTIONAL
    tables = {
        "sweep": Table("sweep", "Accuracy over alpha.", kind, sweep),
        "responses": Table("responses", "Slopes.", kind, responses),
    }
    return Result(f"s{index}", KIND, kind, None, None, "images", Aggregates(), tables, Diagnostics())


def _copies(connection: sqlite3.Connection, first: str, folder: Path, n: int) -> None:
    """Copy a run ``n - 1`` times, each with a group, a seed, metrics and files of its own."""
    columns = [row[1] for row in connection.execute("pragma table_info(runs)")]
    row = dict(
        zip(columns, connection.execute("select * from runs where run_uuid = ?", (first,)).fetchone(), strict=True)
    )
    params = connection.execute("select key, value from params where run_uuid = ?", (first,)).fetchall()
    tags = dict(connection.execute("select key, value from tags where run_uuid = ?", (first,)).fetchall())
    rng = np.random.default_rng(1)
    own: dict[str, list[tuple[Any, ...]]] = {"runs": [], "params": [], "tags": [], "metrics": [], "latest_metrics": []}
    for index in range(n):
        run_id = first if index == 0 else f"{index:032x}"
        place = folder if index == 0 else folder.parents[1] / run_id / "artifacts"
        place.mkdir(parents=True, exist_ok=True)
        (place / "result.json").write_text(to_json(_result(index, rng)))
        if index:
            shutil.copytree(folder / "tables", place / "tables")
            made = {**row, "run_uuid": run_id, "name": f"steering {index}", "artifact_uri": str(place)}
            own["runs"].append(tuple(made[name] for name in columns))
            own["params"] += [(key, value, run_id) for key, value in params]
        named = {
            **tags, "training": f"g{index % GROUPS:02}", "seed": str(index // GROUPS), "identity": run_id,
            "evidence": "interventional", "code_version": "c", "data_digest": str(index // GROUPS),
            "model_digest": "none",
        }  # fmt: skip
        own["tags"] += [(key, value, run_id) for key, value in named.items()]
        metrics = _metrics(index, rng).items()
        own["metrics"] += [(key, value, 0, run_id, 0, 0) for key, value in metrics]
        own["latest_metrics"] += [(key, value, 0, 0, 0, run_id) for key, value in metrics]
    connection.execute("delete from tags")
    connection.execute("delete from metrics")
    connection.execute("delete from latest_metrics")
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"insert into runs values ({marks})", own["runs"])
    connection.executemany("insert into params (key, value, run_uuid) values (?, ?, ?)", own["params"])
    connection.executemany("insert into tags (key, value, run_uuid) values (?, ?, ?)", own["tags"])
    names = "key, value, timestamp, run_uuid, step, is_nan"
    connection.executemany(f"insert into metrics ({names}) values (?, ?, ?, ?, ?, ?)", own["metrics"])
    names = "key, value, timestamp, step, is_nan, run_uuid"
    connection.executemany(f"insert into latest_metrics ({names}) values (?, ?, ?, ?, ?, ?)", own["latest_metrics"])


def ours(_: int) -> dict[str, float]:
    """Compare by Paribus; return seconds by step, and the mean of the first group."""
    from paribus.compare.compare import Compare
    from paribus.compare.plugin import collect
    from paribus.experiments.base import perform
    from paribus.experiments.recording import MemoryRecorder
    from paribus.experiments.setup_runs import RunsSetup
    from paribus.stats.spec import StatsSpec
    from paribus.tracking.opening import open_store

    started = time.process_time()
    runs = collect(open_store(TrackingSpec(experiment=STUDY), writing=False))
    selected = time.process_time()
    experiment = Compare(
        metrics=["accuracy_area"], columns=["responses.slope@direction=pc"], curves=["sweep.head_ood_acc:alpha"],
        experiment_type=KIND, reference="g00", where=["seed>=0"],
    )  # fmt: skip
    result = perform(experiment, RunsSetup(seed=0, stats=StatsSpec(), runs=runs), MemoryRecorder())
    groups = result.tables["groups"].frame
    return {"select": selected - started, "load_and_aggregate": time.process_time() - selected,
            "mean": float(groups["mean"].iloc[0]), "runs": len(runs)}  # fmt: skip


def plain(n: int) -> dict[str, float]:
    """Do the same by ``mlflow.search_runs`` and downloads, without intervals and tests."""
    import mlflow

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    started = time.process_time()
    frame = mlflow.search_runs(
        experiment_names=[STUDY], filter_string=f"tags.experiment_type = '{KIND}'", max_results=n
    )
    selected = time.process_time()
    slopes, curves = [], []
    for run_id in frame["run_id"].iloc[:DOWNLOADED]:
        paths = [mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=f"tables/{name}.parquet")
                 for name in ("sweep", "responses")]  # fmt: skip
        curves.append(pd.read_parquet(paths[0]).set_index("alpha")["head_ood_acc"])
        slopes.append(pd.read_parquet(paths[1])["slope"].iloc[0])
    loading = (time.process_time() - selected) * len(frame) / min(DOWNLOADED, len(frame))
    started_sum = time.process_time()
    mean = frame.groupby("tags.training")["metrics.accuracy_area"].mean().iloc[0]
    pd.concat(curves, axis=1).mean(axis=1)
    return {"select": selected - started, "load_and_aggregate": loading + time.process_time() - started_sum,
            "mean": float(mean), "runs": len(frame)}  # fmt: skip


def _alone(what: Callable[[int], dict[str, float]], n: int, found: Any) -> None:
    quiet()
    result = what(n)
    result["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found.put(result)


def measured(what: Callable[[int], dict[str, float]], n: int) -> dict[str, float]:
    """Return what a way found, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    process = context.Process(target=_alone, args=(what, n, found))
    process.start()
    result: dict[str, float] = found.get(timeout=1800)
    process.join()
    return result


def main() -> None:
    """Make the store, measure both ways, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, chdir(name):
        quiet()
        make(asked.runs)
        rows = {way.__name__: measured(way, asked.runs) for way in (ours, plain)}
    assert abs(rows["ours"]["mean"] - rows["plain"]["mean"]) < 1e-12, rows
    for name, row in rows.items():
        seconds = row["select"] + row["load_and_aggregate"]
        print(
            f"{name:6} {int(row['runs'])} runs: select {row['select']:.1f} s, load and aggregate "
            f"{row['load_and_aggregate']:.1f} s, together {seconds:.1f} s, {row['megabytes']:.0f} MB"
        )
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
