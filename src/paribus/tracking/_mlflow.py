"""Lazy imports from MLflow, because importing takes a second and much works without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient
    from mlflow.utils.search_utils import SearchUtils

__all__ = ["Dataset", "DatasetInput", "Metric", "MlflowClient", "MlflowException", "Param", "RunTag", "SearchUtils"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
