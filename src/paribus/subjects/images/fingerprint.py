"""What decides a data set that is read from files: their content and the parameters, not their place."""

from __future__ import annotations

import hashlib
import json

from paribus.config.science import stated
from paribus.spec import Spec


def of_files(spec: Spec, content: str) -> str:
    """Return a hash of a data set's kind, of its fields that can change a result, and of its files' content."""
    text = json.dumps([type(spec).__name__, stated(spec), content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
