"""What is varied in a table: the options of the ``factor`` group, without anything that needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.measure.binding import FactorSpec
from paribus.spec import field


@dataclass(frozen=True)
class TableFactor(FactorSpec):
    """Base of the factors of a table; the work is in the subject's file."""

    work: ClassVar[str] = "paribus.subjects.tables.subject"
    subject: ClassVar[str] = "tables"


@dataclass(frozen=True)
class Column(TableFactor, kind="factor/column"):
    """One column set to values, all others left as they are.

    Example:
        >>> Column(column="age", values=[40, 60, 80]).subject
        'tables'
    """

    column: str = field(help="The column.")
    values: list[Any] = field(
        [], help="Its values, the baseline first; empty: its categories, or 5 quantiles (10 to 90 %) of training rows."
    )


@dataclass(frozen=True)
class Donor(TableFactor, kind="factor/donor"):
    """Columns with the values of a row of another domain: how does the model use the domain information in them?

    Example:
        >>> Donor(columns=["batch"]).same_label
        True
    """

    columns: list[str] = field(help="The columns that are given, together, from one donor row.")
    domains: list[str] = field([], help="Domains that donors come from, one level each; empty: all.")
    same_label: bool = field(True, help="Whether a donor has the label of the row it gives to.")


@dataclass(frozen=True)
class Permute(TableFactor, kind="factor/permute"):
    """Columns with the values of another row of the same domain: what is lost if only the domain is kept?

    Example:
        >>> Permute(columns=["marker"], within="label").within
        'label'
    """

    columns: list[str] = field(help="The columns that are exchanged, together.")
    within: str = field("domain", choices=("domain", "label", "all"), help="What the two rows have in common.")


@dataclass(frozen=True)
class Columns(TableFactor, kind="factor/columns"):
    """Columns as units; one that is removed is set to its baseline.

    Example:
        >>> Columns(columns=["age", "ward"]).baseline
        'typical'
    """

    fitted: ClassVar[bool] = True

    columns: list[str] = field([], help="The columns; empty for all.")
    baseline: str = field(
        "typical",
        choices=("typical", "mean"),
        help="A column that is off: its mean or most frequent category; or the mean of its inputs, categories too.",
    )
