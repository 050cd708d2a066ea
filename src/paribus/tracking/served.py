"""MLflow's UI as served by ``paribus ui``: the same application with other default columns and order of run lists.

The page's own beginning sorts runs by their start, and then hides the steps of a study under their parents, from its
charts too. What a user chooses in the page is kept by the browser and goes before.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cached_property
from typing import Any

from paribus.tracking.views import RUNS, VIEWS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

PAGES = ("/", "/index.html")
CONDITIONAL = (b"if-none-match", b"if-modified-since")
"""Headers by which a browser revalidates a cached page; it may have cached that of a plain ``mlflow ui``."""
STALE = (b"etag", b"last-modified", b"content-length", b"cache-control")
OWN_COLUMNS = ["attributes.`Source`", "attributes.`Models`", "attributes.`Dataset`"]
"""The page's own default columns: a browser with these, and the default order, has no choice of the user."""
FIRST = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}
"""What the page begins with elsewhere: a study opens at its runs, not at pages about traces of language models, and no
panel opens by itself over a third of the run list."""
SCRIPT = """
(() => {
  const start = @start@, first = @first@, own = JSON.stringify(@own@);
  const list = /^MLflowLocalStorage-[0-9.]+-ExperimentPage-\\[?"?[0-9]+"?\\]?-ReactComponentState$/;
  const read = Storage.prototype.getItem;
  const untouched = (kept) => {
    try {
      const state = JSON.parse(kept);
      return state.orderByKey === "attributes.start_time" && JSON.stringify(state.selectedColumns) === own;
    } catch (error) {
      return false;
    }
  };
  Storage.prototype.getItem = function (key) {
    const kept = read.call(this, key);
    if (this !== window.localStorage) return kept;
    if (list.test(key)) return kept === null || untouched(kept) ? start : kept;
    return kept === null && key in first ? first[key] : kept;
  };
})();
"""


def script() -> str:
    """Return the script that the page begins with."""
    filled = SCRIPT
    for name, value in (("start", json.dumps(VIEWS[RUNS].state())), ("first", FIRST), ("own", OWN_COLUMNS)):
        filled = filled.replace(f"@{name}@", json.dumps(value))
    return f"<script>{filled.replace('</', '<' + chr(92) + '/')}</script>"


def with_script(page: bytes) -> bytes:
    """Return an HTML page with the script before all others; unchanged where it has no head."""
    return page.replace(b"<head>", b"<head>" + script().encode(), 1)


class RunListFirst:
    """The application, with the script in its page."""

    def __init__(self, load: Callable[[], Application]) -> None:
        """Serve what ``load`` returns, which is called with the first event.

        MLflow first imports this module in a process that serves nothing.
        """
        self._load = load

    @cached_property
    def inner(self) -> Application:
        """The application itself."""
        return self._load()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in PAGES:
            await self.inner(scope, receive, send)
            return
        asked = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() not in CONDITIONAL]}
        page = _Page(send)
        await self.inner(asked, receive, page.take)
        await page.send()


class _Page:
    """Collects the answer to one request."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._parts: list[bytes] = []

    async def take(self, message: Message) -> None:
        """Keep a part of the response."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._parts.append(message.get("body", b""))

    async def send(self) -> None:
        """Send the complete response."""
        body = with_script(b"".join(self._parts))
        headers = [pair for pair in self._start.get("headers", []) if pair[0].lower() not in STALE]
        headers += [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def of_mlflow() -> Application:
    """Return MLflow's own application."""
    from mlflow.server.fastapi_app import app as own  # importing it creates the application

    application: Application = own
    return application


app = RunListFirst(of_mlflow)
