"""Hydra finds the options that installed packages bring, whoever composes."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from paribus.config import installed


class InstalledOptions(SearchPathPlugin):
    """Adds the folders of options of installed packages, after the shipped one."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folders."""
        for folder, distribution in installed.folders().items():
            search_path.append(distribution, f"file://{folder}")
