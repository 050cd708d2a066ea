"""What an experiment hands over: tables, figures as data, aggregates, diagnostics, and the result that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.results.endpoint import Companion, Endpoint
    from paribus.results.evidence import Evidence
    from paribus.results.frames import check_frame, encode_column, read_parquet, read_rows
    from paribus.results.io import from_json, read, read_partial, to_json, write, write_table
    from paribus.results.schema import Aggregates, Artifact, Curve, Diagnostics, EngineReport, Figure, Result, Table

__all__ = [
    "Aggregates",
    "Artifact",
    "Companion",
    "Curve",
    "Diagnostics",
    "Endpoint",
    "EngineReport",
    "Evidence",
    "Figure",
    "Result",
    "Table",
    "check_frame",
    "encode_column",
    "from_json",
    "read",
    "read_parquet",
    "read_partial",
    "read_rows",
    "to_json",
    "write",
    "write_table",
]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
