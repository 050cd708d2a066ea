"""``paribus spec FILE.json``: a spec of the older format, as the configuration that equals it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.cli.arguments import Arguments
from paribus.errors import ConfigError

if TYPE_CHECKING:
    from paribus.cli.legacy.document import LegacySpec
    from paribus.cli.legacy.words import Request
    from paribus.config.job import Job

SUMMARY = "a JSON spec of the older format: prints the override line that equals it, and runs it"
USAGE = """
paribus spec FILE.json [--dry-run] [--output-dir DIR] [KEY=VALUE ...]

Prints the paribus line that equals the spec, validates it, runs and tracks it, and writes
DIR/<id>__f<feature>__<type-with-dashes>.json (DIR is multirun/specs by default). Further overrides go before the
spec's own values.

id, type, feature_id   name of the result file; one of the sixteen types; number of the latent
model_type             full or ultra (add model.path=FOLDER), or planted, set_completion, set_completion_small,
                       splatgpt, tracked
dataset_slice          the slice group; a percentile of 0 or 100 leaves nothing out
variables              those of the experiment (paribus list TYPE), also under their older names
rungs                  "nearest" maps rungs that do not exist to the nearest one, here or among the variables
constraints            names are enforced as hard, others keep their level; or an object of levels
outputs                which of aggregates, tables, diagnostics, figures the result file holds
parent_hypothesis, description, rationale, created_at: tags of the run

--dry-run              validate completely, run nothing
"""
DEFAULT_FOLDER = "multirun/specs"


def run(arguments: Sequence[str]) -> int:
    """Map, validate, and run a spec.

    Raises:
        ParibusError: If the spec is wrong, or the run fails.
    """
    parser = Arguments("spec")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--output-dir", default=DEFAULT_FOLDER)
    parser.add_argument("--config-dir")
    parser.add_argument("file", nargs="?")
    parser.add_argument("overrides", nargs="*")
    asked = parser.take(arguments)
    if asked.file is None or ("=" in asked.file and not _exists(asked.file)):
        raise ConfigError("spec: wants a file (paribus spec FILE.json)")
    for word in asked.overrides:
        if "=" not in word:
            raise ConfigError(f"spec: {word}: wants one file, and then KEY=VALUE")
    dirs = () if asked.config_dir is None else (asked.config_dir,)
    spec, made = mapped(Path(asked.file), asked.overrides, dirs)
    print("paribus " + shlex.join(made.words))
    for note in made.notes:
        print(f"paribus: {note}", file=sys.stderr)
    job = checked(made, dirs)
    if asked.dry_run or job.dry_run:
        print("Valid. Nothing was run.")
        return 0
    return execute(spec, job, Path(asked.output_dir).expanduser())


def mapped(path: Path, extra: Sequence[str], config_dirs: Sequence[str]) -> tuple[LegacySpec, Request]:
    """Read a spec and map it, with the rungs of the vocabulary that its model brings.

    Raises:
        ConfigError: If it is wrong.
    """
    from paribus.cli.legacy import document, words

    spec = document.read(path)
    chosen = [word for word in words.model_words(spec, extra) if word.startswith("model")]
    own = [word for word in extra if word.startswith(("model=", "model."))]
    rungs = _rungs([*chosen, *own], config_dirs) if spec.model_type in (*words.REAL, "splatgpt") or own else None
    known = {} if rungs is None else {"rungs": rungs}
    return spec, words.request(spec, extra=extra, **known)


def checked(made: Request, config_dirs: Sequence[str]) -> Job:
    """Compose the request and look up every name in it.

    Raises:
        ParibusError: If something is wrong.
    """
    from paribus.cli.launch import validate
    from paribus.config.compose import jobs

    (job,) = jobs(made.words, config_dirs=config_dirs)
    validate([job])
    return job


def execute(spec: LegacySpec, job: Job, folder: Path) -> int:
    """Run a validated spec and write its result file.

    Raises:
        ParibusError: If the run fails.
    """
    from paribus.cli import signals
    from paribus.cli.legacy import result_file
    from paribus.running.run import run_job

    result_file.prepare(folder)
    with signals.raising():
        result = run_job(job)
        path = result_file.write(result, spec, folder)
    look = f"; paribus show {result.run_id[:8]} tells about the run" if result.run_id else ""
    print(f"Result: {path}{look}")
    return 0


def _rungs(model: Sequence[str], config_dirs: Sequence[str]) -> tuple[int, ...] | None:
    from paribus.config.compose import Composer
    from paribus.subjects.builds.vocabulary import Vocabulary

    node = Composer(config_dirs).node("model", model)
    files = getattr(node, "vocabulary_files", None)
    return Vocabulary.read(files()[0]).rungs if callable(files) else None


def _exists(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False
