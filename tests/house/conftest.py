import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def source():
    """Return the module :file:`source.py`, which reads what the package imports."""
    if "house_source" not in sys.modules:
        spec = importlib.util.spec_from_file_location("house_source", Path(__file__).with_name("source.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return sys.modules["house_source"]
