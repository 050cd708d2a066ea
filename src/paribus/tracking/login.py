"""User and password in the address of a store: known to this process and those it starts, and written nowhere.

Hydra writes the words of a request into the folder of each job, launchers of others hand them on in files, and
``paribus plan --commands`` prints them. So a login is taken out of them when a request is read, and put back where a
store is connected to. In between it is in a variable of the environment, which child processes inherit.
"""

from __future__ import annotations

import json
import os
import re

VARIABLE = "PARIBUS_LOGINS"
"""The variable: ``{"http://host:5000": "user:password"}``."""
_LOGIN = re.compile(r"([A-Za-z][\w+.-]*://)([^/\s'\"]*)@([^/\s'\",?#]*)")
_PLAIN = re.compile(r"([A-Za-z][\w+.-]*://[^@/?#]*)(?=[/?#]|$)")


def taken_out(text: str) -> str:
    """Return a text without the users and passwords in its addresses, which are remembered.

    Example:
        >>> taken_out("tracking.uri=http://me:secret@host:5000")
        'tracking.uri=http://host:5000'
        >>> put_back("http://host:5000/mlflow")
        'http://me:secret@host:5000/mlflow'
        >>> del os.environ[VARIABLE]
    """
    known = _known()
    for scheme, login, host in _LOGIN.findall(text):
        known[f"{scheme}{host}"] = login
        os.environ[VARIABLE] = json.dumps(known)
    return _LOGIN.sub(r"\1\3", text)


def put_back(address: str) -> str:
    """Return an address with the login that was taken out of it; one that has a login, or never had, as it is."""
    found = _PLAIN.match(address)
    login = _known().get(found[0]) if found is not None else None
    if login is None:
        return address
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{login}@{rest}"


def _known() -> dict[str, str]:
    try:
        found = json.loads(os.environ.get(VARIABLE) or "{}")
    except ValueError:
        return {}
    return {str(host): str(login) for host, login in found.items()} if isinstance(found, dict) else {}
