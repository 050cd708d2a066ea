"""What is taken from SQLAlchemy, imported when it is first used: only a store's database needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from sqlalchemy.engine import create_engine, make_url
    from sqlalchemy.event import listen
    from sqlalchemy.exc import SQLAlchemyError

__all__ = ["SQLAlchemyError", "create_engine", "listen", "make_url"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
