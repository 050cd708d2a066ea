"""Cutting a network at a site: what runs before it, once, and what runs after it, for every intervention."""

from __future__ import annotations

import contextlib
import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from paribus.engine.hooks import Reached, visiting
from paribus.engine.sites import Site


@dataclass(frozen=True)
class Split:
    """A network in two parts.

    Attributes:
        prefix: Inputs to ``(site value, *boundary values)``.
        suffix: ``(site value, *boundary values)`` to the model's output.
        n_boundary: How many values besides the site's the suffix needs (skip connections, masks).
    """

    prefix: Callable[..., tuple[Any, ...]]
    suffix: fx.GraphModule
    n_boundary: int


class _WritableProxy(fx.Proxy):
    """A symbol that records ``x[index] = value`` too; what reads ``x`` later comes later in the graph."""

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})


class _SiteTracer(fx.Tracer):
    """Traces for a fixed number of inputs (the others keep their defaults) and never looks into the site's module.

    With ``coarse`` it looks into no module but those around the site, so that their control flow does not matter.
    """

    def __init__(self, site_module: nn.Module, n_inputs: int, *, coarse: bool) -> None:
        super().__init__()
        self.site_module, self.n_inputs, self.coarse = site_module, n_inputs, coarse

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if m is self.site_module:
            return True
        if any(inner is self.site_module for inner in m.modules()):
            return False
        return self.coarse or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _WritableProxy(node, self)

    def create_args_for_root(
        self,
        root_fn: Callable[..., Any],
        is_module: bool,
        concrete_args: dict[str, Any] | tuple[Any, ...] | None = None,
    ) -> tuple[Callable[..., Any], list[Any]]:
        inputs = [self.create_proxy("placeholder", f"input_{i}", (), {}) for i in range(self.n_inputs)]
        return root_fn, [self.root, *inputs]


def split_at(model: nn.Module, site: Site, n_inputs: int, *, coarse: bool) -> Split | None:
    """Cut ``model`` at ``site`` with symbolic tracing; None where that is impossible.

    Call it in evaluation mode: the flags are baked into the trace. The model itself is not changed; the suffix works
    on the model's own parameters.

    Args:
        model: The network.
        site: Where to cut.
        n_inputs: The number of tensors the model is called with.
        coarse: Trace only through the modules around the site.
    """
    module = site.validate(model)
    try:
        graph = _SiteTracer(module, n_inputs, coarse=coarse).trace(model)
    except Exception:  # tracing runs the model's own code on symbols: it may fail in any way
        return None
    calls = [n for n in graph.nodes if n.op == "call_module" and model.get_submodule(str(n.target)) is module]
    if len(calls) != 1 or (site.port == "input" and not (calls[0].args and isinstance(calls[0].args[0], fx.Node))):
        return None
    return _cut(model, graph, calls[0], site)


def _cut(model: nn.Module, graph: fx.Graph, call: fx.Node, site: Site) -> Split | None:
    value = call if site.port == "output" else call.args[0]
    after = {call} if site.port == "input" else set()
    for node in graph.nodes:
        if any(used in after or (used is call and site.port == "output") for used in node.all_input_nodes):
            after.add(node)
    output = next(node for node in graph.nodes if node.op == "output")
    if output not in after or not isinstance(value, fx.Node) or value.op == "get_attr":
        return None

    suffix, copies = fx.Graph(), {}
    site_value = suffix.placeholder("site")
    boundary: list[fx.Node] = []
    for node in graph.nodes:
        for used in _read(node, call, site) if node in after else ():
            at_site = used is value and site.port == "output"
            if used not in after and not at_site and used.op != "get_attr" and used not in boundary:
                boundary.append(used)
    for i, node in enumerate(boundary):
        copies[node] = suffix.placeholder(f"boundary_{i}")
    if site.port == "output":
        copies[value] = site_value

    def translate(node: fx.Node) -> fx.Node:
        if node not in copies:  # a parameter or buffer
            copies[node] = suffix.get_attr(str(node.target))
        return copies[node]

    for node in graph.nodes:
        if node is call and site.port == "input":  # other readers of the same tensor do not see the edit
            rest, named = fx.node.map_arg((call.args[1:], call.kwargs), translate)
            copies[node] = suffix.call_module(str(call.target), (site_value, *rest), named)
        elif node in after:
            copies[node] = suffix.node_copy(node, translate)

    prefix, copies = fx.Graph(), {}
    for node in graph.nodes:
        if node not in after:
            copies[node] = prefix.node_copy(node, lambda used: copies[used])
    prefix.output(tuple(copies[node] for node in (value, *boundary)))
    before = fx.GraphModule(model, prefix)
    before.graph.eliminate_dead_code()
    before.recompile()
    return Split(before, own_modules(fx.GraphModule(model, suffix)), len(boundary))


def _read(node: fx.Node, call: fx.Node, site: Site) -> list[fx.Node]:
    """The nodes whose values ``node`` needs, the site's own left out where ``node`` is the module it leads into."""
    found: list[fx.Node] = []
    at_input = node is call and site.port == "input"
    fx.node.map_arg((node.args[1:] if at_input else node.args, node.kwargs), found.append)
    return found


def own_modules(suffix: fx.GraphModule) -> fx.GraphModule:
    """Make the suffix safe for cached values and cheap: no in-place operation on them, batch norms folded away.

    An in-place module keeps that only behind a module or operation that makes a fresh tensor. A batch norm right
    after a convolution (evaluation mode) is merged into a copy of it, in double precision, which is exact up to
    rounding. The model's own modules stay as they are.
    """
    uses: dict[str, int] = {}
    for node in suffix.graph.nodes:
        if node.op == "call_module":
            uses[str(node.target)] = uses.get(str(node.target), 0) + 1
    for node in list(suffix.graph.nodes):
        if node.op != "call_module":
            continue
        module, source = suffix.get_submodule(str(node.target)), node.args[0] if node.args else None
        if getattr(module, "inplace", False) and not _makes_fresh(suffix, source):
            _replace(suffix, str(node.target), _out_of_place(module))
        if not isinstance(module, nn.modules.batchnorm._BatchNorm) or not isinstance(source, fx.Node):
            continue
        before: Any = suffix.get_submodule(str(source.target)) if source.op == "call_module" else None
        if (
            isinstance(before, nn.Conv1d | nn.Conv2d | nn.Conv3d)
            and len(source.users) == 1
            and uses[str(source.target)] == uses[str(node.target)] == 1
            and module.running_mean is not None
        ):
            _replace(suffix, str(source.target), folded(before, module))
            node.replace_all_uses_with(source)
            suffix.graph.erase_node(node)
    suffix.recompile()
    suffix.eval()
    return suffix


def folded(conv: nn.Module, norm: nn.modules.batchnorm._BatchNorm) -> nn.Module:
    """Return a convolution that does what ``conv`` followed by ``norm`` in evaluation mode does."""
    merged: Any = copy.deepcopy(conv).double().eval()
    scaling: Any = copy.deepcopy(norm).double().eval()
    fused: nn.Module = fuse_conv_bn_eval(merged, scaling)
    return fused.to(next(conv.parameters()).dtype)


def _makes_fresh(suffix: fx.GraphModule, source: Any) -> bool:
    if not isinstance(source, fx.Node):
        return False
    if source.op == "call_module":
        return isinstance(suffix.get_submodule(str(source.target)), _FRESH)
    return source.op == "call_function" and getattr(source.target, "__name__", "") in ("add", "mul", "sub", "matmul")


_FRESH = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.Linear,
    nn.modules.batchnorm._BatchNorm,
    nn.LayerNorm,
    nn.GroupNorm,
)


def _out_of_place(module: nn.Module) -> nn.Module:
    twin = copy.copy(module)
    twin.inplace = False  # type: ignore[assignment]
    return twin


def _replace(suffix: fx.GraphModule, target: str, module: nn.Module) -> None:
    parent, _, name = target.rpartition(".")
    setattr(suffix.get_submodule(parent), name, module)


class _ReturnSite(nn.Module):
    """The suffix of a site that is the model's output."""

    def forward(self, site: Tensor) -> Tensor:
        return site


def last_module_split(model: nn.Module, site: Site) -> Split | None:
    """Cut a model whose forward cannot be traced, where the site is its last module's input or output.

    The caller must have seen that the model returns exactly this module's output.
    """
    module = site.validate(model)
    suffix: nn.Module = _ReturnSite()
    if site.port == "input":
        suffix = nn.Sequential(module)
    try:
        graph = fx.Tracer().trace(suffix)
    except Exception:
        return None

    def prefix(*inputs: Tensor) -> tuple[Tensor, ...]:
        with visiting(model, site, stop=True) as visitor, contextlib.suppress(Reached):
            model(*inputs)
        assert visitor.value is not None
        return (visitor.value,)

    return Split(prefix, own_modules(fx.GraphModule(suffix, graph)), 0)


def run_suffix(split: Split, value: Tensor, boundary: tuple[Any, ...]) -> Any:
    """Return the model's output for a site value; cached boundary tensors are protected from in-place methods."""
    if any(map(_writes, split.suffix.graph.nodes)):
        boundary = tuple(one.clone() if isinstance(one, torch.Tensor) else one for one in boundary)
    return split.suffix(value, *boundary)


def _writes(node: fx.Node) -> bool:
    """Return whether a node changes one of its arguments."""
    if node.op == "call_method":
        return str(node.target).endswith("_")
    in_place = (operator.setitem, operator.iadd, operator.isub, operator.imul, operator.itruediv)
    return node.op == "call_function" and (node.target in in_place or bool(node.kwargs.get("inplace")))
