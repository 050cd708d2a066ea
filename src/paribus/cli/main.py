"""The entrypoint: ``paribus`` and ``python -m paribus``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from paribus import __version__
from paribus.cli.help import text
from paribus.cli.verb import find, usage
from paribus.cli.words import read
from paribus.errors import FULL_ERROR, ExperimentError, ParibusError, one_line, said
from paribus.sweep import collector, signals

EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code.

    Args:
        arguments: The words after the program's name; the process's own by default.

    Returns:
        0 done; 1 an experiment failed; 2 the request was wrong; 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        collector.rarely()  # this process is ours
    _see_working_folder()
    try:
        with signals.raising():
            return _dispatch(words)
    except BrokenPipeError:  # the reader of our output has closed it (paribus runs | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except ParibusError as error:
        print(f"paribus: {one_line(str(error))}", file=sys.stderr)
        return EXIT_FAILED if isinstance(error, ExperimentError) else EXIT_REFUSED
    except Exception as error:
        if os.environ.get(FULL_ERROR):
            raise
        print(
            f"paribus: {said(error)}; this should not have happened ({FULL_ERROR}=1 shows where it comes from)",
            file=sys.stderr,
        )
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("paribus: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _dispatch(words: list[str]) -> int:
    if words and _is_verb(words[0]):
        if any(word in ("-h", "--help") for word in words[1:]):
            print(usage(words[0]))
            return EXIT_DONE
        return find(words[0]).run(words[1:])
    if not words or any(word in ("-h", "--help") for word in words):
        print(text())
        return EXIT_DONE
    if "--version" in words:
        print(f"paribus {__version__}")
        return EXIT_DONE
    launching = importlib.import_module("paribus.cli.launch")  # with Hydra; a verb and the help do without
    return int(launching.launch(read(words)))


def _is_verb(word: str) -> bool:
    return "=" not in word and not word.startswith(("-", "+", "~"))


def _see_working_folder() -> None:
    """Let a ``_target_`` name modules in the working folder, as ``python -m paribus`` does; installed ones go first."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
