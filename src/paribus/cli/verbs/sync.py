"""``paribus sync``: deliver the runs that were kept on disk while their server was away."""

from __future__ import annotations

from collections.abc import Sequence

from paribus.cli.arguments import Arguments
from paribus.cli.store import tracking_spec
from paribus.errors import ConfigError
from paribus.tracking.delivery import deliver, waiting
from paribus.tracking.spec import without_password
from paribus.tracking.spool import spools

SUMMARY = "delivers the runs that were kept on disk while their server was away"
USAGE = """
paribus sync [tracking=server tracking.uri=http://HOST:5000]

A server that goes away while jobs run costs none: their runs are kept in multirun/.spool of the working folder. This
delivers them, each once, however often it is cut short or called, and also where that folder was copied to another
machine. With an address only what waits for that server.
"""


def run(arguments: Sequence[str]) -> int:
    """Deliver; 1 if some runs wait on.

    Raises:
        ConfigError: If a server does not answer.
        DataError: If a file of a run is missing or did not arrive as it was.
    """
    parser = Arguments("sync")
    parser.store_options()
    asked = parser.take(arguments)
    uri = None
    if asked.overrides:
        spec = tracking_spec(asked.overrides, asked.config_dir)
        if spec.kind != "server":
            raise ConfigError("sync: delivers to a server: tracking=server tracking.uri=http://HOST:5000")
        uri = str(spec.uri)
    waited = [each for each in spools() if waiting(each) and (uri is None or each.uri == without_password(uri))]
    if not waited:
        print("Nothing waits to be delivered.")
    left = 0
    for spool in waited:
        delivered = deliver(spool, uri or spool.uri)
        print(delivered.text(spool.uri))
        left += delivered.left
    return 1 if left else 0
