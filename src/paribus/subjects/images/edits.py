"""What can be varied in an image: the style of its domain, and which of its patches are shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from paribus.arrays import Bools, Ints
from paribus.errors import ConfigError
from paribus.measure import ArrayCells, Factor, InputFactor, InputUnits, Units, stack
from paribus.measure.binding import Binding
from paribus.subjects.images import factors
from paribus.subjects.images.subject import HIDDEN_BY, ImageSubject
from paribus.subjects.selection import domain_number


@dataclass(frozen=True, eq=False)
class StyleFactor(InputFactor):
    """Styles of domains as levels.

    Attributes:
        images: The contexts.
        styles: The domain of each level; None: the image as it is.
        labels: Names of the levels.
        name: What is varied.

    Example:
        >>> from paribus.subjects.images.digits_scanners import DigitsScanners
        >>> images = ImageSubject(DigitsScanners(n_train=24, n_eval=24, eval_renderings=1).load())
        >>> factor = StyleFactor(images, (None, 0, 4), ("as it is", "a", "e"))
        >>> factor.edit(images.cells(np.arange(5))).shape
        (3, 5)
    """

    images: ImageSubject
    styles: tuple[int | None, ...]
    labels: tuple[str, ...]
    name: str = "style"

    def edit(self, cells: ArrayCells) -> ArrayCells:
        """Return the same contents in every style, on a new first axis."""
        return stack([cells if style is None else self.images.in_style(cells, style) for style in self.styles])

    def observed(self, columns: Ints) -> Ints:
        """Return the level whose style each image has as it is; -1 where no level has it."""
        level = {style: number for number, style in enumerate(self.styles) if style is not None}
        return np.array([level.get(int(domain), -1) for domain in self.images.data.domains[columns]], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class PatchUnits(InputUnits):
    """Patches of a grid as units.

    Attributes:
        grid: Patches across and down.
        fill: What hidden ones show: ``mean`` (of their own image) or ``zero``.
        names: ``row 0, column 0``, ... row by row.
        name: What they are together.

    Example:
        >>> units = PatchUnits(2, "zero")
        >>> units.names
        ('row 0, column 0', 'row 0, column 1', 'row 1, column 0', 'row 1, column 1')
    """

    grid: int
    fill: str
    names: tuple[str, ...] = ()
    name: str = "patches"
    null_name: str = "random sets of other patches"

    def __post_init__(self) -> None:
        """Name the patches."""
        names = (f"row {row}, column {column}" for row in range(self.grid) for column in range(self.grid))
        object.__setattr__(self, "names", tuple(names))

    def keep(self, cells: ArrayCells, on: Bools) -> ArrayCells:
        """Return cells ``[b]`` with only the patches of each row of ``on [m, k]``, ``[m, b]``."""
        code = HIDDEN_BY.index(self.fill)
        hidden = np.where(on[:, None], np.int8(0), np.int8(code))
        m, b = len(on), len(cells.ok)
        several = cells[np.broadcast_to(np.arange(b), (m, b))]
        return replace(several, values=(*several.values[:2], np.broadcast_to(hidden, (m, b, on.shape[1]))))


def bind(spec: factors.ImageFactor, to: Binding) -> Factor | Units:
    """Return what ``spec`` varies in the contexts at hand.

    Raises:
        ConfigError: If the data set cannot show its images so, or a domain does not exist.
    """
    images = to.executor.subject
    if not isinstance(images, ImageSubject):
        raise ConfigError(f"experiment.factor: {type(spec).__name__} needs a data set of images")
    if isinstance(spec, factors.Patches):
        size = min(images.data.inputs.shape[2:])
        if spec.grid > size:
            raise ConfigError(f"experiment.factor.grid: {spec.grid} patches do not fit into {size} pixels")
        return PatchUnits(spec.grid, spec.fill)
    assert isinstance(spec, factors.Style)
    if not images.styles:
        raise ConfigError(
            "experiment.factor: this data set cannot show its images in another domain's style; only generated ones "
            "can, such as data=digits_scanners"
        )
    names = spec.domains or [name for name in images.domain_names if name != spec.baseline]
    first = "as it is" if spec.baseline is None else spec.baseline
    styles = [domain_number(name, images.domain_names) for name in names]
    own = None if spec.baseline is None else domain_number(first, images.domain_names)
    return StyleFactor(images, (own, *styles), (first, *names))
