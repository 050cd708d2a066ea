"""Images that stay in their files and are decoded on access."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paribus.subjects.images.decoding import read_images


class ImageFiles:
    """Image files as uint8 ``[n, C, size, size]``, read when rows are asked for; nothing is kept.

    Args:
        root: The folder that the names are in.
        names: Path of each image below it.
        size: Height and width; images of another size are resized.
        channels: 3 for colour, 1 for grey.
        digested: Whether the digest of each file is to be known once it was read.
    """

    def __init__(
        self, root: Path | str, names: Sequence[str], *, size: int, channels: int, digested: bool = False
    ) -> None:
        """Take the names; no file is opened."""
        self.root, self.names, self.size, self.channels = str(root), names, size, channels
        self.digested = digested

    def held(self, description: str) -> torch.Tensor:
        """Return all images, read now; the description heads the progress bar.

        Raises:
            DataError: If a file is missing or is no readable image; the file is named.
        """
        files = [Path(self.root, name) for name in self.names]
        return read_images(files, size=self.size, channels=self.channels, description=description)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, C, H, W)``."""
        return (len(self.names), self.channels, self.size, self.size)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getitem__(self, rows: Any) -> torch.Tensor:
        """Return the images of ``rows`` (a slice, or whole numbers ``[m]``) as they are decoded.

        Raises:
            DataError: If a file is missing or is no readable image; the file is named.
        """
        chosen = range(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows).reshape(-1).tolist()
        files = [f"{self.root}/{self.names[row]}" for row in chosen]
        return read_images(files, size=self.size, channels=self.channels, digested=self.digested)
