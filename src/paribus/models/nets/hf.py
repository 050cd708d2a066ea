"""Reads transformers from local files, without a network connection and without running code that lies beside them."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from paribus.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from paribus.models.hf import HF


def build(spec: HF, n_tokens: int) -> nn.Module:
    """Return the network of a spec in float32; see :meth:`paribus.models.hf.HF.build`."""
    files = spec.files()
    gguf = files[0].suffix == ".gguf"
    for package in ("transformers", *(("gguf",) if gguf else ())):
        if importlib.util.find_spec(package) is None:
            raise CheckpointError(f"model=hf: needs the package {package}; pip install 'paribus[text]'")
    transformers: Any = importlib.import_module("transformers")  # an optional package, and a slow one
    maker: Any = transformers.AutoModelForCausalLM if spec.family == "causal" else transformers.AutoModel
    given: dict[str, Any] = {"gguf_file": files[0].name} if gguf else {"use_safetensors": True}
    logging.getLogger("transformers").setLevel(logging.ERROR)  # it speaks of what nobody asked here
    try:
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
        raise CheckpointError(f"model.path={spec.path}: cannot be read ({first})") from error
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise CheckpointError(f"model.path={spec.path}: lacks weights of {', '.join(missing[:8])}")
    known = int(network.get_input_embeddings().num_embeddings)
    if n_tokens > known:
        raise ConfigError(f"model.path={spec.path}: knows {known} tokens, the data use {n_tokens}")
    network.config.use_cache = False
    made: nn.Module = network.eval()
    return made
