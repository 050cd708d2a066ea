"""Checkpoint files: read without running code from them, and fitted to a model; mismatches are refused by name."""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from paribus.errors import CheckpointError, message_of, nearest
from paribus.spec import path_of

SUFFIXES = (".pt", ".pth", ".safetensors")
_NESTED = (
    "model", "state_dict", "model_state_dict", "algorithm", "weights", "net", "network",
    "model_ema", "state_dict_ema", "ema_state_dict", "ema", "module",
)  # fmt: skip
"""Keys under which checkpoints hold their weights; averaged ones are taken where there are no others."""
_PREFIXES = ("module.", "model.", "_orig_mod.", "backbone.", "net.", "network.", "encoder.", "ema_model.")
MOST_WRAPPERS = 3
MOST_NAMED = 8


def load_state(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the weights in a file: tensors and plain values only, code in a pickle is refused unread.

    Args:
        path: A ``.safetensors`` file, or a ``.pt``/``.pth`` file that holds a state dict, by itself or under a key such
            as ``model`` or ``state_dict``.

    Raises:
        CheckpointError: If the file is missing, of another kind, damaged, holds code, or holds no weights.

    Example:
        >>> import torch
        >>> torch.save(torch.nn.Linear(3, 2).state_dict(), "weights.pth")
        >>> sorted(load_state("weights.pth"))
        ['bias', 'weight']
    """
    file = path_of(path)
    if not file.is_file():
        raise CheckpointError(f"checkpoint {file}: no such file")
    if file.suffix not in SUFFIXES:
        raise CheckpointError(f"checkpoint {file}: unknown kind {file.suffix!r}; valid: {', '.join(SUFFIXES)}")
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickle(file)
    state = weights_in(content)
    if not state:
        raise CheckpointError(f"checkpoint {file}: holds no state dict (names to tensors)")
    return state


def weights_in(content: Any) -> dict[str, torch.Tensor]:
    """Return the named tensors in what a checkpoint file held, also under the usual keys; empty if there are none."""
    for _ in range(3):
        if not isinstance(content, Mapping):
            return {}
        inner = next((content[key] for key in _NESTED if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}


def fit_state(model: nn.Module, state: Mapping[str, torch.Tensor], leave_out: Sequence[str] = ()) -> None:
    """Load weights into a model; prefixes that wrappers put before names are taken off.

    Args:
        model: The model.
        state: The weights by name: those that the model has, which for ResNet-18 are torchvision's and timm's.
        leave_out: Modules whose weights stay as they are in the model, such as ``fc`` for a new head, and modules of
            the file that the model does not have.

    Raises:
        CheckpointError: If names or shapes differ (which are missing, which are not known, which have another shape),
            or nothing is in a module that is left out.

    Example:
        >>> from torch import nn
        >>> net = nn.Linear(3, 2)
        >>> wrapped = {f"module.{name}": value for name, value in nn.Linear(3, 2).state_dict().items()}
        >>> fit_state(net, wrapped)
        >>> bool((net.weight == wrapped["module.weight"]).all())
        True
    """
    wanted, kind = model.state_dict(), type(model).__name__
    given = _stripped(dict(state), set(wanted), kind)
    out = _left_out(given, leave_out, wanted)
    given = {name: value for name, value in given.items() if name not in out}
    required = {name for name in wanted if not name.endswith("num_batches_tracked")}
    missing = sorted(required - set(given) - out)
    unexpected = sorted(set(given) - set(wanted))
    shapes = [
        f"{name} is {_shape(given[name])}, the model has {_shape(wanted[name])}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    problems = [
        f"{len(names)} {words} ({_first(names)})"
        for words, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(f"checkpoint does not fit the architecture {kind}: weights {'; '.join(problems)}")
    # a tensor that is the model's own already is not written to: others may share it
    new = {name: value for name, value in given.items() if not _is_same_memory(value, wanted[name])}
    if new:
        model.load_state_dict(new, strict=False)


def _is_same_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.device == other.device and one.dtype == other.dtype and one.is_set_to(other)


def start_from(model: nn.Module, weights: str | None, leave_out: Sequence[str] = ()) -> nn.Module:
    """Load the file ``weights`` into ``model``, without the modules ``leave_out``, and return it; None loads nothing.

    Raises:
        CheckpointError: If the file cannot be read or does not fit; the message names the file.
    """
    if weights is None:
        return model
    state = load_state(weights)
    try:
        fit_state(model, state, leave_out)
    except CheckpointError as error:
        raise CheckpointError(f"{weights}: {error}") from None
    return model


def _read_safetensors(file: Path) -> dict[str, Any]:
    try:
        return dict(load_file(file))
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint {file}: damaged ({message_of(error)})") from None


def _read_pickle(file: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # the reader fails in many ways on a file that is no checkpoint
        said = str(error).lower()
        if "unsupported global" in said or "unsupported class" in said or _names_code(file):
            raise CheckpointError(
                f"checkpoint {file}: refused, it holds code or objects, not only weights; "
                "save model.state_dict() or a .safetensors file instead"
            ) from None
        raise CheckpointError(f"checkpoint {file}: damaged or not a torch file ({message_of(error)})") from None


def _names_code(file: Path) -> bool:
    """Whether a file is a complete bare pickle that calls something; it is only disassembled, nothing is run."""
    try:
        with file.open("rb") as stream:
            operations = {operation.name for operation, _, _ in pickletools.genops(stream)}
    except Exception:  # not a pickle
        return False
    return bool(operations & {"GLOBAL", "STACK_GLOBAL", "INST", "REDUCE"})


def _stripped(state: dict[str, torch.Tensor], wanted: set[str], kind: str) -> dict[str, torch.Tensor]:
    """Take off the prefix of wrappers under which most of the wanted names are found; names without it stay.

    Raises:
        CheckpointError: If two weights would have one name.
    """
    prefixes = {""}
    for _ in range(MOST_WRAPPERS):
        longer = {outer + inner for outer in prefixes for inner in _PREFIXES}
        prefixes |= {prefix for prefix in longer if any(name.startswith(prefix) for name in state)}
    found = {prefix: sum(prefix + name in state for name in wanted) for prefix in prefixes}
    best = max(sorted(prefixes, key=lambda prefix: (len(prefix), prefix)), key=lambda prefix: found[prefix])
    stripped = {name.removeprefix(best): value for name, value in state.items()}
    if len(stripped) < len(state):
        twice = next(name for name in state if best + name in state)
        raise CheckpointError(
            f"checkpoint does not fit the architecture {kind}: holds both {twice} and {best}{twice}; save one of them"
        )
    return stripped


def _left_out(names: Collection[str], leave_out: Sequence[str], wanted: Collection[str]) -> set[str]:
    """Return the names in one of the modules that are left out.

    Raises:
        CheckpointError: If a module is neither in the model nor in the file.
    """
    out: set[str] = set()
    for module in leave_out:
        inside = {name for name in (*names, *wanted) if name == module or name.startswith(f"{module}.")}
        if not inside:
            modules = sorted({name.rpartition(".")[0] or name for name in wanted})
            raise CheckpointError(f"leave_out: no weights in {module!r}; {nearest(module, modules)}")
        out |= inside
    return out


def _first(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
