"""``python -m paribus``."""

from __future__ import annotations

import sys

from paribus.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
