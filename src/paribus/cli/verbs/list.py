"""``paribus list``: what can be run and chosen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paribus.cli.arguments import Arguments
from paribus.cli.columns import aligned
from paribus.config import catalogue
from paribus.errors import ConfigError, nearest
from paribus.spec import Spec

if TYPE_CHECKING:
    from paribus.config.catalogue import Option

SUMMARY = "experiment types with their evidence and subject; the options of a group; the variables of a type"
USAGE = """
paribus list           every experiment type: name, evidence, subject, where it comes from, what it asks
paribus list GROUP     the options of a config group (data, model, training, study, ...)
paribus list TYPE      the variables of an experiment type (also GROUP/OPTION, such as model/mlp)

--config-dir DIR       your own options too
"""


def run(arguments: Sequence[str]) -> int:
    """Print what was asked for.

    Raises:
        ConfigError: If there is no such group, option or type.
    """
    parser = Arguments("list")
    parser.add_argument("what", nargs="?")
    parser.add_argument("--config-dir", action="append", default=[])
    asked = parser.take(arguments)
    dirs: list[str] = asked.config_dir
    if asked.what is None or asked.what == "experiment":
        return _experiments(dirs)
    if asked.what in catalogue.groups(dirs):
        print(_group(asked.what, dirs))
    else:
        print(_one(asked.what, dirs))
    return 0


def _experiments(dirs: Sequence[str]) -> int:
    """Print every experiment type; one that cannot be loaded is named as an error and does not hide the rest."""
    rows, broken = [], []
    for option in catalogue.options("experiment", dirs):
        try:
            cls = option.load()
        except ConfigError as error:
            broken.append(error)
            continue
        required = [v.name for v in _variables(cls) if v.default is None]
        extra = f" (needs {', '.join(required)})" if required else ""
        words = (_word(cls, "evidence"), ",".join(_subjects(cls)), option.source)
        rows.append((option.name, *words, f"{_word(cls, 'summary')}{extra}"))
    print(aligned(rows, header=("experiment", "evidence", "subject", "from", "what it asks")))
    for problem in broken:
        print(f"paribus: {problem}", file=sys.stderr)
    return 2 if broken else 0


def _subjects(cls: Any) -> tuple[str, ...]:
    return (_word(cls, "subject"), *getattr(cls, "subjects", ()))


def _word(cls: Any, name: str) -> str:
    return str(getattr(cls, name, "") or "-")


def _variables(cls: Any) -> list[catalogue.Variable]:
    return catalogue.variables(cls) if isinstance(cls, type) and issubclass(cls, Spec) else []


def _group(group: str, dirs: Sequence[str]) -> str:
    rows = [(f"{group}={option.name}", option.source, _about(option)) for option in catalogue.options(group, dirs)]
    return aligned(rows) if rows else f"{group}: there is no option"


def _about(option: Option) -> str:
    if option.comment or option.target is None:
        return option.comment
    return str(option.load().__doc__ or "").strip().split("\n")[0]


def _one(what: str, dirs: Sequence[str]) -> str:
    group, _, name = what.rpartition("/") if "/" in what else ("experiment", "", what)
    known = {option.name: option for option in catalogue.options(group, dirs)}
    if name not in known:
        groups = catalogue.groups(dirs) if group == "experiment" else []
        raise ConfigError(f"list: there is no {what!r}; {nearest(name, [*known, *groups], show=40)}")
    cls = known[name].load()
    heading = str(getattr(cls, "summary", "") or (cls.__doc__ or "").strip().split("\n")[0])
    rows = []
    for v in _variables(cls):
        limits = f" [{v.limits}]" if v.limits else ""
        rows.append((f"{group}.{v.name}", v.type, "(required)" if v.default is None else v.default, v.help + limits))
    return f"{what}: {heading}\n" + (aligned(rows, header=("variable", "type", "default", "meaning"), indent="  "))
