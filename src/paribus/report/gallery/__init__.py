"""Many runs as a static site: an overview that filters, and a page for every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.report.gallery.entry import Entry
    from paribus.report.gallery.site import write

__all__ = ["Entry", "write"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
