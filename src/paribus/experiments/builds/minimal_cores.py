"""B4: the smallest sets of units of a context that keep a feature active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.arrays import Bools, Ints
from paribus.experiments.builds._words import counted
from paribus.experiments.builds.build_experiment import BuildExperiment, EffectVector, base_numbers, row_means
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure
from paribus.spec import field

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from paribus.experiments.base import Recorder
    from paribus.experiments.builds.setup import BuildSetup
    from paribus.subjects.builds.families import Family
    from paribus.subjects.builds.states import States


@dataclass(frozen=True, kw_only=True)
class MinimalCores(BuildExperiment):
    """Take families (and the weapon) away in all combinations, and keep the smallest sets that stay active."""

    type: ClassVar[str] = "minimal_cores"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "minimal cores: the smallest sets of families that keep the feature active"

    retention_threshold: float = field(
        0.8, above=0.0, high=1.0, help="Share of the complete context's activation that a core must keep."
    )
    top_fraction: float = field(
        0.1, above=0.0, high=1.0, help="Share of the contexts that counts as high activation (and f > 0)."
    )
    max_contexts: int = field(100, low=1, help="High-activation contexts analysed at most, drawn at random.")
    include_weapon: bool = field(False, help="Whether the weapon is a unit too (removed: mean over reference weapons).")
    n_reference_weapons: int = field(20, low=1, help="Weapons that stand for no weapon in particular.")
    clamp_families: list[str] = field([], help="Families never taken away; they are no units.")
    exclude_families: list[str] = field([], help="Families taken away from every state, the complete context included.")
    robust: bool = field(False, help="Whether every larger set that holds the core must keep the activation too.")
    exact_units: int = field(
        16, low=1, high=16, help="Contexts with more units are searched by deletion and beam instead of enumerated."
    )
    beam_width: int = field(32, low=1, help="Sets kept at every level of that search.")
    max_cores: int = field(100, low=1, help="Distinct cores listed, the most frequent first.")

    def complete(self, setup: BuildSetup, states: States) -> States:
        """Return the contexts with held tokens, and without the excluded families."""
        held = self.hold(setup, states)
        return setup.edits.remove_units(held, self.exclude_families) if self.exclude_families else held

    def validate(self, setup: BuildSetup) -> None:
        """Look up the families before anything is run.

        Raises:
            ConfigError: If one is unknown, or named twice.
        """
        self.clamped(setup)

    def clamped(self, setup: BuildSetup) -> set[Family]:
        """Return the families that are never taken away.

        Raises:
            ConfigError: If one is unknown, or excluded as well.
        """
        from paribus.errors import ConfigError

        clamped = {setup.vocabulary.family(name) for name in self.clamp_families}
        clamped |= {family for family, _ in setup.edits.requested(self.stable_tokens)}
        both = clamped & {setup.vocabulary.family(name) for name in self.exclude_families}
        if both:
            names = ", ".join(sorted(family.name for family in both))
            raise ConfigError(f"experiment.exclude_families names {names}, which is clamped or held; choose one")
        return clamped

    def units(self, setup: BuildSetup, complete: States) -> Bools:
        """Return which units each complete context has ``[n, 27]``: families shown, and the weapon if asked.

        Raises:
            ConfigError: If a family is unknown, or both excluded and clamped or held.
        """
        import numpy as np

        clamped = self.clamped(setup)
        present = setup.edits.families_present(complete)
        present[:, [family.index for family in clamped]] = False
        return np.concatenate([present, np.full((len(present), 1), self.include_weapon)], axis=1)

    def halves(self, setup: BuildSetup) -> Bools:
        """Return which contexts cores are looked for in ``[n]``; those of the other source builds judge them."""
        import numpy as np

        clusters = np.unique(setup.cluster)
        first = setup.rng("core_halves").permutation(clusters)[: (len(clusters) + 1) // 2]
        return np.isin(setup.cluster, first)

    def high_contexts(self, setup: BuildSetup, looked_in: Bools, complete: States, units: Bools) -> Ints:
        """Return the contexts to analyse: among ``looked_in``, those of high activation that have units.

        Activation is that of the complete contexts, with tokens held and families excluded.

        Raises:
            ConfigError: If there is none.
        """
        import numpy as np

        from paribus.errors import ConfigError

        f = setup.measure(complete).f
        pool = np.flatnonzero(looked_in & ~np.isnan(f))
        least = np.quantile(f[pool], 1 - self.top_fraction) if len(pool) else 0.0
        high = pool[(f[pool] > 0) & (f[pool] >= least) & units[pool].any(1)]
        if not len(high):
            raise ConfigError(
                f"none of {len(pool)} contexts has an activation above 0 and a unit to take away; choose another "
                "feature or slice, or clamp fewer families"
            )
        if len(high) > self.max_contexts:
            high = np.sort(setup.rng("core_contexts").choice(high, self.max_contexts, replace=False))
        return high

    def effect_vector(self, setup: BuildSetup) -> EffectVector:
        """Return the mean effect of taking away each family, over the contexts that show it."""
        import numpy as np

        from paribus.measure.design import Design
        from paribus.subjects.builds.families import FAMILIES
        from paribus.subjects.builds.states import concatenate

        units = self.units(setup, self.complete(setup, setup.contexts.states()))[:, : len(FAMILIES)]
        shown = np.flatnonzero(units.any(0))

        def edited(states: States) -> States:
            whole = self.complete(setup, states)
            less = [setup.edits.remove_units(whole, [FAMILIES[i]])[None] for i in shown]
            return concatenate([whole[None], *less])

        f, _ = setup.measure_design(Design(edited, 1 + len(shown))).values
        differences = np.where(units[:, shown].T, f[:1] - f[1:], np.nan)
        return EffectVector(tuple(FAMILIES[i].name for i in shown), row_means(differences), differences)

    def run(self, setup: BuildSetup, recorder: Recorder) -> Aggregates:
        """Find the cores in one half of the source builds, and measure on the other what taking them away does."""
        import numpy as np

        from paribus.experiments.builds import _core_tables
        from paribus.experiments.builds._cores import find_cores
        from paribus.experiments.builds._removable_units import RemovableUnits, reference_weapons

        setup.describe(recorder)
        complete = self.complete(setup, setup.contexts.states())
        held = self.units(setup, complete)
        looked_in = self.halves(setup)
        rows = self.high_contexts(setup, looked_in, complete, held)
        weapons = reference_weapons(setup, self.n_reference_weapons)
        units = RemovableUnits(setup, complete[rows], held[rows], weapons)
        found = find_cores(
            units,
            threshold=self.retention_threshold,
            robust=self.robust,
            exact_units=self.exact_units,
            beam_width=self.beam_width,
            recorder=recorder,
        )
        clusters = setup.cluster[rows]
        cores = _core_tables.cores_table(setup, found, held[rows], clusters, most=self.max_cores)
        recorder.table(cores)
        recorder.table(_core_tables.contexts_table(found, rows, clusters, units.counts))
        told = ~found.indifferent & (found.full > 0)
        if told.any():
            recorder.table(_core_tables.frequency_table(setup, found, held[rows], clusters))
            self.draw(recorder)
        masks, counts = np.unique(found.mask, return_counts=True)
        order = np.lexsort((masks, np.bitwise_count(masks), -counts))[: self.max_cores]
        judges = setup.restrict(np.flatnonzero(~looked_in))
        effects = _core_tables.effects_table(judges, self, masks[order], weapons, recorder)
        if effects is not None:
            recorder.table(effects)
        self.tell(recorder, found.indifferent, found.exhaustive, found.full, len(masks))
        return self.aggregates(setup, cores.frame, None if effects is None else effects.frame, told, found.exhaustive)

    def tell(
        self, recorder: Recorder, indifferent: Bools, exhaustive: Bools, full: npt.NDArray[np.float64], n: int
    ) -> None:
        """Warn about what the tables cannot show."""
        if indifferent.any():
            recorder.warn(
                f"in {int(indifferent.sum())} of {len(full)} analysed contexts every unit alone keeps the activation: "
                "they do not tell which units are needed (the set without any token is not measured unless "
                "constraints.keep_empty=true) and were left out"
            )
        if (full > 0).sum() > exhaustive.sum():
            wide = counted(int((full > 0).sum() - exhaustive.sum()), "context")
            recorder.warn(
                f"more than {self.exact_units} units in {wide}, searched by greedy deletion and a beam: their cores "
                "are not exhaustive"
            )
        if n > self.max_cores:
            recorder.warn(f"{n} distinct cores were found; the {self.max_cores} most frequent are listed")

    def aggregates(
        self,
        setup: BuildSetup,
        cores: pd.DataFrame,
        effects: pd.DataFrame | None,
        told: Bools,
        exhaustive: Bools,
    ) -> Aggregates:
        """Return the numbers that sum the cores up; the headline effect is that of the most frequent core."""
        first = None if effects is None or not len(effects) else effects.iloc[0]
        return Aggregates(
            mean_delta=None if first is None else float(first["mean_delta"]),
            std_delta=None if first is None else float(first["std_delta"]),
            n_samples=len(told),
            n_conditions=len(cores),
            **base_numbers(setup),
            custom={
                "n_cores": len(cores),
                "top_core": cores["core"].iloc[0] if len(cores) else None,
                "top_coverage": float(cores["coverage"].iloc[0]) if len(cores) else None,
                "mean_core_size": float((cores["size"] * cores["n_contexts"]).sum() / cores["n_contexts"].sum())
                if len(cores)
                else None,
                "n_informative": int(told.sum()),
                "indifferent_share": float(1 - told.mean()),
                "exhaustive_share": float(exhaustive.mean()),
            },
        )

    def draw(self, recorder: Recorder) -> None:
        """Declare the bars of cores and of families."""
        recorder.figure(
            Figure(
                "cores",
                "bars",
                ("cores",),
                {"label": "core", "value": "coverage", "low": "coverage_low", "high": "coverage_high"},
                "Minimal cores",
                f"Share of the analysed contexts in which the set alone keeps {self.retention_threshold:.0%} of the "
                "activation and no smaller part of it does. Contexts have been chosen for high activation.",
                {"xlabel": "share of contexts", "horizontal": True, "max_rows": 20},
            )
        )
        recorder.figure(
            Figure(
                "family_frequency",
                "bars",
                ("family_frequency",),
                {"label": "family", "value": "frequency", "low": "ci_low", "high": "ci_high"},
                "How often a family belongs to a core",
                "Share of the analysed contexts holding the family in which some minimal core needs it.",
                {"xlabel": "share of the contexts that hold it", "horizontal": True, "max_rows": 26},
            )
        )
