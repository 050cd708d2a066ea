"""A sweep as people write it with Hydra and MLflow alone: ``python -m benchmarks.plain -m experiment=... seed=0,1``.

It composes the same configuration, computes the same numbers by the same functions, and writes the same files, params
and metrics into MLflow's own default store. It is written as one writes such a script who knows both: ``hydra.main``
with its basic launcher and sweeper, one process for all jobs; ``mlflow.start_run``, all params by one ``log_params``,
headline numbers by one ``log_metrics``, curves by one ``log_metrics`` for each step, all files by one
``log_artifacts``. Tables are written as parquet and as JSON by the functions of Paribus, because the files must be the
same (``mlflow.log_table`` would read a table back and set a tag, which costs more). A figure is made by the drawing
functions of Paribus, which are shared, and written by matplotlib's ``savefig`` as it is, once, since the page shows the
same picture (``mlflow.log_figure`` would draw it a second time): the same pixels, in a file 7 % smaller.

Nothing else of what Paribus does is here: no check beforehand, no identity, no claim, no look for a finished run, no
provenance, no tags, no data set, no copy of the files in two steps, no log of a job of its own.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import matplotlib
import mlflow
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from paribus import results
from paribus.config.locate import conf_dir
from paribus.config.settings import NOT_SAID
from paribus.experiments.base import perform
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.recording import MemoryRecorder
from paribus.figures.about import about
from paribus.figures.draw import draw
from paribus.report.page import render
from paribus.running.keeping import headline
from paribus.tracking.metrics import curve_points
from paribus.tracking.params import flatten, to_text

STUDY = "plain"
OF_THE_SWEEP, UNUSED = ("sweep", "workers", *NOT_SAID), ("training",)
"""What a run of Paribus does not keep either: how its sweep is run, what is not asked, a group not used."""


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
def main(config: DictConfig) -> None:
    """Run one job."""
    tree: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    nodes = instantiate(config, _convert_="all")
    with mlflow.start_run(run_name=f"{nodes['experiment'].type} {config.seed}"):
        chosen = {group: name for group, name in hydra_config.runtime.choices.items() if name and group.isidentifier()}
        leaves = {**chosen, **flatten(tree)}
        mlflow.log_params(
            {k: to_text(v) for k, v in leaves.items() if k.partition(".")[0] not in (*OF_THE_SWEEP, *UNUSED)}
        )
        setup = build_setup(
            data=nodes["data"],
            model=nodes["model"],
            feature=nodes["feature"],
            slicing=nodes["slice"],
            constraints=nodes["constraints"],
            seed=config.seed,
            stats=nodes["stats"],
        )
        recorder = MemoryRecorder()
        found = perform(nodes["experiment"], setup, recorder, feature=setup.feature_name, model="planted")
        found = replace(found, provenance={"data_name": chosen["data"]})
        stated = {name: value for name, value in tree.items() if name not in OF_THE_SWEEP}
        kept = folder / "kept"
        write(found, stated | dict.fromkeys(UNUSED), kept)
        mlflow.log_metrics({name: value for name, value in headline(found).items() if math.isfinite(value)})
        steps: dict[int, dict[str, float]] = {}
        for point in (point for curve in found.curves for point in curve_points(curve)):
            steps.setdefault(point.step, {})[point.name] = point.value
        for step, values in steps.items():
            mlflow.log_metrics(values, step=step)
        mlflow.log_artifacts(str(kept))


def write(found: results.Result, tree: dict[str, Any], folder: Path) -> None:
    """Write the files of a run: its configuration, its tables, its figures, a page, and all of it as JSON."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    frames = {name: table.frame for name, table in found.tables.items()}
    for name, table in found.tables.items():
        results.write_table(table, folder)
        shown = {"columns": list(table.frame), "data": [list(row) for row in rows(table.frame)]}
        (folder / "tables" / f"{name}.json").write_text(json.dumps(shown, ensure_ascii=False))
    drawn = {}
    for figure in found.figures:
        path = folder / "figures" / f"{figure.name}.png"
        path.parent.mkdir(exist_ok=True)
        draw(figure, frames, about=about(found)).savefig(path, dpi=180, metadata={"Software": None})
        drawn[figure.name] = path.read_bytes()
    (folder / "report.html").write_text(render(found, drawn))
    (folder / "result.json").write_text(results.to_json(found))


def rows(frame: Any) -> Any:
    """Return the rows of a frame as values that JSON knows."""
    return zip(*(results.encode_column(frame[name]) for name in frame), strict=True)


if __name__ == "__main__":
    matplotlib.use("agg")
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment(STUDY)
    main()
