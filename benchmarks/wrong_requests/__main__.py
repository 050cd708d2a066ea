"""Make every wrong request there is and look at the answers: ``python -m benchmarks.wrong_requests``.

Each must be one line, exit code 2, nothing left behind, within 10 seconds and 600 MiB. Exit code 1 if one is not.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PARIBUS_CACHE", "off")

from benchmarks.wrong_requests.files import make_files
from benchmarks.wrong_requests.generated import GENERATORS
from benchmarks.wrong_requests.trial import ask, problems
from benchmarks.wrong_requests.written import REQUESTS
from benchmarks.wrong_requests.wrong import Wrong

WRITTEN = "written"


def main() -> int:
    """Make the requests that are asked for, and print those whose answer is not right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=[WRITTEN, *GENERATORS], action="append")
    parser.add_argument("--most", type=int, default=0, help="at most so many of each kind, drawn at random; 0: all")
    parser.add_argument("--show", action="store_true", help="print every answer")
    asked = parser.parse_args()
    _load()
    tried = wrong = 0
    with tempfile.TemporaryDirectory() as name:
        files = make_files(Path(name).resolve(), bomb=True)
        for kind in asked.kind or [WRITTEN, *GENERATORS]:
            requests = list(REQUESTS.values()) if kind == WRITTEN else list(GENERATORS[kind]())
            if asked.most and len(requests) > asked.most:
                requests = random.Random(1).sample(requests, asked.most)
            bad = _tried(kind, requests, files, show=asked.show)
            tried, wrong = tried + len(requests), wrong + bad
    print(f"{tried - wrong} of {tried} wrong requests are answered as they must be")
    return 1 if wrong else 0


def _tried(kind: str, requests: Sequence[Wrong], files: Path, *, show: bool) -> int:
    started, bad, slowest, refused = time.monotonic(), 0, 0.0, 0
    for request in requests:
        answer = ask(request, files)
        slowest = max(slowest, answer.seconds)
        refused += answer.code == 2
        found = problems(request, answer)
        bad += bool(found)
        if found or show:
            said = " | ".join(answer.err.splitlines()[-3:])[:300]
            print(f"{'-m ' if request.multirun else ''}{' '.join(word[:200] for word in request.words)}\n"
                  f"    {'; '.join(found) or answer.code}: {said}", flush=True)  # fmt: skip
    took = time.monotonic() - started
    print(f"{kind}: {len(requests) - bad} of {len(requests)} right, {refused} refused; "
          f"{took:.0f} s, the slowest {slowest:.1f} s", flush=True)  # fmt: skip
    return bad


def _load() -> None:
    """Import what requests need, once, before any process is forked."""
    import matplotlib.figure  # noqa: F401
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.tracking  # noqa: F401
    import torch

    from paribus.cli.verb import find, names
    from paribus.config import catalogue

    for verb in names():
        find(verb)
    for group in catalogue.groups():
        for option in catalogue.options(group):
            if option.target is not None:
                option.load()
    torch.set_num_threads(1)
    logging.getLogger().handlers.clear()


if __name__ == "__main__":
    sys.exit(main())
