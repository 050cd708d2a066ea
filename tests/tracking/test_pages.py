"""MLflow answers a thousand entries at a time; what asks for all gets all."""

from __future__ import annotations

from types import SimpleNamespace

from paribus.tracking.pages import all_pages, experiments_of


class Page(list):
    """Entries, and the token of the page after them."""

    def __init__(self, entries, token):
        super().__init__(entries)
        self.token = token


PAGES = {None: Page(["a", "b"], "2"), "2": Page(["c"], "3"), "3": Page([], None)}


def test_every_page_is_asked_for_once_and_only_when_it_is_needed():
    asked = []

    def ask(token):
        asked.append(token)
        return PAGES[token]

    pages = all_pages(ask)
    assert [next(pages), next(pages)] == ["a", "b"] and asked == [None]
    assert list(pages) == ["c"] and asked == [None, "2", "3"]


def test_experiments_beyond_the_first_page_are_there():
    pages = {
        None: Page([SimpleNamespace(experiment_id="1", name="first")], "next"),
        "next": Page([SimpleNamespace(experiment_id="2", name="beyond")], None),
    }
    client = SimpleNamespace(search_experiments=lambda max_results, page_token: pages[page_token])
    assert experiments_of(client) == {"1": "first", "2": "beyond"}
