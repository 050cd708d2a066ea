"""Cutting a network at a site: what runs before it, once, and what runs after it, for every intervention."""

from __future__ import annotations

import contextlib
import copy
import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from paribus.engine.course import Course
from paribus.engine.given import Given, arguments
from paribus.engine.hooks import Reached, visiting
from paribus.engine.sites import Site


@dataclass(frozen=True)
class Split:
    """A network in two parts.

    Attributes:
        prefix: The tensors of a call to ``(site value, *boundary values)``.
        suffix: ``(site value, *boundary values)`` to the model's output, or to the value at the site that is read.
        also: The further sites of the course, as the suffix counts their calls.
    """

    prefix: Callable[..., tuple[Any, ...]]
    suffix: fx.GraphModule
    also: tuple[Site, ...] = ()


class _WritableProxy(fx.Proxy):
    """A symbol that records ``x[index] = value`` too; what reads ``x`` later comes later in the graph."""

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})


class _SiteTracer(fx.Tracer):
    """Traces for fixed arguments (the others keep their defaults) and never looks into the modules of sites.

    With ``coarse`` it looks into no module but those around the sites, so that their control flow does not matter.
    """

    def __init__(self, site_modules: tuple[nn.Module, ...], names: tuple[str | None, ...], *, coarse: bool) -> None:
        super().__init__()
        self.site_modules, self.names, self.coarse = site_modules, names, coarse

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if any(m is one for one in self.site_modules):
            return True
        if any(inner is one for inner in m.modules() for one in self.site_modules):
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
        def by_name(root: Any, *values: Any) -> Any:
            positional, named = arguments(values, self.names)
            return root_fn(root, *positional, **named)

        inputs = [self.create_proxy("placeholder", f"input_{i}", (), {}) for i in range(len(self.names))]
        return by_name, [self.root, *inputs]


def split_at(model: nn.Module, course: Course, names: tuple[str | None, ...], *, coarse: bool) -> Split | None:
    """Cut ``model`` at the first site of ``course`` with symbolic tracing; None where that is impossible.

    Call it in evaluation mode: the flags are baked into the trace. The model itself is not changed; the suffix works
    on the model's own parameters.

    Args:
        model: The network.
        course: Where to cut, what else is edited, and where the pass is read.
        names: The keyword of each tensor the model is called with, None where it is passed by position.
        coarse: Whether to trace only through the modules around the sites.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
        >>> found = split_at(net, Course(Site("1"), (), None, None), (None,), coarse=False)
        >>> x = torch.ones(5, 3)
        >>> torch.allclose(run_suffix(found, *found.prefix(x), ()), net(x))
        True
    """
    try:
        graph = _SiteTracer(course.modules(model), names, coarse=coarse).trace(model)
    except Exception:  # tracing runs the model's own code on symbols: it may fail in any way
        return None
    if course.read is not None and not _end_at(graph, model, course.read):
        return None
    call = _call_of(graph, model, course.site)
    if call is None:
        return None
    return _cut(model, graph, call, course)


def _calls(graph: fx.Graph, model: nn.Module, module: nn.Module) -> list[fx.Node]:
    """Return the calls of a module, in the order of the forward pass."""
    return [n for n in graph.nodes if n.op == "call_module" and model.get_submodule(str(n.target)) is module]


def _call_of(graph: fx.Graph, model: nn.Module, site: Site) -> fx.Node | None:
    """Return the call that a site means; None where it is not the only one and not named, or takes no tensor."""
    calls = _calls(graph, model, site.validate(model))
    if (site.call is None and len(calls) != 1) or (site.call is not None and len(calls) < site.call):
        return None
    call = calls[(site.call or 1) - 1]
    return None if site.port == "input" and not (call.args and isinstance(call.args[0], fx.Node)) else call


def _end_at(graph: fx.Graph, model: nn.Module, read: Site) -> bool:
    """End the graph at a site, as a pass that is read there ends; say whether that is possible."""
    call = _call_of(graph, model, read)
    if call is None:
        return False
    nodes = list(graph.nodes)
    nodes[-1].args = (call if read.port == "output" else call.args[0],)
    first_gone = nodes.index(call) + (read.port == "output")
    for node in reversed(nodes[first_gone:-1]):
        graph.erase_node(node)
    return True


def _cut(model: nn.Module, graph: fx.Graph, call: fx.Node, course: Course) -> Split | None:
    site = course.site
    value = call if site.port == "output" else call.args[0]
    after = _after(graph, call, site)
    output = next(node for node in graph.nodes if node.op == "output")
    if output not in after or not isinstance(value, fx.Node) or value.op == "get_attr":
        return None
    also = _counted_after(model, graph, after, course.also)
    if also is None:
        return None
    boundary = _boundary(graph, call, site, after, value)
    before = fx.GraphModule(model, _prefix(graph, after, (value, *boundary)))
    before.graph.eliminate_dead_code()
    before.recompile()
    suffix = fx.GraphModule(model, _suffix(graph, call, site, after, value, boundary))
    return Split(before, own_modules(suffix, keep={one.module for one in also}), also)


def _after(graph: fx.Graph, call: fx.Node, site: Site) -> set[fx.Node]:
    """Return the nodes that depend on the site."""
    after = {call} if site.port == "input" else set()
    for node in graph.nodes:
        if any(used in after or (used is call and site.port == "output") for used in node.all_input_nodes):
            after.add(node)
    return after


def _boundary(graph: fx.Graph, call: fx.Node, site: Site, after: set[fx.Node], value: fx.Node) -> list[fx.Node]:
    """Return the nodes before the site, besides its own value, that those after it need."""
    boundary: list[fx.Node] = []
    for node in graph.nodes:
        for used in _read(node, call, site) if node in after else ():
            at_site = used is value and site.port == "output"
            if used not in after and not at_site and used.op != "get_attr" and used not in boundary:
                boundary.append(used)
    return boundary


def _prefix(graph: fx.Graph, after: set[fx.Node], given: tuple[fx.Node, ...]) -> fx.Graph:
    """Return the part before the site, which ends with the values ``given`` to the part after it."""
    prefix, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in graph.nodes:
        if node not in after:
            copies[node] = prefix.node_copy(node, lambda used: copies[used])
    prefix.output(tuple(copies[node] for node in given))
    return prefix


def _suffix(
    graph: fx.Graph, call: fx.Node, site: Site, after: set[fx.Node], value: fx.Node, boundary: list[fx.Node]
) -> fx.Graph:
    """Return the part after the site; its inputs are the site's value and the ``boundary``."""
    suffix, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    site_value = suffix.placeholder("site")
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
    return suffix


def _counted_after(
    model: nn.Module, graph: fx.Graph, after: set[fx.Node], sites: tuple[Site, ...]
) -> tuple[Site, ...] | None:
    """Return sites with their calls counted among those after the cut; None where one lies before it."""
    found: list[Site] = []
    for site in sites:
        call = _call_of(graph, model, site)
        if call is None or call not in after:
            return None
        later = [one for one in _calls(graph, model, site.validate(model)) if one in after]
        found.append(replace(site, module=str(call.target), call=later.index(call) + 1))
    return tuple(found)


def _read(node: fx.Node, call: fx.Node, site: Site) -> list[fx.Node]:
    """The nodes whose values ``node`` needs, the site's own left out where ``node`` is the module it leads into."""
    found: list[fx.Node] = []
    at_input = node is call and site.port == "input"
    fx.node.map_arg((node.args[1:] if at_input else node.args, node.kwargs), found.append)
    return found


def own_modules(suffix: fx.GraphModule, keep: Collection[str] = ()) -> fx.GraphModule:
    """Make the suffix safe for cached values and cheap: no in-place operation on them, batch norms folded away.

    An in-place module keeps that only behind a module or operation that makes a fresh tensor. A batch norm right
    after a convolution (evaluation mode) is merged into a copy of it, in double precision, which is exact up to
    rounding. The model's own modules stay as they are, and so do those named in ``keep``, which are looked into.
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
        if str(node.target) in keep or str(source.target) in keep:
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
    """Return a convolution that does what ``conv`` followed by ``norm`` in evaluation mode does.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
        >>> x = torch.ones(1, 3, 8, 8)
        >>> torch.allclose(folded(net[0], net[1])(x), net(x), atol=1e-5)
        True
    """
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


def last_module_split(model: nn.Module, site: Site, names: tuple[str | None, ...]) -> Split | None:
    """Cut a model whose forward cannot be traced, where the site is its last module's input or output.

    The caller must have seen that the model returns exactly this module's output.
    """
    module = site.validate(model)
    suffix = nn.Sequential(module) if site.port == "input" else nn.Identity()
    try:
        graph = fx.Tracer().trace(suffix)
    except Exception:
        return None

    def prefix(*inputs: Tensor) -> tuple[Tensor, ...]:
        with visiting(model, site, stop=True) as visitor, contextlib.suppress(Reached):
            Given(inputs, names).call(model)
        assert visitor.value is not None
        return (visitor.value,)

    return Split(prefix, own_modules(fx.GraphModule(suffix, graph)))


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
