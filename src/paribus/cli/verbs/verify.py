"""``paribus verify``: are published numbers reproduced by this installation, on this machine?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from paribus.cli import notebook
from paribus.cli.arguments import Arguments
from paribus.cli.verification import Published, located, read, shipped
from paribus.config.compose import jobs
from paribus.errors import ConfigError, ParibusError, nearest

SUMMARY = "reproduces published numbers, and says which are reproduced"
USAGE = """
paribus verify [NAME|FILE ...] [--files FOLDER]... [OVERRIDE ...]

NAME is one of the sets of numbers that ship with Paribus, FILE one of your own (YAML: name, source, files, request,
numbers); all that ship by default. The weights they are about are looked for in the folders (by default here); a set
whose weights are not there is left out and said. Overrides such as device=cuda are added to every request.
Exit code 1 if a number is not reproduced, or nothing could be looked at.
"""


def run(arguments: Sequence[str]) -> int:
    """Run the requests and compare.

    Raises:
        ConfigError: If there is no such set, a file says something else than it should, or a request is wrong.
    """
    parser = Arguments("verify")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--files", action="append", default=[])
    asked = parser.parse_intermixed_args(list(arguments))
    overrides = [name for name in asked.names if "=" in name]
    sets = [read(_file(name)) for name in asked.names if "=" not in name] or [read(each) for each in shipped().values()]
    folders = [Path(os.path.expanduser(folder)) for folder in asked.files] or [Path.cwd()]
    for folder in folders:
        if not os.path.isdir(folder):
            raise ConfigError(f"verify: --files {folder}: no such folder")
    for published in sets:
        jobs([*published.words({key: Path(name) for key, name in published.files.items()}), *overrides])
    looked, wrong = 0, 0
    for published in sets:
        done, off = _verified(published, folders, overrides)
        looked, wrong = looked + done, wrong + off
    print(f"{looked - wrong} of {looked} numbers reproduced" if looked else "nothing could be looked at")
    return 0 if looked and not wrong else 1


def _file(name: str) -> Path:
    known = shipped()
    if name in known:
        return known[name]
    if not os.path.isfile(name):
        raise ConfigError(f"verify: {name}: neither a set that ships nor a file; {nearest(name, known)}")
    return Path(name)


def _verified(published: Published, folders: Sequence[Path], overrides: Sequence[str]) -> tuple[int, int]:
    """Print a line for each number; return how many were looked at, and how many are not reproduced."""
    print(f"{published.name}\n  {published.source}")
    places = located(published.files, folders)
    missing = [name for key, name in published.files.items() if key not in places]
    if missing:
        print(f"  left out: {', '.join(missing)} is not below {', '.join(map(str, folders))} (--files FOLDER)")
        return 0, 0
    try:
        result = notebook.run([*published.words(places), *overrides])
    except ParibusError as error:
        print(f"  failed: {error}")
        return len(published.numbers), len(published.numbers)
    wrong = 0
    for number in published.numbers:
        value = number.found(result)
        if value is None:
            wrong += 1
            print(f"  {number.quantity}: {number.absent(result)}: NOT reproduced")
            continue
        holds = number.holds(value)
        wrong += not holds
        mark = "reproduced" if holds else "NOT reproduced"
        print(f"  {number.quantity}: {value:.7g}, published {number.value:.7g} +- {number.tolerance:g}: {mark}")
    return len(published.numbers), wrong
