"""Writes ``docs/reference``: every experiment type, option and variable, from the dataclasses and the YAML files.

``python -m docs.generate`` writes the pages; with ``--check`` it writes nothing and fails when they are stale.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from paribus.config import catalogue
from paribus.config.catalogue import Option, Variable
from paribus.config.job import GROUPS
from paribus.config.settings import Settings
from paribus.spec import Spec

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by `python -m docs.generate` from the dataclasses and conf/. Do not edit. -->\n"
ABOUT = {
    "data": "What an experiment is about: images, or builds.",
    "model": "The trained network under study, or the architecture to train.",
    "feature": "The scalar that experiments on builds read.",
    "slice": "Which contexts of a corpus experiments work on.",
    "constraints": "Which edited states are allowed, and what happens to the others.",
    "training": "How a classifier is trained.",
    "device": "Where to compute. Nothing here changes a run's identity.",
    "stats": "Intervals, tests and nulls.",
    "tracking": "Where runs are kept. Nothing here changes a run's identity.",
    "experiment": "What is done. `paribus list` prints this list, `paribus list TYPE` one type.",
    "factor": "What is varied in an experiment on any network. It belongs inside the experiment: "
    "`factor@experiment.factor=NAME` chooses it, `experiment.factor.VARIABLE=VALUE` sets a variable of it.",
    "study": "Bundles of experiments on one model. The command line beats a study, a study beats an option's values.",
}


def pages() -> dict[str, str]:
    """Return the text of every page by file name."""
    groups = [group for group in (*GROUPS, "factor", "study") if group in catalogue.groups()]
    made = {f"{group}.md": _group_page(group) for group in groups}
    made["index.md"] = _index(groups)
    return made


def _index(groups: Sequence[str]) -> str:
    lines = [
        NOTE,
        "# Reference\n",
        "A run is composed of one option of each group, and the values below. `GROUP=NAME` chooses an option,",
        "`GROUP.VARIABLE=VALUE` sets a variable. Variables marked with * do not belong to a run's identity.\n",
        "| group | |\n|---|---|",
        *(f"| [{group}]({group}.md) | {ABOUT[group]} |" for group in groups),
        "\n## Values outside the groups\n",
        _variables(catalogue.variables(Settings)),
    ]
    return "\n".join(lines) + "\n"


def _group_page(group: str) -> str:
    lines = [NOTE, f"# {group}\n", ABOUT[group], ""]
    options = catalogue.options(group)
    if group == "study":
        for option in options:
            text = option.file.read_text(encoding="utf-8").rstrip()
            lines += [f"## `{group}={option.name}`\n", option.comment, "", f"```yaml\n{text}\n```\n"]
        return "\n".join(lines)
    by_class: dict[type[Any], list[Option]] = {}
    for option in options:
        by_class.setdefault(option.load(), []).append(option)
    if group == "experiment":
        lines += ["| type | evidence | subject | |\n|---|---|---|---|"]
        lines += [f"| [`{c.type}`](#{c.type}) | {c.evidence} | {_subjects(c)} | {_cell(c.summary)} |" for c in by_class]
        lines.append("")
    for cls, members in by_class.items():
        lines += _class_section(group, cls, members)
    return "\n".join(lines)


def _class_section(group: str, cls: type[Any], options: list[Option]) -> list[str]:
    if group == "experiment":
        heading = [f"## {cls.type}\n", f"{cls.summary}\n", f"Evidence: {cls.evidence}. Subject: {_subjects(cls)}.\n"]
    else:
        heading = [f"## `{group}={options[0].name}`\n" if len(options) == 1 else f"## {cls.__name__}\n"]
    lines = [*heading, (inspect.getdoc(cls) or "").partition("\n\nExample:")[0], ""]  # examples are in the API pages
    if len(options) == 1 and options[0].comment and group != "experiment":
        lines += [options[0].comment, ""]
    variables = catalogue.variables(cls) if issubclass(cls, Spec) else []
    lines += [_variables(variables, group) if variables else "It has no variables.", ""]
    if len(options) > 1:
        lines += [_options(group, options, variables), ""]
    return lines


def _variables(variables: Sequence[Variable], group: str = "") -> str:
    rows = ["| variable | type | default | allowed | meaning |", "|---|---|---|---|---|"]
    for v in variables:
        name = f"{group}.{v.name}" if group else v.name
        default = "required" if v.default is None else f"`{v.default}`"
        allowed = v.limits.replace(" | ", ", ")
        rows.append(
            f"| `{name}`{'' if v.science else ' *'} | `{_cell(v.type)}` | {default} | {allowed} | {_cell(v.help)} |"
        )
    return "\n".join(rows)


def _options(group: str, options: Sequence[Option], variables: Sequence[Variable]) -> str:
    """Return what each option of a class sets differently from the defaults of the class."""
    defaults = {v.name: v.default for v in variables}
    rows = [f"| `{group}=` | | differs from the defaults in |", "|---|---|---|"]
    for option in options:
        content = yaml.safe_load(option.file.read_text(encoding="utf-8"))
        changed = [
            f"`{key}: {catalogue.written(value)}`"
            for key, value in content.items()
            if key in defaults and value != "???" and catalogue.written(value) != defaults[key]
        ]
        rows.append(f"| `{option.name}` | {_cell(option.comment)} | {_cell(', '.join(changed))} |")
    return "\n".join(rows)


def _subjects(cls: Any) -> str:
    return ", ".join((cls.subject, *cls.subjects))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def stale(made: dict[str, str]) -> list[str]:
    """Return the names of the pages that are missing, different, or no longer written."""
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")} if FOLDER.is_dir() else {}
    return sorted(name for name in {*made, *kept} if made.get(name) != kept.get(name))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or check them; 1 if they are stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    asked = parser.parse_args(arguments)
    made = pages()
    changed = stale(made)
    if asked.check:
        if changed:
            print(f"stale: {', '.join(changed)}; run: python -m docs.generate", file=sys.stderr)
        return 1 if changed else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in made:
            (FOLDER / name).write_text(made[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    print(f"{len(changed)} pages written, {len(made) - len(changed)} were up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
