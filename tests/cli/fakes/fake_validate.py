"""Stands in for ``paribus.running.validate``."""

from __future__ import annotations

from paribus.errors import DataError


def validate(job, *, among=False):
    if job.experiment.do == "invalid":
        raise DataError("data.root: there is no such folder")
