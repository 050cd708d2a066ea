"""No module of a room imports itself in a circle: not in a function, and not for a type checker either."""

from __future__ import annotations


def circles(graph):
    """Return the sets of modules that reach each other (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            found.append(frozenset(stack[at:]))
            del stack[at:]

    for node in graph:
        if node not in index:
            visit(node)
    return {each for each in found if len(each) > 1}


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {frozenset("abc")}


def test_no_module_imports_itself_in_a_circle(source):
    graph = {name: source.imported(name) for name in source.modules()}
    found = {frozenset(name.removeprefix("paribus.") for name in each) for each in circles(graph)}
    assert found == set()
