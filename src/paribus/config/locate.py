"""Look-up by name: the shipped ``conf`` folder, and the object of a ``_target_``."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paribus.config.aliases import today
from paribus.config.opened import watch
from paribus.errors import ConfigError, nearest
from paribus.spec import is_own


def places() -> tuple[Path, ...]:
    """Return where the shipped configuration may be: inside the installed package, or in the checkout.

    An editable install copies ``conf`` once and never again, so the folder is looked up by path.
    """
    package = Path(__file__).resolve().parents[1]
    return (package / "conf", package.parents[1] / "conf")


def own_folders(config_dirs: Sequence[str | Path]) -> list[Path]:
    """Return the user's folders of options.

    Raises:
        ConfigError: If one is not there.
    """
    for folder in config_dirs:
        if not os.path.isdir(folder):  # false also for what no folder can be called
            raise ConfigError(f"--config-dir {folder}: there is no such folder")
    return [Path(folder) for folder in config_dirs]


def conf_dir() -> Path:
    """Return the folder of the shipped configuration.

    Raises:
        ConfigError: If it is not found.

    Example:
        >>> (conf_dir() / "config.yaml").is_file()
        True
    """
    for place in places():
        if (place / "config.yaml").is_file():
            return place
    raise ConfigError(f"no configuration folder: looked for config.yaml in {' and '.join(map(str, places()))}")


def target_object(target: Any, where: str) -> Any:
    """Import the class or function that ``target`` names (``package.module.Name``).

    Args:
        target: The value of a ``_target_`` key.
        where: The node it is in, for the message.

    Raises:
        ConfigError: If it is no dotted name, or its module or the name in it does not exist.

    Example:
        >>> target_object("collections.Counter", "model").__name__
        'Counter'
    """
    here = f"{where}._target_"
    if not isinstance(target, str) or "." not in target or not all(p.isidentifier() for p in target.split(".")):
        raise ConfigError(f"{here}: wants a dotted name such as my_package.build, got {target!r}")
    first, *rest = today(target).split(".")
    if not is_own(first):
        watch()  # files that user modules read on import count too
    found: Any = _import(first, here)
    path = first
    for name in rest:
        if not hasattr(found, name):
            _import_submodule(found, path, name, here)
        found = getattr(found, name)
        path = f"{path}.{name}"
    if not callable(found):
        raise ConfigError(f"{here}: {target} is no class or function")
    return found


def _import_submodule(parent: Any, path: str, name: str, here: str) -> None:
    """Import the module ``name`` of the package ``parent``, which then has it as an attribute."""
    submodules = [module.name for module in pkgutil.iter_modules(getattr(parent, "__path__", []))]
    if name in submodules:
        _import(f"{path}.{name}", here)
        return
    known = [n for n in (*dir(parent), *submodules) if not n.startswith("_")]
    raise ConfigError(f"{here}: {path} has no {name!r}; {nearest(name, known)}")


def _import(name: str, here: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise ConfigError(
                f"{here}: there is no module {name!r} (it must be installed, or lie in the working folder)"
            ) from None
        raise ConfigError(f"{here}: importing {name} needs {missing!r}, which is not installed") from None
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # a script may call sys.exit()
        raise ConfigError(f"{here}: importing {name} failed: {type(error).__name__}: {error}") from error
