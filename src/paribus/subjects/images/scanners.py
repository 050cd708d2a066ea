"""Five imaginary scanners, and what each makes of the same content."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from paribus.arrays import Floats, Ints, Singles


@dataclass(frozen=True)
class Style:
    """How a scanner shows a page.

    Attributes:
        cast: Gain of the red, green and blue channel.
        contrast: Gain about mid-grey.
        blur: Standard deviation of its Gaussian point spread in pixels of a 16-pixel image.
        vignette: Share of the light lost in the corners.
        noise: Standard deviation of the pixel noise.
    """

    cast: tuple[float, float, float]
    contrast: float
    blur: float
    vignette: float
    noise: float

    def vector(self) -> Floats:
        """Return the seven parameters as one vector."""
        return np.array([*self.cast, self.contrast, self.blur, self.vignette, self.noise])


SCANNERS: tuple[tuple[str, Style], ...] = (
    ("scanner_a", Style(cast=(1.055, 0.975, 0.935), contrast=0.87, blur=0.42, vignette=0.12, noise=0.06)),
    ("scanner_b", Style(cast=(0.935, 0.985, 1.060), contrast=0.75, blur=0.63, vignette=0.20, noise=0.06)),
    ("scanner_c", Style(cast=(0.975, 1.065, 0.950), contrast=0.81, blur=0.28, vignette=0.28, noise=0.07)),
    ("scanner_d", Style(cast=(1.015, 1.025, 0.935), contrast=0.78, blur=0.56, vignette=0.17, noise=0.07)),
    ("scanner_e", Style(cast=(0.990, 0.885, 1.040), contrast=0.72, blur=0.70, vignette=0.29, noise=0.08)),
)
"""The three training scanners, then the one for validation, then the one that is never trained on."""


@dataclass(frozen=True)
class Jitter:
    """What differs from image to image and stays with the content when the scanner is swapped.

    Attributes:
        affine: Rotation (radians), scale, shear, shift x and y (in half image widths) ``[n, 5]``.
        stroke: Exponent that makes strokes thinner or thicker ``[n]``.
        light: Added brightness ``[n]``.
        tint: Added gain per channel ``[n, 3]``.
        noise: Unit normal pixel noise ``[n, 3, H, W]``.
    """

    affine: Singles
    stroke: Singles
    light: Singles
    tint: Singles
    noise: Singles

    def rows(self, rows: Ints) -> Jitter:
        """Return the jitter of some of the images."""
        return Jitter(self.affine[rows], self.stroke[rows], self.light[rows], self.tint[rows], self.noise[rows])


def draw_jitter(rng: np.random.Generator, size: int, amount: float) -> tuple[Singles, ...]:
    """Draw the jitter of one image of ``size`` pixels; ``amount`` scales all but the pixel noise."""
    standard = rng.standard_normal(10).astype(np.float32) * np.float32(amount)
    affine = np.clip(standard[:5], -2.0, 2.0) * np.array([0.07, 0.04, 0.05, 0.05, 0.05], dtype=np.float32)
    affine[1] += 1.0
    stroke = np.exp(np.clip(standard[5], -2.0, 2.0) * np.float32(0.1))
    noise = rng.standard_normal((3, size, size), dtype=np.float32)
    return affine, stroke, standard[6] * np.float32(0.03), standard[7:10] * np.float32(0.03), noise


def gapped_styles(style_gap: float) -> Floats:
    """Return the scanners' parameters ``[5, 7]``, their distance from the mean scanner multiplied by ``style_gap``.

    Example:
        >>> gapped_styles(0.0).shape
        (5, 7)
    """
    vectors = np.stack([style.vector() for _, style in SCANNERS])
    mean = vectors.mean(axis=0)
    gapped: Floats = mean + style_gap * (vectors - mean)
    gapped[:, 4:] = np.maximum(gapped[:, 4:], 0.0)
    return gapped


def place(digits: Singles, jitter: Jitter, size: int) -> torch.Tensor:
    """Return the contents ``[n, size, size]`` in [0, 1]: digits turned, sheared, scaled and shifted by their jitter.

    Args:
        digits: Ink in [0, 1], ``[n, h, w]``.
        jitter: One row per digit.
        size: Height and width to render at, in pixels.
    """
    turn, scale, shear, across, down = (torch.from_numpy(column.copy()) for column in jitter.affine.T)
    cos, sin = torch.cos(turn) / scale, torch.sin(turn) / scale
    theta = torch.stack([cos, shear * cos - sin, across, sin, shear * sin + cos, down], dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(theta, [len(digits), 1, size, size], align_corners=False)
    ink = torch.from_numpy(np.ascontiguousarray(digits))[:, None]
    placed = functional.grid_sample(ink, grid * 1.15, mode="bicubic", align_corners=False)[:, 0].clamp(0.0, 1.0)
    return placed ** torch.from_numpy(jitter.stroke)[:, None, None]


def scan(content: torch.Tensor, jitter: Jitter, style: Floats) -> torch.Tensor:
    """Return what one scanner makes of contents: float32 ``[n, 3, size, size]``, roughly standardised.

    Args:
        content: Ink in [0, 1], ``[n, size, size]``.
        jitter: One row per content.
        style: The scanner's seven parameters (see :meth:`Style.vector`).
    """
    size = content.shape[-1]
    cast = torch.from_numpy(style[:3].astype(np.float32))
    contrast, blur, vignette, noise = (float(value) for value in style[3:])
    spread = torch.from_numpy(_blur_matrix(size, blur * size / 16.0))
    page = 1.0 - 0.9 * (spread @ content @ spread.T)
    page = 0.5 + contrast * (page - 0.5) + torch.from_numpy(jitter.light)[:, None, None]
    page = page * torch.from_numpy(_light(size, vignette))
    gains = cast[None] + torch.from_numpy(jitter.tint)
    image = page[:, None] * gains[:, :, None, None] + noise * torch.from_numpy(jitter.noise)
    return (image.clamp(0.0, 1.0) - 0.5) / 0.25


def _blur_matrix(size: int, sigma: float) -> Singles:
    """Return the ``[size, size]`` matrix of a one-dimensional Gaussian blur with rows that sum to one."""
    if sigma < 1e-3:
        return np.eye(size, dtype=np.float32)
    distance = np.subtract.outer(np.arange(size), np.arange(size)) / sigma
    weights = np.exp(-0.5 * distance**2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _light(size: int, vignette: float) -> Singles:
    """Return the share of light that reaches each pixel: 1 in the middle, ``1 - vignette`` in the corners."""
    axis = np.linspace(-1.0, 1.0, size)
    squared = (axis[:, None] ** 2 + axis[None, :] ** 2) / 2.0
    return np.asarray(1.0 - vignette * squared, dtype=np.float32)
