"""B5: what pairs and triples of tokens or families do to a feature beyond the sum of their parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.arrays import Bools
from paribus.experiments.builds.build_experiment import BuildExperiment, EffectVector, base_numbers, row_means
from paribus.experiments.headline import largest as largest_effect
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure
from paribus.spec import field

if TYPE_CHECKING:
    import pandas as pd

    from paribus.experiments.base import Recorder
    from paribus.experiments.builds._candidates import Candidate, Choice
    from paribus.experiments.builds._interactions import Measuring
    from paribus.experiments.builds.setup import BuildSetup


@dataclass(frozen=True, kw_only=True)
class PairwiseInteractions(BuildExperiment):
    """Take two (or three) candidates away in every context, put them back in all combinations, and compare."""

    type: ClassVar[str] = "pairwise_interactions"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "pairs and triples: synergy, redundancy, third order, or only the output's nonlinearity"

    candidates: list[str] | None = field(
        None,
        help="Tokens or families, by name or abbreviation, weapon:NAME or weapon_class:NAME; null: the families with "
        "the largest single effects.",
    )
    n_candidates: int = field(8, low=2, high=16, help="How many families are chosen where none are given.")
    rung: int | None = field(
        None,
        low=1,
        help="AP that families are set to; null: the median rung that the corpus shows of each, or, for one that is "
        "chosen and does next to nothing there, the lowest at which it acts.",
    )
    method: str = field(
        "second_difference",
        choices=("second_difference", "sii"),
        help="Second differences with both removed as base, or Shapley interactions of what contexts show.",
    )
    triples: bool = field(True, help="Whether third differences of all triples of up to 12 candidates are measured.")

    def choose(self, setup: BuildSetup, recorder: Recorder | None) -> Choice:
        """Return candidates and the contexts to report on.

        Raises:
            ConfigError: If a candidate is unknown, or the method cannot take it.
        """
        from paribus.experiments.builds._candidates import choose

        choice = choose(setup, self, recorder)
        self.refuse_players(choice.candidates)
        return choice

    def validate(self, setup: BuildSetup) -> None:
        """Look up the candidates that are named before anything is run.

        Raises:
            ConfigError: If one is unknown, or the method cannot take it.
        """
        from paribus.experiments.builds._candidates import given

        self.refuse_players(given(setup, self))

    def refuse_players(self, candidates: tuple[Candidate, ...]) -> None:
        """Check that the method can take the candidates.

        Raises:
            ConfigError: If it cannot.
        """
        from paribus.errors import ConfigError

        if self.method == "sii":
            others = [c.name for c in candidates if c.is_token or c.family is None]
            if others:
                raise ConfigError(
                    f"experiment.method=sii takes families as they are shown, not tokens or weapons: "
                    f"{', '.join(others)}; name their families, or use method=second_difference"
                )
            if len(candidates) > 16:
                raise ConfigError(f"experiment.method=sii is exact up to 16 players, got {len(candidates)}")

    def measuring(self, setup: BuildSetup, candidates: tuple[Candidate, ...], recorder: Recorder | None) -> Measuring:
        """Return what measures all pairs and triples on the contexts of ``setup``."""
        import numpy as np

        from paribus.experiments.builds import _interactions as measuring
        from paribus.experiments.builds._shapley import ShapleyInteractions

        pairs = measuring.pairs_of(candidates)
        triples = measuring.triples_of(candidates) if self.triples else ()
        if self.method == "sii":
            return ShapleyInteractions(setup, self, candidates, pairs, triples, recorder)
        return measuring.Differences(
            setup,
            self,
            measuring.difference_layout(candidates, pairs, triples),
            pairs,
            triples,
            possible=np.array([not candidates[a].excludes(candidates[b]) for a, b in pairs]),
            recorder=recorder,
        )

    def effect_vector(self, setup: BuildSetup) -> EffectVector:
        """Return the interaction of every pair; contexts that candidates were chosen on are left out."""
        import dataclasses

        import numpy as np

        from paribus.experiments.builds._interaction_sums import kept

        choice = self.choose(setup, None)
        part = setup.restrict(choice.rows)
        alone = dataclasses.replace(self, triples=False)
        measuring = alone.measuring(part, choice.candidates, None)
        differences = np.full((len(measuring.pairs), len(setup.contexts)), np.nan)
        differences[:, choice.rows] = kept(measuring, len(part.contexts))
        self.require(setup, choice.candidates, ~np.isnan(differences))
        names = [candidate.name for candidate in choice.candidates]
        labels = tuple(f"{names[a]} x {names[b]}" for a, b in measuring.pairs)
        return EffectVector(labels, row_means(differences), differences)

    def require(self, setup: BuildSetup, candidates: tuple[Candidate, ...], supported: Bools) -> None:
        """Check that some context supports some pair.

        Raises:
            ConfigError: If none does.
        """
        setup.require(supported, "any two of " + ", ".join(c.name for c in candidates))

    def run(self, setup: BuildSetup, recorder: Recorder) -> Aggregates:
        """Choose candidates, measure pairs and triples, and label them."""
        import numpy as np

        from paribus.experiments.builds import _interaction_tables as tables
        from paribus.experiments.builds._interaction_sums import add_up

        setup.describe(recorder)
        choice = self.choose(setup, recorder)
        recorder.table(tables.candidate_table(choice))
        part = setup.restrict(choice.rows)
        found = add_up(part, self.measuring(part, choice.candidates, recorder))
        self.require(setup, choice.candidates, found.f.n > 0)
        turned = np.zeros(len(found.pairs), bool)
        triples = None
        if found.triples:
            table, turned = tables.triple_table(part, recorder, found, choice.candidates)
            recorder.table(table)
            triples = table.frame
            if self.triples and len(choice.candidates) > 12:
                recorder.warn("triples were measured among the first 12 candidates")
        pairs = tables.interaction_table(part, recorder, found, choice.candidates, turned)
        recorder.table(pairs)
        recorder.table(tables.subset(pairs, "synergy", "synergies"))
        recorder.table(tables.subset(pairs, "redundancy", "redundancies"))
        self.draw(recorder, triples)
        return self.aggregates(setup, recorder, part, pairs.frame, triples)

    def aggregates(
        self,
        setup: BuildSetup,
        recorder: Recorder,
        part: BuildSetup,
        pairs: pd.DataFrame,
        triples: pd.DataFrame | None,
    ) -> Aggregates:
        """Return the largest interaction and how many pairs have each label."""
        import numpy as np

        values = pairs["interaction_activation"]
        largest = int(np.argmax(values.abs().fillna(-1.0)))
        row = pairs.iloc[largest]
        largest_effect(recorder, "largest_interaction", row, "interaction_activation")
        counts = pairs["label"].value_counts()
        kinds = ("synergy", "redundancy", "output_nonlinearity", "third_order", "none", "untested")
        known = values.dropna()
        return Aggregates(
            mean_delta=float(known.mean()),
            std_delta=float(known.std(ddof=1)) if len(known) > 1 else 0.0,
            n_samples=len(part.contexts),
            n_conditions=len(pairs),
            **base_numbers(setup),
            custom={
                "method": self.method,
                "largest_pair": f"{row['token_a']} x {row['token_b']}",
                "largest_interaction": float(row["interaction_activation"]),
                "largest_label": row["label"],
                **{f"n_{kind}": int(counts.get(kind, 0)) for kind in kinds},
                "n_third_order_triples": 0 if triples is None else int((triples["label"] == "third_order").sum()),
                "sd": setup.sd,
            },
        )

    def draw(self, recorder: Recorder, triples: pd.DataFrame | None) -> None:
        """Declare the matrix of pairs and the triples."""
        recorder.figure(
            Figure(
                "interactions",
                "interaction_matrix",
                ("interactions",),
                {
                    "a": "token_a",
                    "b": "token_b",
                    "value": "interaction_activation",
                    "p": "p_adj",
                    "label": "label",
                },
                "What pairs do beyond the sum of their parts",
                "Second difference of the activation, averaged over contexts. Positive is not yet synergy: the label "
                "takes the pre-activation, the direction of the pair and third ones into account.",
                {"value_label": "interaction"},
            )
        )
        if triples is None:
            return
        recorder.figure(
            Figure(
                "triples",
                "forest",
                ("triples",),
                {
                    "label": "triple",
                    "value": "third_difference",
                    "low": "ci_low",
                    "high": "ci_high",
                    "n": "n",
                    "group": "label",
                },
                "How much pairs change with a third",
                "Third difference of the activation with its interval, the largest first.",
                {"xlabel": "third difference", "sort": "abs", "max_rows": 20},
            )
        )
