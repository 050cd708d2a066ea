"""``python -m paribus``."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules are loaded ends it without a traceback

from paribus.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
