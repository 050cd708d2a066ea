"""The page that ``paribus ui`` serves: MLflow's, with the beginning of its run lists before it."""

from __future__ import annotations

import asyncio
import json

from paribus.tracking.served import FIRST, RunListFirst, script
from paribus.tracking.views import RUNS, VIEWS

PAGE = b"<!doctype html><html><head><title>x</title></head></html>"


async def page_of(scope, receive, send):
    """An application that answers everything alike, and says which headers it was asked with."""
    names = b",".join(sorted(name for name, _ in scope["headers"]))
    headers = [(b"content-length", b"57"), (b"etag", b"1"), (b"content-type", b"text/html"), (b"x-asked", names)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
    await send({"type": "http.response.body", "body": PAGE[20:]})


def answer(path, method="GET", kind="http"):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    headers = [(b"host", b"h"), (b"if-none-match", b"1")]
    scope = {"type": kind, "method": method, "path": path, "headers": headers}
    asyncio.run(RunListFirst(lambda: page_of)(scope, receive, send))
    return dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


def test_the_page_begins_with_the_script_and_is_never_taken_from_a_cache():
    headers, body = answer("/")
    assert body == PAGE.replace(b"<head>", b"<head>" + script().encode())
    assert int(headers[b"content-length"]) == len(body)
    assert headers[b"cache-control"] == b"no-store" and b"etag" not in headers
    assert headers[b"x-asked"] == b"host"
    assert headers[b"content-type"] == b"text/html"


def test_everything_else_passes_as_it_is():
    for path, method in (("/static-files/main.js", "GET"), ("/api/2.0/mlflow/runs/search", "POST"), ("/", "POST")):
        headers, body = answer(path, method)
        assert body == PAGE and headers[b"etag"] == b"1" and headers[b"x-asked"] == b"host,if-none-match"


def test_the_script_holds_the_view_as_the_page_reads_it():
    text = script()
    assert "@" not in text and text.count("</") == 1
    literal, _ = json.JSONDecoder().raw_decode(text.split("const start = ", 1)[1])
    start = json.loads(literal)
    assert start == VIEWS[RUNS].state() and start["orderByKey"] != "attributes.start_time"
    assert json.dumps(FIRST) in text
