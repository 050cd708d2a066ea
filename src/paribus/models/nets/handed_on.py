"""Attention of ``transformers``' models whose pattern goes through a module of its own, where it can be set.

Most of these models call an attention function that they look up by name (``config._attn_implementation``). The one
that is registered here calls the model's own eager function. Where an attention has a module ``pattern``, the pattern
goes through it, and only if that gives another one is it multiplied with the values again: an unedited pass is the
eager one, bit for bit.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from paribus.errors import ConfigError

PATTERN = "pattern"
"""What a module is called that hands an attention pattern ``[n, heads, to, from]`` through."""
IMPLEMENTATION = "paribus_pattern"
"""The name of the attention function."""


def hand_on(network: nn.Module, run: Callable[[], Tensor], alike: Callable[[Tensor, Tensor], bool]) -> None:
    """Let a network's attentions hand their patterns through modules named ``pattern``; it is changed in place.

    Args:
        network: A network of ``transformers``.
        run: Runs it on some inputs and returns its output.
        alike: Whether two outputs agree, where the same is computed in another order.

    Raises:
        ConfigError: If it looks no attention function up, uses another one than the eager one, or would return other
            outputs; it is as it was then.
    """
    configs = _configs(network)
    attentions = [module for module in network.modules() if _looks_up(module)]
    kind = type(network).__name__
    if not configs or not attentions:
        raise ConfigError(f"{kind} looks no attention function up by name")
    if any(one._attn_implementation != "eager" for one in configs):
        raise ConfigError(f"{kind} does not run eager attention (attn_implementation=eager)")
    before = run()
    _register()
    for config in configs:
        config._attn_implementation = IMPLEMENTATION
    for one in attentions:
        one.add_module(PATTERN, nn.Identity())
    try:
        _check(kind, [one.get_submodule(PATTERN) for one in attentions], before, run, alike)
    except BaseException:
        for one in attentions:
            delattr(one, PATTERN)
        for config in configs:
            config._attn_implementation = "eager"
        raise


def _check(
    kind: str,
    patterns: list[nn.Module],
    before: Tensor,
    run: Callable[[], Tensor],
    alike: Callable[[Tensor, Tensor], bool],
) -> None:
    """Check that nothing changes, and that values mixed again by the same patterns are what was mixed before."""
    if not torch.equal(run(), before):
        raise ConfigError(f"{kind} returns another output where its attention patterns are handed on")
    seen: set[nn.Module] = set()

    def another(module: nn.Module, _: object, pattern: Tensor) -> Tensor:
        seen.add(module)
        return pattern.clone()

    with ExitStack() as stack:
        for one in patterns:
            stack.callback(one.register_forward_hook(another).remove)
        again = run()
    if len(seen) < len(patterns):
        raise ConfigError(f"{kind} has attentions that do not use the function that they look up")
    if not alike(again, before):
        raise ConfigError(f"{kind} mixes values by more than its attention patterns")


def _configs(network: nn.Module) -> list[Any]:
    """Return the settings of a network's modules, each once, the outermost first."""
    found = {id(one): one for module in network.modules() if (one := getattr(module, "config", None)) is not None}
    return [one for one in found.values() if getattr(one, "_attn_implementation", None) is not None]


def _looks_up(module: nn.Module) -> bool:
    """Return whether a module is an attention that looks its function up, with an eager one in the same file."""
    forward: Any = inspect.unwrap(type(module).forward)
    code = getattr(forward, "__code__", None)
    return code is not None and "ALL_ATTENTION_FUNCTIONS" in code.co_names and _eager(module) is not None


def _eager(attention: nn.Module) -> Callable[..., tuple[Tensor, Tensor]] | None:
    forward: Any = inspect.unwrap(type(attention).forward)
    found: Callable[..., tuple[Tensor, Tensor]] | None = forward.__globals__.get("eager_attention_forward")
    return found


def _register() -> None:
    transformers: Any = importlib.import_module("transformers")  # an optional package; the network is of it
    masks: Any = importlib.import_module("transformers.masking_utils")
    transformers.AttentionInterface.register(IMPLEMENTATION, _attention)
    masks.AttentionMaskInterface.register(IMPLEMENTATION, masks.eager_mask)


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *further: Any, **settings: Any
) -> tuple[Tensor, Tensor]:
    """Return what attention mixes ``[n, to, heads, d]``, and its pattern ``[n, heads, to, from]``."""
    eager: Any = _eager(module)
    mixed, pattern = eager(module, query, key, value, *further, **settings)
    through = module._modules.get(PATTERN)
    handed = pattern if through is None else through(pattern)
    if handed is pattern:
        return mixed, pattern
    values = value.repeat_interleave(handed.shape[1] // value.shape[1], dim=1)  # heads may share their values
    return torch.matmul(handed.to(values.dtype), values).transpose(1, 2).contiguous(), handed
