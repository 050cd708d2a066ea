"""Reads transformers from local files, without a network connection and without running code from their folder."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import importlib.util
import io
import itertools
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from paribus.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from paribus.models.hf import HF

MOST_KEPT = 1 << 30
"""Bytes of weights up to which the latest network is kept."""
_latest: dict[tuple[Any, ...], tuple[Any, tuple[int, ...]]] = {}
"""The latest network, and what its weights were."""


def build(spec: HF, n_tokens: int) -> nn.Module:
    """Return the network of a spec in float32; see :meth:`paribus.models.hf.HF.build`."""
    made: nn.Module = load(spec.files(), spec.family, f"model.path={spec.path}", n_tokens)
    return made


def load(files: Sequence[Path], family: str, where: str, n_tokens: int) -> Any:
    """Return a network in float32 and evaluation mode.

    The latest one is cached in the process where it is small enough, as the steps of a study all load it. Each caller
    gets modules of its own that share the weights in memory; once these are written to, they are read anew.

    Args:
        files: Its ``config.json`` and weights, or a GGUF file.
        family: ``causal`` or ``encoder``.
        where: What names them, for messages.
        n_tokens: How many tokens it must know.

    Raises:
        CheckpointError: If a package is missing, or the files cannot be read or lack weights.
        ConfigError: If it knows fewer tokens.
    """
    key = (family, *(_stamp(file) for file in files))
    network, written = _latest.get(key, (None, ()))
    if network is None or written != _written(network):
        _latest.clear()
        network = _read(files, family, where)
        if sum(one.numel() * one.element_size() for one in network.parameters()) <= MOST_KEPT:
            _latest[key] = network, _written(network)
    known = int(network.get_input_embeddings().num_embeddings)
    if n_tokens > known:
        raise ConfigError(f"{where}: knows {known} tokens, the data use {n_tokens}")
    return sharing_weights(network) if key in _latest else network


def sharing_weights(network: Any) -> Any:
    """Return a copy of a network's modules and settings whose weights and buffers are those of the network in memory.

    Example:
        >>> one = nn.Linear(2, 2)
        >>> other = sharing_weights(one)
        >>> other is one, other.weight.data_ptr() == one.weight.data_ptr()
        (False, True)
    """
    shared: dict[int, Any] = {id(one): one.detach() for one in network.buffers()}
    for one in network.parameters():
        shared[id(one)] = nn.Parameter(one.detach(), requires_grad=one.requires_grad)
    return copy.deepcopy(network, shared)


def _written(network: Any) -> tuple[int, ...]:
    """Return what tells of each tensor whether it was written to, by whoever shares its memory."""
    return tuple(_bits(one) for one in itertools.chain(network.parameters(), network.buffers()))


def _bits(tensor: torch.Tensor) -> int:
    """Return the sum of a tensor's bits, read as whole numbers."""
    plain = tensor.detach().contiguous().reshape(-1)
    whole = plain.view(torch.int32) if plain.dtype == torch.float32 else plain.view(torch.uint8)
    return int(whole.sum(dtype=torch.int64))


def _stamp(file: Path) -> tuple[str, int, int, int, int]:
    """Return what changes with a file: also where another one of the same size and time takes its place."""
    now = file.stat()
    return str(file.resolve()), now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_size


def _read(files: Sequence[Path], family: str, where: str) -> Any:
    gguf = files[0].suffix == ".gguf"
    for package in ("transformers", *(("gguf",) if gguf else ())):
        if importlib.util.find_spec(package) is None:
            raise CheckpointError(f"model: needs the package {package}; pip install 'paribus[text]'")
    transformers: Any = importlib.import_module("transformers")  # an optional package, and a slow one
    maker: Any = transformers.AutoModelForCausalLM if family == "causal" else transformers.AutoModel
    given: dict[str, Any] = {"gguf_file": files[0].name} if gguf else {"use_safetensors": True}
    logging.getLogger("transformers").setLevel(logging.ERROR)  # its warnings do not apply here
    transformers.utils.logging.disable_progress_bar()
    try:
        with _bars_on_terminals_only(), _asked_once() if gguf else contextlib.nullcontext():
            network, report = maker.from_pretrained(
                files[0].parent,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                attn_implementation="eager",  # its pattern can be read
                output_loading_info=True,
                **given,
            )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{where}: cannot be read ({first})") from error
    if getattr(network.config, "is_encoder_decoder", False):
        raise CheckpointError(
            f"{where}: {type(network).__name__} is an encoder with a decoder, which read two texts; only causal "
            "language models and encoders alone are read"
        )
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise CheckpointError(f"{where}: lacks weights of {', '.join(missing[:8])}")
    network.config.use_cache = False
    return network.eval()


@contextlib.contextmanager
def _asked_once() -> Iterator[None]:
    """Read the head of a GGUF file once, and its table of names: transformers does so twice and for every module."""
    gguf: Any = importlib.import_module("gguf")
    before = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader, gguf.get_tensor_name_map = map(functools.cache, before)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = before


@contextlib.contextmanager
def _bars_on_terminals_only() -> Iterator[None]:
    """Keep progress bars of loading out of logs; errors are raised, not printed."""
    if sys.stderr.isatty():
        yield
        return
    with contextlib.redirect_stderr(io.StringIO()):
        yield
