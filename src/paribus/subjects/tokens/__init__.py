"""Sequences of ids, and the arithmetic on them whose circuits are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.subjects.tokens.factors import TokenAt
    from paribus.subjects.tokens.modular_addition import ModularAddition
    from paribus.subjects.tokens.prompt_pairs import PromptPairs
    from paribus.subjects.tokens.repeated import RepeatedTokens
    from paribus.subjects.tokens.text_table import TextTable
    from paribus.subjects.tokens.token_file import TokenFile

__all__ = ["ModularAddition", "PromptPairs", "RepeatedTokens", "TextTable", "TokenAt", "TokenFile"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
