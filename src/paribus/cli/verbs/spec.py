"""``paribus spec FILE.json``: a spec of the older format, as the configuration that equals it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.cli.arguments import Arguments
from paribus.cli.launch import validate
from paribus.config.compose import Composer, jobs
from paribus.config.saving import GROUP, as_option
from paribus.config.saving import save as write
from paribus.errors import ConfigError
from paribus.experiments.builds.older import document, overrides, result_file, words
from paribus.running.run import run_job
from paribus.spec import path_of
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons
from paribus.sweep import signals

if TYPE_CHECKING:
    from paribus.config.job import Job
    from paribus.experiments.builds.older.document import LegacySpec
    from paribus.experiments.builds.older.words import Known, Request

SUMMARY = "a JSON spec of the older format: prints the override line that equals it, and runs it"
USAGE = """
paribus spec FILE.json [--dry-run] [--output-dir DIR] [--save NAME] [KEY=VALUE ...]

Prints the paribus line that equals the spec, validates it, runs and tracks it, and writes
DIR/<id>__f<feature>__<type-with-dashes>.json (DIR is multirun/specs by default). Further overrides go before the
spec's own values.

id, type, feature_id   name of the result file; one of the sixteen types; number of the latent
model_type             full or ultra (add model.path=FOLDER), or planted, set_completion, set_completion_small,
                       splatgpt, tracked
dataset_slice          the slice group; a percentile of 0 or 100 leaves nothing out; a number as weapon_filter is an
                       index of the weapon vocabulary, a text a name or game id
variables              those of the experiment (paribus list TYPE), also under their older names
rungs                  "nearest" maps rungs that do not exist to the nearest one, here or among the variables
constraints            names are enforced as hard, others keep their level; or an object of levels
outputs                which of aggregates, tables, diagnostics, figures the result file holds
parent_hypothesis, description, rationale, created_at: tags of the run

--dry-run              validate completely, run nothing
--save NAME            write it as the option study=NAME of the folder --config-dir (conf by default), and run nothing;
                       paribus --config-dir conf study=NAME is then the same request, of the same identity
"""
DEFAULT_FOLDER = "multirun/specs"
_ABOUT = ("model=", "model.", "data=", "data.")


def run(arguments: Sequence[str]) -> int:
    """Map, validate, and run a spec.

    Raises:
        ParibusError: If the spec is wrong, or the run fails.
    """
    parser = Arguments("spec")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--output-dir", default=DEFAULT_FOLDER)
    parser.add_argument("--config-dir")
    parser.add_argument("--save", metavar="NAME")
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
    if asked.save is not None:
        return save(made, job, asked.save, Path(asked.config_dir or "conf"), Path(asked.file))
    if asked.dry_run or job.dry_run:
        print("Valid. Nothing was run.")
        return 0
    return execute(spec, made, job, path_of(asked.output_dir), Path(asked.file))


def mapped(path: Path, extra: Sequence[str], config_dirs: Sequence[str]) -> tuple[LegacySpec, Request]:
    """Read a spec and map it, with the rungs and weapons of the vocabulary that its model or data bring.

    Raises:
        ConfigError: If it is wrong.
    """
    spec = document.read(path)
    return spec, words.request(spec, extra=extra, known=_known(spec, extra, config_dirs))


def checked(made: Request, config_dirs: Sequence[str]) -> Job:
    """Compose the request and look up every name in it.

    Raises:
        ParibusError: If something is wrong.
    """
    (job,) = jobs(made.words, config_dirs=config_dirs)
    validate([job])
    return job


def save(made: Request, job: Job, name: str, folder: Path, source: Path) -> int:
    """Write a validated request as an option, and check that the option composes to it.

    Raises:
        ConfigError: If the name is none or taken, or no option says what the words say.
    """
    dirs = (folder,) if folder.is_dir() else ()
    path = write(as_option(Composer(dirs), made.words, title=f"The request of {source.name}."), name, folder)
    again = Composer((folder,)).job((f"{GROUP}={name}",))
    differing = [key for key in job.tree if key != GROUP and again.tree.get(key) != job.tree[key]]
    if differing:
        path.unlink()
        raise ConfigError(f"--save {name}: an option cannot say {', '.join(differing)} as these words do")
    print(f"Saved: {path}; paribus --config-dir {folder} {GROUP}={name} runs it")
    return 0


def execute(spec: LegacySpec, made: Request, job: Job, folder: Path, source: Path) -> int:
    """Run a validated spec and write its result file.

    Raises:
        ParibusError: If the run fails.
    """
    result_file.prepare(folder)
    with signals.raising():
        result = run_job(job)
        path = result_file.write(result, spec, folder, source=source, notes=made.notes)
    look = f"; paribus show {result.run_id[:8]} tells about the run" if result.run_id else ""
    print(f"Result: {path}{look}")
    return 0


def _known(spec: LegacySpec, extra: Sequence[str], config_dirs: Sequence[str]) -> Known:
    """Return the rungs and weapons of the model's vocabulary files, else those of the data.

    Raises:
        ConfigError: If model or data are wrong.
    """
    chosen = words.model_words(spec, extra)
    model = overrides.option([*chosen, *extra], "model")
    told = any(overrides.sets(extra, key) or overrides.option(extra, key) for key in words.TELLING)
    if model == words.TRAINED_ELSEWHERE:
        return words.Known(weapons=None)
    if model != words.FROM_FOLDER and not told:
        return words.Known()
    composer = Composer(config_dirs)
    line = [f"experiment={spec.type}", *chosen, *(word for word in extra if word.lstrip("+").startswith(_ABOUT))]
    files = getattr(composer.node("model", line), "vocabulary_files", None)
    if callable(files):
        tokens, weapons = files()
        return words.Known(Vocabulary.read(tokens).rungs, Weapons.read(weapons))
    data = composer.node("data", line)
    if not hasattr(data, "vocabulary") or not hasattr(data, "weapons"):
        return words.Known()
    return words.Known(data.vocabulary().rungs, data.weapons())


def _exists(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False
