"""A text at the level of a module or a class describes what stands right before it: a constant, or nothing at all."""

from __future__ import annotations

import ast


def is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def stray(tree):
    """Return the lines of texts that describe nothing: what they were about was moved, or something put between."""
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef)]
    pairs = [pair for body in bodies for pair in zip(body, body[1:], strict=False)]
    return [
        text.lineno for before, text in pairs if is_text(text) and not isinstance(before, ast.Assign | ast.AnnAssign)
    ]


def test_a_stray_text_is_found():
    assert stray(ast.parse('"""Module."""\nA = 1\n"""A."""\nB: int = 2\n"""B."""\n')) == []
    assert stray(ast.parse('A = 1\nB = 2\n"""B."""\n"""A."""\n')) == [4]
    assert stray(ast.parse('class C:\n    """C."""\n    """x."""\n')) == [3]


def test_every_description_is_of_what_stands_before_it(source):
    assert {name: lines for name, tree in source.modules().items() if (lines := stray(tree))} == {}
