"""Numbers and curves of runs' tables, named on the command line: ``ablation.delta@split=ood``, ``sweep.acc:alpha``.

A number is ``TABLE.COLUMN``, a curve ``TABLE.COLUMN:LEVEL`` with the column of its levels; ``@column=value``, any
number of times, says which rows of the table. Values are compared as numbers where both are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from paribus.errors import ConfigError

FORM = re.compile(r"([a-z0-9_]+)\.([^:@]+?)(?::([^:@]+?))?((?:@[^@=]+=[^@]+)*)")
EXAMPLES = {
    False: "TABLE.COLUMN, with @column=value for the rows, e.g. ablation.delta@split=ood@method=inlp",
    True: "TABLE.COLUMN:LEVEL, with @column=value for the rows, e.g. sweep.head_ood_acc:alpha@epoch=10",
}


@dataclass(frozen=True)
class Quantity:
    """One number, or one curve, of a table.

    Attributes:
        text: As it was written.
        table: Name of the table.
        column: Column of its values.
        level: Column of the levels (x values) of a curve; empty for a number.
        rows: Column to the value that it has in the rows meant.
    """

    text: str
    table: str
    column: str
    level: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Its name in figures and sentences.

        >>> read_quantity("curves", "sweep.head_ood_acc:alpha@direction=pc", curve=True).label
        'head_ood_acc over alpha, direction=pc'
        """
        over = f" over {self.level}" if self.level else ""
        return ", ".join([f"{self.column}{over}", *(f"{name}={value}" for name, value in self.rows.items())])


def read_quantity(owner: str, text: str, *, curve: bool) -> Quantity:
    """Parse a text.

    Args:
        owner: The field it is given in, for the message.
        text: The text.
        curve: Whether it must be a curve, or a number.

    Raises:
        ConfigError: If it cannot be read.

    Example:
        >>> found = read_quantity("experiment.curves", "sweep.acc:alpha@direction=pc", curve=True)
        >>> found.table, found.column, found.level, dict(found.rows)
        ('sweep', 'acc', 'alpha', {'direction': 'pc'})
    """
    found = FORM.fullmatch(text.strip())
    if found is None or bool(found[3]) != curve:
        what = "a curve" if curve else "a number of a table"
        raise ConfigError(f"{owner}: cannot read {text!r} as {what}; write {EXAMPLES[curve]}")
    pairs = (part.partition("=") for part in found[4].split("@") if part)
    rows = {name.strip(): value.strip() for name, _, value in pairs}
    return Quantity(text.strip(), found[1], found[2].strip(), (found[3] or "").strip(), rows)
