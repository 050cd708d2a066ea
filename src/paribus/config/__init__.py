"""Composing, checking and building a configuration from Hydra groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.config.catalogue import groups, options
    from paribus.config.check import build
    from paribus.config.compose import jobs
    from paribus.config.job import Job
    from paribus.config.settings import Settings

__all__ = ["Job", "Settings", "build", "groups", "jobs", "options"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
