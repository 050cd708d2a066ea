"""Recall and precision of every experiment type on builds: is what is planted found, and nothing else?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from paribus.experiments.base import Experiment, perform
from paribus.experiments.builds.binary_presence_effect import BinaryPresenceEffect
from paribus.experiments.builds.conditional_interactions import ConditionalInteractions
from paribus.experiments.builds.core_coverage_analysis import CoreCoverageAnalysis
from paribus.experiments.builds.decoder_output_analysis import DecoderOutputAnalysis
from paribus.experiments.builds.family_1d_sweep import Family1dSweep
from paribus.experiments.builds.family_2d_heatmap import Family2dHeatmap
from paribus.experiments.builds.frequent_itemsets import FrequentItemsets
from paribus.experiments.builds.kit_sweep import KitSweep
from paribus.experiments.builds.loading import build_setup
from paribus.experiments.builds.minimal_cores import MinimalCores
from paribus.experiments.builds.pairwise_interactions import PairwiseInteractions
from paribus.experiments.builds.token_influence_sweep import TokenInfluenceSweep
from paribus.experiments.builds.weapon_sweep import WeaponSweep
from paribus.experiments.builds.within_family_interference import WithinFamilyInterference
from paribus.experiments.recording import MemoryRecorder
from paribus.experiments.validation.shuffle_null import ShuffleNull
from paribus.experiments.validation.split_half import SplitHalf
from paribus.results.schema import Result
from paribus.stats.spec import StatsSpec
from paribus.subjects.builds.generated import BuildsGenerated
from paribus.subjects.builds.models.nets.planted import DRIVERS, GATE_SPECIAL, THRESHOLD_AP
from paribus.subjects.builds.models.set_model import SetModel
from paribus.subjects.builds.planted_feature import PlantedFeature
from paribus.subjects.builds.weapons import Weapons

LEVEL = 0.05
N_BUILDS = 400
SPEC = StatsSpec(n_bootstrap=400, n_permutations=999, n_null=0)
SSU, QR, SS = "swim_speed_up", "quick_respawn", "special_saver"
PAIRS = [QR, SS, "ink_saver_main", "ink_saver_sub", "ink_recovery_up", "run_speed_up"]
THRESHOLD_TOKEN = f"special_charge_up_{THRESHOLD_AP}"
Run = Callable[[Experiment, str], Result]


@dataclass(frozen=True)
class Found:
    """What one experiment type named, and what was planted, over several features.

    Attributes:
        named: What it found.
        planted: What is there to find.
    """

    named: frozenset[object]
    planted: frozenset[object]

    @property
    def line(self) -> str:
        """Recall, precision and what is missed or wrong, as cells of a table."""
        right = self.named & self.planted
        recall = f"{len(right) / len(self.planted):.3f}" if self.planted else "nothing planted"
        precision = f"{len(right) / len(self.named):.3f}" if self.named else "nothing named"
        missed = ", ".join(sorted(map(str, self.planted - self.named)))
        wrong = ", ".join(sorted(map(str, self.named - self.planted)))
        return f"{len(self.planted)} | {recall} | {precision} | {missed or '-'} | {wrong or '-'}"


Pairs = Iterator[tuple[set[object], set[object]]]


def _significant(frame: pd.DataFrame, name: str) -> set[object]:
    return set(frame.loc[frame["p_adj"] <= LEVEL, name])


def family_1d_sweep(run: Run) -> Pairs:
    """Every family is swept; those with an effect are the drivers, and the threshold stands at its rung."""
    for feature in ("threshold", "dose", "saturating", "suppression", "and", "null", "source"):
        for family in {SSU, QR, SS, "comeback", "ink_recovery_up", *DRIVERS[feature]}:
            result = run(Family1dSweep(family=family, placebo_contexts=0), feature)
            moved = bool((result.tables["rung_deltas"].frame["p_adj"] <= LEVEL).any())
            yield (
                {(feature, family)} if moved else set(),
                {(feature, family)} & {(feature, d) for d in DRIVERS[feature]},
            )
            if feature == "threshold" and family in DRIVERS[feature]:
                yield {(feature, result.aggregates.custom["threshold_rung"])}, {(feature, THRESHOLD_AP)}


def family_2d_heatmap(run: Run) -> Pairs:
    """Pairs of families: only those of AND and OR interact."""
    for feature, planted in (("and", {QR, SS}), ("or", {"ink_saver_main", "ink_saver_sub"}), ("dose", set())):
        for x, y in ((QR, SS), (QR, SSU), ("ink_saver_main", "ink_saver_sub")):
            result = run(Family2dHeatmap(family_x=x, family_y=y, rungs_x=[3, 12], rungs_y=[3, 12]), feature)
            found = bool((result.tables["heatmap"].frame["p_adj"] <= LEVEL).any())
            pair = (feature, x, y)
            yield {pair} if found else set(), {pair} if {x, y} == planted else set()


def binary_presence_effect(run: Run) -> Pairs:
    """Every main-only ability: Ninja Squid suppresses, by what it does where nothing is displaced."""
    for feature in ("suppression", "dose", "null", "source"):
        custom = run(BinaryPresenceEffect(), feature).aggregates.custom
        found = {(feature, name, role) for role in ("enhancing", "suppressing") for name in custom[role]}
        yield found, {(feature, "ninja_squid", "suppressing")} if feature == "suppression" else set()


def minimal_cores(run: Run) -> Pairs:
    """The cores are exactly those planted."""
    for feature in ("threshold", "and", "or", "weapon_gate"):
        frame = run(MinimalCores(include_weapon=feature == "weapon_gate"), feature).tables["cores"].frame
        drivers = DRIVERS[feature]
        planted = {frozenset([name]) for name in drivers} if feature == "or" else {frozenset(drivers)}
        if feature == "weapon_gate":
            planted = {frozenset([*drivers, "weapon"])}
        yield (
            {(feature, " + ".join(sorted(core.split(" + ")))) for core in frame["core"]},
            {(feature, " + ".join(sorted(core))) for core in planted},
        )


def pairwise_interactions(run: Run) -> Pairs:
    """Labels of all pairs and triples of the drivers, among others."""
    labels = {"and": "synergy", "or": "redundancy", "relu_sum": "output_nonlinearity", "dose": "", "null": ""}
    for feature, label in labels.items():
        frame = run(PairwiseInteractions(candidates=PAIRS), feature).tables["interactions"].frame
        frame = frame[~frame["label"].isin(["none", "untested"])]
        named = {
            (feature, *sorted(pair), of)
            for *pair, of in zip(frame["token_a"], frame["token_b"], frame["label"], strict=True)
        }
        yield named, {(feature, *sorted(DRIVERS[feature]), label)} if label else set()
    result = run(PairwiseInteractions(candidates=[*DRIVERS["xor"], SSU]), "xor")
    frame = result.tables["triples"].frame
    frame = frame[frame["label"] == "third_order"]
    named = {
        ("xor", *sorted(three)) for three in zip(frame["token_a"], frame["token_b"], frame["token_c"], strict=True)
    }
    yield named, {("xor", *sorted(DRIVERS["xor"]))}


def conditional_interactions(run: Run) -> Pairs:
    """A third family changes the pair of XOR, and not that of AND."""
    first, second, third = DRIVERS["xor"]
    for feature, pair, modulator in (("xor", [first, second], third), ("and", [QR, SS], SSU), ("or", PAIRS[2:4], SSU)):
        result = run(ConditionalInteractions(candidates=[*pair, "special_charge_up"], modulator=modulator), feature)
        frame = result.tables["conditional_interactions"].frame
        frame = frame[frame["p_adj"] <= LEVEL]
        named = {(feature, *sorted(found)) for found in zip(frame["token_a"], frame["token_b"], strict=True)}
        yield named, {(feature, *sorted(pair))} if feature == "xor" else set()


def within_family_interference(run: Run) -> Pairs:
    """Nothing of the kind is planted."""
    for feature in ("threshold", "dose", "saturating", "and", "null"):
        families = ["special_charge_up", SSU, QR, "ink_recovery_up"]
        frame = run(WithinFamilyInterference(families=families), feature).tables["interference"].frame
        yield {(feature, name) for name in _significant(frame, "family")}, set()


def frequent_itemsets(run: Run) -> Pairs:
    """Sets that are confirmed hold a driver; every driver is in one."""
    for feature in ("threshold", "and", "dose"):
        custom = run(FrequentItemsets(confirm=True, max_size=2), feature).aggregates.custom
        named: set[object] = set()
        for label in custom["confirmed"]:
            inside = {d for d in DRIVERS[feature] if d in label}
            named |= {(feature, d) for d in inside} or {(feature, label)}
        yield named, {(feature, d) for d in DRIVERS[feature]}


def weapon_sweep(run: Run) -> Pairs:
    """Only weapons with the special that opens the gate have an effect when swapped in."""
    for feature in ("weapon_gate", "dose", "and"):
        named = run(WeaponSweep(), feature).aggregates.custom["weapons_beyond"]
        gates = [w.name for w in Weapons.default().weapons if w.special == GATE_SPECIAL and feature == "weapon_gate"]
        yield {(feature, name) for name in named}, {(feature, name) for name in gates}


def kit_sweep(run: Run) -> Pairs:
    """Only the special that opens the gate."""
    for feature in ("weapon_gate", "dose"):
        custom = run(KitSweep(analyze_combinations=False), feature).aggregates.custom
        named = {(feature, name) for name in (*custom["specials_beyond"], *custom["subs_beyond"])}
        yield named, {(feature, GATE_SPECIAL)} if feature == "weapon_gate" else set()


def token_influence_sweep(run: Run) -> Pairs:
    """Families that move the feature when set; a threshold only shows at its own token."""
    for feature in ("dose", "and", "or", "suppression", "saturating", "null", "source"):
        custom = run(TokenInfluenceSweep(unit="family", high_quantile=0.9), feature).aggregates.custom
        named = {(feature, name) for name in (*custom["drivers"], *custom["inhibitors"])}
        yield named, {(feature, name) for name in DRIVERS[feature]}
    custom = run(TokenInfluenceSweep(unit="token", high_quantile=0.9), "threshold").aggregates.custom
    yield {*custom["drivers"], *custom["inhibitors"]}, {THRESHOLD_TOKEN}


def core_coverage_analysis(run: Run) -> Pairs:
    """Families enriched in the core, or rarer in it than in the tail, whose effect is confirmed."""
    for feature in ("dose", "saturating", "null", "source"):
        custom = run(CoreCoverageAnalysis(unit="family", confirm=True), feature).aggregates.custom
        named = {(feature, name) for name in custom["confirmed_drivers"] or ()}
        yield named, {(feature, name) for name in DRIVERS[feature]}


def decoder_output_analysis(run: Run) -> Pairs:
    """The families that a latent's decoder column raises most are those planted there."""
    for feature in ("threshold", "dose", "and", "xor"):
        frame = run(DecoderOutputAnalysis(max_contexts=50), feature).tables["family_effects"].frame
        top = frame.nlargest(len(DRIVERS[feature]), "mean_centred")["family"]
        yield {(feature, name) for name in top}, {(feature, name) for name in DRIVERS[feature]}


def split_half(run: Run) -> Pairs:
    """Halves agree where a feature is driven, and not on noise."""
    for feature in ("dose", "noisy"):
        passed = run(SplitHalf(target=Family1dSweep(family=SSU)), feature).aggregates.custom["passed"]
        yield {feature} if passed else set(), {feature} & {"dose"}


def shuffle_null(run: Run) -> Pairs:
    """Effects stand out where a feature is driven, and not on noise."""
    for feature in ("dose", "noisy"):
        passed = run(ShuffleNull(target=Family1dSweep(family=SSU)), feature).aggregates.custom["passed"]
        yield {feature} if passed else set(), {feature} & {"dose"}


HUNTS: dict[str, Callable[[Run], Pairs]] = {
    hunt.__name__: hunt
    for hunt in (
        family_1d_sweep,
        family_2d_heatmap,
        binary_presence_effect,
        minimal_cores,
        pairwise_interactions,
        conditional_interactions,
        within_family_interference,
        frequent_itemsets,
        weapon_sweep,
        kit_sweep,
        token_influence_sweep,
        core_coverage_analysis,
        decoder_output_analysis,
        split_half,
        shuffle_null,
    )
}
"""What is hunted by each type; ``weapon_group_analysis`` only correlates, and nothing is planted for correlations."""


def recovered(model: SetModel, wanted: Sequence[str] | set[str] = ()) -> Iterator[tuple[str, bool]]:
    """Yield a line of each type and whether recall and precision are both 1."""
    corpus = BuildsGenerated(n_builds=N_BUILDS, seed=1).load()

    def run(experiment: Experiment, feature: str) -> Result:
        setup = build_setup(
            data=corpus, model=model, feature=PlantedFeature(feature), seed=0, stats=SPEC, batch_limit=8192
        )
        return perform(experiment, setup, MemoryRecorder())

    for name, hunt in HUNTS.items():
        if wanted and name not in wanted:
            continue
        named: set[object] = set()
        planted: set[object] = set()
        for found, there in hunt(run):
            named |= found
            planted |= there
        yield f"| {name} | {Found(frozenset(named), frozenset(planted)).line} |", named == planted
