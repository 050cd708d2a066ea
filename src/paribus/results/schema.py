"""The typed parts of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from paribus.results import display
from paribus.results.evidence import Evidence
from paribus.results.found import lines

if TYPE_CHECKING:
    import pandas as pd


SHOWN_LINES = 6
"""Most lines of what was found in the ``repr`` of a result."""


@dataclass(frozen=True)
class Table:
    """A tidy table: one row per measured condition.

    Attributes:
        name: File stem, unique within a result (``[a-z0-9_]+``).
        description: One sentence: what a row is.
        evidence: How its numbers were obtained.
        frame: The rows.
        columns: Description of columns by name, with the unit; columns left out are self-explanatory.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"level": [1.0, 2.0], "mean_delta": [0.1, 0.4]})
        >>> table = Table("noise", "One row per level.", Evidence.INTERVENTIONAL, frame, {"level": "sd of the noise"})
        >>> table.frame.shape
        (2, 2)
    """

    name: str
    description: str
    evidence: Evidence
    frame: pd.DataFrame
    columns: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return name, evidence and size in one line."""
        n, k = self.frame.shape
        return f"Table({self.name!r}, {self.evidence.value}, {n} rows, {k} columns)"

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows."""
        return display.html(self)


@dataclass(frozen=True)
class Figure:
    """A figure declared as data; it is drawn where the run is kept.

    Attributes:
        name: File stem, unique within a result.
        kind: The drawing: its name in ``paribus.figures``, or the dotted name of a module of your own.
        tables: The tables it is drawn from, the main one first.
        columns: Role of the drawing (``x``, ``y``, ``low``, ``high``, ``group``, ...) to column name or names.
        title: Heading.
        caption: What to see and what it does not show.
        options: Further plain values for the drawing (labels, reference lines, limits).

    Example:
        >>> shown = {"x": "level", "y": "mean_delta", "low": "ci_low", "high": "ci_high"}
        >>> Figure("noise", "curve", ("noise",), shown, "What noise does to the margin").kind
        'curve'
    """

    name: str
    kind: str
    tables: tuple[str, ...]
    columns: Mapping[str, str | Sequence[str]]
    title: str
    caption: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: str, *tables: str, name: str = "", **columns: str | Sequence[str]) -> Figure:
        """Return what is drawn, named after its main table where ``name`` is empty; :meth:`titled` puts it into words.

        Example:
            >>> drawn = Figure.of("curve", "noise", x="level", y="mean_delta", **BANDS)
            >>> drawn.titled("What noise does to the margin", xlabel="sd of the noise").options
            {'xlabel': 'sd of the noise'}
        """
        return cls(name or tables[0], kind, tables, columns, "")

    def titled(self, title: str, caption: str = "", **options: Any) -> Figure:
        """Return the same with its title, its caption and the options of the drawing."""
        return replace(self, title=title, caption=caption, options=options)


INTERVAL: Mapping[str, str] = {"low": "ci_low", "high": "ci_high"}
"""Roles of a figure whose interval is in the columns ``ci_low`` and ``ci_high``."""
NULL_BAND: Mapping[str, str] = {"null_low": "null_low", "null_high": "null_high"}
"""Roles of a figure with the middle 95 % of a null behind each value."""
BANDS: Mapping[str, str] = {**INTERVAL, **NULL_BAND}
"""Both."""


def ends(stem: str, role: str = "") -> dict[str, str]:
    """Return the roles of a figure whose interval is in the columns ``<stem>_low`` and ``<stem>_high``.

    Example:
        >>> ends("odds"), ends("lift", "core_")
        ({'low': 'odds_low', 'high': 'odds_high'}, {'core_low': 'lift_low', 'core_high': 'lift_high'})
    """
    return {f"{role}{end}": f"{stem}_{end}" for end in ("low", "high")}


@dataclass(frozen=True)
class Curve:
    """A metric over levels, logged as a metric history so that runs overlay in a tracking UI.

    Attributes:
        name: Metric name without prefix, e.g. ``head_ood_acc``.
        levels: The varied value (alpha, K, epoch, AP), ascending.
        values: The metric at each level.
        level_name: What the levels are, e.g. ``alpha``.

    Example:
        >>> Curve("margin_shift", levels=(0.5, 1.0), values=(-0.1, -0.4), level_name="noise_sd").level_name
        'noise_sd'
    """

    name: str
    levels: tuple[float, ...]
    values: tuple[float, ...]
    level_name: str = "level"

    @classmethod
    def of(cls, name: str, rows: pd.DataFrame, level: str, value: str) -> Curve:
        """Return the column ``value`` over the column ``level``, in the order of the rows.

        Example:
            >>> import pandas as pd
            >>> Curve.of("effect", pd.DataFrame({"k": [4, 8], "mean_delta": [-0.1, -0.3]}), "k", "mean_delta").values
            (-0.1, -0.3)
        """
        return cls(name, tuple(map(float, rows[level])), tuple(map(float, rows[value])), level)


@dataclass(frozen=True)
class Aggregates:
    """The few numbers that sum a result up.

    Attributes:
        mean_delta: Mean headline effect (its meaning is the experiment's; see its page).
        std_delta: Standard deviation of that effect over contexts.
        n_samples: Contexts measured.
        n_conditions: Conditions (levels, methods, rows) measured.
        base_activation_mean: Mean of the feature in the unedited contexts, where there is one.
        base_activation_std: Its standard deviation.
        custom: Everything else by name: numbers, strings, booleans, lists of them.

    Example:
        >>> Aggregates(mean_delta=-0.4, n_samples=200, custom={"threshold_only": True}).custom["threshold_only"]
        True
    """

    mean_delta: float | None = None
    std_delta: float | None = None
    n_samples: int | None = None
    n_conditions: int | None = None
    base_activation_mean: float | None = None
    base_activation_std: float | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EngineReport:
    """How the engine evaluated the interventions.

    Attributes:
        strategy: ``closed_form``, ``suffix``, ``hooks``, ``inputs``, or several joined by ``+``; empty if not used.
        n_requested: Evaluations asked for.
        n_unique: Evaluations made after deduplication.
        parity_max_abs_diff: Largest difference to the plain hooked forward on a sample; None where not applicable.

    Example:
        >>> EngineReport("suffix", n_requested=400, n_unique=400, parity_max_abs_diff=1e-7).n_unique
        400
    """

    strategy: str = ""
    n_requested: int = 0
    n_unique: int = 0
    parity_max_abs_diff: float | None = None

    def joined(self, other: EngineReport) -> EngineReport:
        """Return one report for two measurements: strategies joined, counts added, the worse parity.

        Example:
            >>> EngineReport("inputs", 4, 2).joined(EngineReport("suffix", 3, 3, 1e-7)).strategy
            'inputs+suffix'
        """
        strategies = dict.fromkeys(part for one in (self, other) for part in one.strategy.split("+") if part)
        parities = [one.parity_max_abs_diff for one in (self, other) if one.parity_max_abs_diff is not None]
        return EngineReport(
            strategy="+".join(strategies),
            n_requested=self.n_requested + other.n_requested,
            n_unique=self.n_unique + other.n_unique,
            parity_max_abs_diff=max(parities) if parities else None,
        )


@dataclass(frozen=True)
class Diagnostics:
    """Diagnostics and warnings that qualify the numbers.

    Example:
        >>> Diagnostics(n_contexts_tested=200, warnings=("3 clusters only",)).warnings
        ('3 clusters only',)
    """

    relu_floor_detected: bool | None = None
    relu_floor_rate: float | None = None
    n_contexts_tested: int = 0
    n_contexts_skipped: int = 0
    constraint_violations: Mapping[str, int] = field(default_factory=dict)
    engine: EngineReport = field(default_factory=EngineReport)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Artifact:
    """A file that belongs to a run.

    Attributes:
        size: Its length in bytes.
        digest: Hash of its content (SHA-256, hexadecimal).

    Example:
        >>> from paribus.results import files
        >>> from pathlib import Path
        >>> _ = files.write_text(Path("note.txt"), "hello")
        >>> files.describe(Path("note.txt")).size
        5
    """

    size: int
    digest: str


@dataclass(frozen=True)
class Result:
    """Everything one experiment found, with the run's own metadata once it is tracked.

    ``artifacts`` names every other file of the run by its path in it; ``reused`` says that the result was taken from an
    earlier run instead of measured now (it is not stored).

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"level": [1.0], "mean_delta": [0.4]})
        >>> table = Table("noise", "One row per level.", Evidence.INTERVENTIONAL, frame)
        >>> what = ("abc", "pixel_noise", Evidence.INTERVENTIONAL)
        >>> found = Result(*what, None, "mlp", "images", Aggregates(mean_delta=0.4), {"noise": table}, Diagnostics())
        >>> found.tables["noise"].frame["mean_delta"].tolist(), found.success
        ([0.4], True)
    """

    spec_id: str
    experiment_type: str
    evidence: Evidence
    feature: str | None
    model: str | None
    subject: str
    aggregates: Aggregates
    tables: Mapping[str, Table]
    diagnostics: Diagnostics
    figures: tuple[Figure, ...] = ()
    curves: tuple[Curve, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    success: bool = True
    error_message: str | None = None
    started_at: str | None = None
    duration_seconds: float | None = None
    run_id: str | None = None
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    reused: bool = False

    def __repr__(self) -> str:
        """Return in a few short lines what was found, and where it is."""
        state = "" if self.success else ", did not finish"
        run = f", run {self.run_id[:8]}" if self.run_id else ", not tracked"
        head = f"Result({self.experiment_type}, {self.evidence.value}, {self.subject}{run}{state})"
        tables = [f"  tables: {', '.join(self.tables)}"] if self.tables else []
        return "\n".join([head, *(f"  {line}" for line in lines(self)[:SHOWN_LINES]), *tables])

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows: headline with intervals, evidence, figures, tables, where it is tracked."""
        return display.html(self)
