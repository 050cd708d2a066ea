"""All pages of a query to MLflow, which returns a thousand entries at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PAGE = 1000


def all_pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield what a query returns, page after page; what follows the last entry that is taken is not asked for.

    Args:
        ask: Returns the page of a token; of None the first one.
    """
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def experiments_of(client: MlflowClient) -> dict[str, str]:
    """Return the names of the active MLflow experiments of a store by id."""
    found = all_pages(lambda token: client.search_experiments(max_results=PAGE, page_token=token))
    return {each.experiment_id: each.name for each in found}
