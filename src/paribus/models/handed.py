"""A network passed as an object from a notebook: its digest for identities, and the object itself."""

from __future__ import annotations

import copy
import dataclasses
import enum
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import nn

from paribus.config.own_code import code_of
from paribus.errors import ConfigError
from paribus.models.state import cpu_state
from paribus.spec import Spec, field

_held: dict[str, nn.Module] = {}
"""The objects of runs in progress, by the digest of their spec."""


@dataclass(frozen=True)
class HandedModel(Spec, kind="model/handed"):
    """A ``torch.nn.Module`` that ``paribus.run(..., model=module)`` was given.

    It is identified by its weights and buffers, by the settings of its submodules, and by the source of their classes.
    """

    name: str = field(help="Class of the module.")
    weights: str = field(help="Digest of parameters and buffers.")
    structure: str = field(help="Digest of its parts, their settings and the source of their classes.")
    untold: list[str] = field([], science=False, help="Parts that no digest can tell from others.")

    def build(self) -> nn.Module:
        """Return a copy of the module, which is never changed itself.

        Raises:
            ConfigError: If it was handed over to another run, or cannot be copied.
        """
        module = self.held()
        try:
            return copy.deepcopy(module)
        except Exception as error:
            raise ConfigError(
                f"model: {self.name} cannot be copied ({type(error).__name__}: {error}); edits work on a copy"
            ) from error

    def held(self) -> nn.Module:
        """Return the module itself, which must not be changed.

        Raises:
            ConfigError: If it was handed over to another run.
        """
        module = _held.get(self.weights + self.structure)
        if module is None:
            raise ConfigError(
                f"model: the module {self.name} was an object of a notebook; hand it over again (paribus.run(..., "
                "model=module))"
            )
        return module


def handed_model(module: nn.Module) -> HandedModel:
    """Hold a module, and return the spec that stands for it.

    Where it holds parts that no digest can tell from others, the spec differs from that of every other run.

    Example:
        >>> spec = handed_model(nn.Linear(3, 2))
        >>> spec.name, spec.untold
        ('Linear', [])
        >>> let_go(spec)
    """
    structure, untold = _structure(module)
    if untold:
        structure = f"{structure}/{secrets.token_hex(8)}"
    spec = HandedModel(name=type(module).__name__, weights=_weights(module), structure=structure, untold=list(untold))
    _held[spec.weights + spec.structure] = module
    return spec


def let_go(spec: HandedModel) -> None:
    """Forget the object of a run that has ended."""
    _held.pop(spec.weights + spec.structure, None)


def state_of(spec: HandedModel) -> dict[str, torch.Tensor]:
    """Return the weights and buffers of a held module, each in memory of its own.

    Raises:
        ConfigError: If it is not held any more.
    """
    return cpu_state(spec.held())


def bytes_of(spec: HandedModel) -> int:
    """Return how many bytes the weights and buffers of a held module take.

    Raises:
        ConfigError: If it is not held any more.
    """
    return sum(value.nbytes for value in spec.held().state_dict().values())


def _weights(module: nn.Module) -> str:
    hashed = hashlib.sha256()
    parts = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    for name, value in sorted(parts):
        hashed.update(f"{name}/{_tensor(value)}/".encode())
    return hashed.hexdigest()


def _tensor(value: torch.Tensor) -> str:
    plain = value.detach().cpu().contiguous()
    content = hashlib.sha256(plain.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
    return f"{plain.dtype}{tuple(plain.shape)}{content}"


def _structure(module: nn.Module) -> tuple[str, tuple[str, ...]]:
    """Return a digest of what a module does besides its weights, and the names of parts that it does not cover."""
    stated: list[Any] = []
    untold: list[str] = []
    functions: list[Any] = []
    for name, part in module.named_modules(remove_duplicate=False):
        functions.append(type(part))
        settings = {}
        for key, value in sorted(vars(part).items()):
            if key.startswith("_") and "hooks" in key:
                untold += [f"{name}.{key}".lstrip(".")] if value else []
            elif not key.startswith("_") and key != "training":
                try:
                    settings[key] = _plain(value, functions)
                except TypeError:
                    untold.append(f"{name}.{key}".lstrip("."))
        stated.append([name, f"{type(part).__module__}:{type(part).__qualname__}", settings])
    text = json.dumps([stated, code_of(dict.fromkeys(functions))], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest(), tuple(untold)


def _plain(value: Any, functions: list[Any]) -> Any:
    """Return a setting as plain values; functions in it are added to ``functions``.

    Raises:
        TypeError: If it is nothing that can be told from another one.
    """
    if value is None or isinstance(value, bool | int | float | str | torch.dtype | torch.Size | enum.Enum | slice):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return f"{value.dtype}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if isinstance(value, torch.device):
        return "device"  # the device does not matter
    if isinstance(value, list | tuple | set | frozenset | Mapping):
        return [type(value).__name__, list(_items(value, functions))]
    if isinstance(value, type | FunctionType):
        if getattr(value, "__closure__", None):
            raise TypeError
        functions.append(value)
        return f"{value.__module__}:{value.__qualname__}"
    if callable(value) and type(value).__name__ == "builtin_function_or_method":
        return repr(getattr(value, "__qualname__", value))
    if dataclasses.is_dataclass(value):
        functions.append(type(value))
        return _plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, functions)
    raise TypeError


def _items(value: Any, functions: list[Any]) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from ([_plain(key, functions), _plain(item, functions)] for key, item in value.items())
    elif isinstance(value, set | frozenset):
        yield from sorted(str(_plain(item, functions)) for item in value)
    else:
        yield from (_plain(item, functions) for item in value)
