"""Writing a drawing as PNG and PDF, byte for byte the same for the same drawing."""

from __future__ import annotations

import contextlib
import io
import logging
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from PIL import Image

from paribus.figures import style
from paribus.figures._measured import measured_once

COMPRESSION = 3
"""Of PNG, of at most 9: 4 takes three quarters longer, and saves a seventh of the bytes of a drawing."""
_LESS_THE_ROW_ABOVE = 2
"""The filter of every row: most rows of a drawing are like the one above. To try all five takes longest of all."""
_INCH = 0.0254
"""In metres."""
logging.getLogger("fontTools").setLevel(logging.WARNING)  # writing a PDF says a page at level INFO


def png_bytes(fig: Figure) -> bytes:
    """Return ``fig`` as a PNG at 180 dpi, without a date or a version in it.

    The pixels are those of ``fig.savefig``, which draws everything twice, the first time only to lay it out, and
    measures each tick and text many times.
    """
    canvas: Any = FigureCanvasAgg(fig)
    with style.styled(), _ready(fig, style.DPI):
        canvas.draw()
        opaque = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # a quarter less to compress
    return _png(np.asarray(opaque), style.DPI)


def _png(pixels: npt.NDArray[np.uint8], dpi: float) -> bytes:
    """Return ``pixels [height, width, 3]`` as a PNG (ISO/IEC 15948)."""
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), _LESS_THE_ROW_ABOVE, dtype=np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    per_metre = round(dpi / _INCH)
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),  # 8 bits each of red, green, blue
        b"pHYs": struct.pack(">IIB", per_metre, per_metre, 1),
        b"IDAT": zlib.compress(filtered.data, COMPRESSION),
        b"IEND": b"",
    }
    framed = (
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def pdf_bytes(fig: Figure) -> bytes:
    """Return ``fig`` as a PDF with embedded TrueType fonts, without a date or a version in it.

    The bytes are those of ``fig.savefig``; laid out and measured once, as for :func:`png_bytes`.
    """
    canvas: Any = FigureCanvasPdf(fig)
    buffer = io.BytesIO()
    with style.styled(), _ready(fig, fig.get_dpi()):
        canvas.print_pdf(buffer, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return buffer.getvalue()


@contextlib.contextmanager
def _ready(fig: Figure, dpi: float) -> Iterator[None]:
    """Lay a figure out once on its canvas, and let it be drawn as ``savefig`` draws it; then it is as it was."""
    engine, before = fig.get_layout_engine(), {"dpi": fig.get_dpi(), "facecolor": fig.get_facecolor()}
    fig.set(dpi=dpi, facecolor=rcParams["savefig.facecolor"])
    try:
        with measured_once(fig):
            if engine is not None:
                engine.execute(fig)
                fig.set_layout_engine("none")
            fig.set(dpi=dpi)  # a PDF is laid out at 72
            yield
    finally:
        fig.set(**before)
        if engine is not None:
            fig.set_layout_engine(engine)


def in_formats(fig: Figure, formats: Sequence[str]) -> dict[str, bytes]:
    """Return ``fig`` as bytes by format, each of ``png`` and ``pdf`` that is asked for.

    >>> from matplotlib.figure import Figure
    >>> list(in_formats(Figure(), ["png"]))
    ['png']
    """
    made = {"png": png_bytes, "pdf": pdf_bytes}
    return {name: made[name](fig) for name in formats}


def save(fig: Figure, png_path: Path | str, pdf_path: Path | str) -> None:
    """Write ``fig`` as PNG (180 dpi) and as PDF; folders are made.

    Args:
        fig: What ``draw`` returned.
        png_path: Where the PNG goes.
        pdf_path: Where the PDF goes.
    """
    for path, content in ((Path(png_path), png_bytes(fig)), (Path(pdf_path), pdf_bytes(fig))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
