"""The documentation site: ``make docs`` renders this folder to ``site``; every warning is an error."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE.parent)]

import paribus  # noqa: E402

project = "Paribus"
author = "The Paribus authors"
version = release = paribus.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "**/__pycache__"]
html_theme = "furo"
html_title = "Paribus"
html_show_sphinx = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "off"  # the notebook keeps its results, and a test runs it
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Class attributes", "Attributes")]
napoleon_use_ivar = True

NAVIGATION: dict[str, dict[str, list[str]]] = {
    "index": {
        "Start here": ["tutorial", "concepts"],
        "The studies": ["reading_the_shortcut_study", "experiments/index"],
        "Many runs": ["sweeps", "compare", "gallery", "store"],
        "Your own network, data, subject": [
            "extending",
            "own_subject",
            "images",
            "tables",
            "texts",
            "language_models",
            "specs",
        ],
        "How far to trust it": ["calibration", "performance", "verify"],
        "Reference": ["reference/index", "api/index"],
        "The project": ["architecture", "contributing", "changelog"],
    },
    "experiments/index": {
        "": sorted(path.stem for path in (HERE / "experiments").glob("*.md") if path.stem != "index")
    },
    "reference/index": {"": sorted(path.stem for path in (HERE / "reference").glob("*.md") if path.stem != "index")},
}
"""The tables of contents, kept out of the pages so that these read well where they are not rendered."""

API = HERE / "api"
ORDER = ("paribus", "measure", "methods", "factors", "subjects", "features", "models", "training", "engine", "subspace")
"""The packages that a reader looks for first; the others follow by name."""


def rooms() -> list[str]:
    """Return every package of Paribus that offers names, the front door first."""
    found = ["paribus"]
    for module in pkgutil.walk_packages(paribus.__path__, "paribus."):
        if module.ispkg and getattr(importlib.import_module(module.name), "__all__", ()):
            found.append(module.name)
    known = {f"paribus.{room}": place for place, room in enumerate(ORDER)} | {"paribus": -1}
    return sorted(found, key=lambda name: (known.get(".".join(name.split(".")[:2]), len(ORDER)), name))


def homes(rooms: list[str]) -> dict[int, str]:
    """Return the package that documents each thing, by its identity: the front door all it offers, rooms the rest."""
    offered = [(room, importlib.import_module(room)) for room in reversed(rooms)]
    return {id(getattr(module, name)): room for room, module in offered for name in _names(module)}


def _names(module: ModuleType) -> list[str]:
    return [name for name in module.__all__ if not name.startswith("__")]


def api_page(room: str, homes: dict[int, str]) -> str:
    """Return the page of a package: its docstring, a list of its names, and each of them that is at home there."""
    module = importlib.import_module(room)
    things = {name: getattr(module, name) for name in _names(module)}
    listed = "\n".join(
        f"| {{py:obj}}`~{homes[id(thing)]}.{name}` | {summary(thing)} |" for name, thing in things.items()
    )
    own = [(name, thing) for name, thing in things.items() if homes[id(thing)] == room]
    entries = "\n\n".join(f".. {directive(thing)}:: {room}.{name}" for name, thing in own)
    return f"""# {room}

```{{eval-rst}}
.. automodule:: {room}
   :no-members:

```

| name | |
|---|---|
{listed}

```{{eval-rst}}
{entries}
```
"""


def summary(thing: object) -> str:
    """Return the first line of a thing's docstring, for a cell of a table."""
    return (inspect.getdoc(thing) or "").partition("\n")[0].replace("|", "\\|")


def directive(thing: object) -> str:
    """Return the directive that documents a thing of this kind."""
    if inspect.isclass(thing):
        return "autoexception" if issubclass(thing, BaseException) else "autoclass"
    return "autofunction" if callable(thing) else "autodata"


def write_api_pages() -> None:
    """Write a page for each package into ``docs/api``, which git ignores."""
    API.mkdir(exist_ok=True)
    found = rooms()
    at = homes(found)
    made = {f"{room}.md": api_page(room, at) for room in found}
    listed = "\n".join(Path(name).stem for name in made)
    made["index.md"] = (
        "# API reference\n\nWhat each package offers, from its docstrings. The examples are run by the tests.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    )
    for path in API.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        if not (API / name).is_file() or (API / name).read_text(encoding="utf-8") != text:
            (API / name).write_text(text, encoding="utf-8")


def navigation(document: str) -> str:
    """Return the hidden tables of contents that belong to a page; none for most."""
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n{f':caption: {caption}' if caption else ''}\n\n" + "\n".join(pages) + "\n```\n"
        for caption, pages in NAVIGATION.get(document, {}).items()
    )


def setup(app: Sphinx) -> None:
    """Write the API pages before the sources are read, and give every page its place in the navigation."""

    def add(app: Sphinx, document: str, source: list[str]) -> None:
        source[0] += navigation(document)

    app.connect("config-inited", lambda app, config: write_api_pages())
    app.connect("source-read", add)
