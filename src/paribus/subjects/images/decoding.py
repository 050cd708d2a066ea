"""Reading thousands of image files: streamed, with progress, and a damaged one named."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from paribus import digests
from paribus.errors import DataError
from paribus.subjects.images.files import THREADS

AT_ONCE = 256
DEEP = "I;16"
"""How PIL calls images of 16 bits, in several orders of their bytes."""
MOST_PIXELS = 50_000_000
"""An image of more is refused before it is decoded: a small file can claim any size."""
warnings.filterwarnings("ignore", message=r"Image size \(\d+ pixels\) exceeds limit")  # PIL's words for the same


def read_images(
    files: Sequence[Path | str], *, size: int, channels: int, description: str = "", digested: bool = False
) -> torch.Tensor:
    """Read image files into one uint8 tensor ``[n, channels, size, size]``.

    Args:
        files: The files, in the order of the rows.
        size: Height and width; images of another size are resized.
        channels: 3 for colour, 1 for grey.
        description: Heads the progress bar, which is shown where someone is watching; empty for none.
        digested: Whether the digest of each file is to be known once it was read.

    Raises:
        DataError: If a file is missing or is no readable image; the file is named.
    """
    pixels = torch.empty((len(files), channels, size, size), dtype=torch.uint8)
    bar = tqdm(total=len(files), desc=description, unit="image", disable=None if description else True, leave=False)
    with bar:
        for row, image in enumerate(decoded(files, size, channels, digested=digested)):
            pixels[row] = torch.from_numpy(image)
            bar.update()
    return pixels


def decoded(files: Sequence[Path | str], size: int, channels: int, *, digested: bool) -> Iterator[NDArray[np.uint8]]:
    """Yield the images in order, decoded by several threads at most a few hundred images ahead."""

    def read(file: Path | str) -> NDArray[np.uint8]:
        return read_image(Path(file), size, channels, digested=digested)

    for start in range(0, len(files), AT_ONCE):
        yield from _pool().map(read, files[start : start + AT_ONCE])


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads that decode."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="decode")


def is_deep(file: Path) -> bool:
    """Return whether an image file is one of 16 bits, from its head; False where it is no image, which reading says."""
    if not file.is_file():  # opening a pipe would wait for ever
        return False
    try:
        with Image.open(file) as opened:
            return opened.mode.startswith(DEEP)
    except Exception:  # a decoder can fail in any way on a damaged file
        return False


def _of_eight_bits(image: Image.Image, file: Path) -> Image.Image:
    """Return an image of 8 bits a channel; of 16 bits the upper eight (PIL makes most of them white).

    Raises:
        DataError: If nothing says what its numbers are out of (32 bits, fractions).
    """
    if image.mode.startswith(DEEP):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError(
            f"image {file}: its pixels are 32-bit numbers, of which nothing says what is white; write 8 or 16 bits"
        )
    return image


def read_image(file: Path, size: int, channels: int, *, digested: bool = False) -> NDArray[np.uint8]:
    """Read one image file as uint8 ``[channels, size, size]``.

    Args:
        file: The file.
        size: Height and width; an image of another size is resized.
        channels: 3 for colour, 1 for grey.
        digested: Whether its digest is to be known afterwards, from this one reading.

    Raises:
        DataError: If it is missing, is no readable image, or its pixels are 32-bit numbers.
    """
    if file.exists() and not file.is_file():
        raise DataError(f"image {file}: not a regular file")
    try:
        with Image.open(io.BytesIO(digests.read(file)) if digested else file) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                raise DataError(f"image {file}: {width} x {height} pixels, more than {MOST_PIXELS // 10**6} million")
            image = _of_eight_bits(opened, file).convert("RGB" if channels == 3 else "L")
    except FileNotFoundError:
        raise DataError(f"image {file}: no such file") from None
    except DataError:
        raise
    except Exception as error:  # a decoder can fail in any way on a damaged file
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"image {file}: damaged or not an image ({said})") from None
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.transpose(2, 0, 1).copy() if channels == 3 else pixels[None].copy()
