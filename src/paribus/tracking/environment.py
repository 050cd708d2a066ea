"""What MLflow needs to be told before it is imported, and what it need not tell us."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def quiet() -> None:
    """Switch MLflow's telemetry off and its chatter down; call before the first import of mlflow."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow.store.db.utils", "mlflow.utils.autologging_utils", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def no_deprecations() -> Iterator[None]:
    """Keep the deprecation warnings of MLflow's own dependencies from becoming our errors."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", module=r"(sqlalchemy|alembic|mlflow|google|pydantic)(\..*)?")
        yield
