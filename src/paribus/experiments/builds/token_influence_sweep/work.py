"""Compares contexts of high activation with the others, and sets every token or family."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paribus.arrays import Bools
from paribus.experiments.base import Recorder
from paribus.experiments.builds._effects import (
    EFFECT_COLUMNS,
    TESTED_COLUMNS,
    activation_range,
    beyond_least,
    summed,
)
from paribus.experiments.builds._high_group import high_group
from paribus.experiments.builds._presence import (
    UNITS,
    Unit,
    at_another_rung,
    held_matrix,
    presence_standings,
)
from paribus.experiments.builds._standing import (
    ABSENT,
    NONZERO,
    STANDINGS,
    UNDECIDED,
    UNMEASURED,
    WITHIN,
    with_n,
)
from paribus.experiments.builds.setup import BuildSetup
from paribus.experiments.builds.token_influence_sweep.spec import TokenInfluenceSweep
from paribus.experiments.effect_vector import EffectVector
from paribus.experiments.headline import largest_size
from paribus.results.columns import MADE
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, Figure, Table, ends
from paribus.stats.intervals import ONE_GROUP, too_few
from paribus.stats.max_statistic import enrichment
from paribus.stats.odds import association_table


def units_of(experiment: TokenInfluenceSweep, setup: BuildSetup) -> list[Unit]:
    """Return what is looked at."""
    return UNITS[experiment.unit](setup)


def effect_vector(experiment: TokenInfluenceSweep, setup: BuildSetup) -> EffectVector:
    """Return the log-odds of every unit; observational, so that it follows the activations it is given."""
    units = units_of(experiment, setup)
    high = high_group(setup.observed.f, experiment.high_quantile)
    odds = np.full(len(units), np.nan)
    if high.any():
        held = held_matrix(setup, units, setup.contexts.states())
        odds = association_table(held, high, setup.cluster, spec=setup.stats)["odds_ratio"].to_numpy()
    return EffectVector(tuple(unit.name for unit in units), np.log(odds))


def run(experiment: TokenInfluenceSweep, setup: BuildSetup, recorder: Recorder) -> Aggregates:
    """Count, then set every unit, and hold the two against each other."""
    setup.describe(recorder)
    units = units_of(experiment, setup)
    high = high_group(setup.observed.f, experiment.high_quantile)
    observed = observed_influence(experiment, setup, recorder, units, high)
    n, families = experiment.influence_contexts, experiment.unit == "family"
    influence, rungs = presence_standings(setup, recorder, experiment, units, n, "influence", at_every_rung=families)
    influence.insert(1, "family", [unit.family.name for unit in units])
    influence.insert(2, "step_from", [unit.without_ap for unit in units])
    if rungs is not None:
        meanings = {**_INFLUENCE, "rung": "AP that the family is set to"}
        says = (
            "One row per family and rung: each context with the family at that rung minus the same context without "
            "the family."
        )
        recorder.table(Table("family_rungs", says, Evidence.INTERVENTIONAL, rungs, meanings))
    says = f"One row per {experiment.unit}: each context with it minus the same context without it."
    recorder.table(Table("influence", says, Evidence.INTERVENTIONAL, influence, _INFLUENCE))
    moves = beyond_least(setup, influence)
    observed["causal_delta"] = influence["mean_delta"]
    observed = observed.join(influence[list(TESTED_COLUMNS)].add_prefix("causal_"))
    observed["moves_feature"] = moves
    observed["causal_standing"] = influence["standing"]
    tables(experiment, recorder, observed)
    draw(experiment, recorder)
    driving = influence[moves].sort_values("mean_delta", key=abs, ascending=False)
    along = observed["role"].ne("none")
    only = influence[along & (influence["standing"] == ABSENT)]
    open_ = influence[influence["standing"].isin([UNDECIDED, UNMEASURED]) & (along | influence["mean_delta"].ne(0))]
    largest_size(recorder, "max_effect", influence)
    return Aggregates(
        **summed(setup, influence["mean_delta"]),
        n_conditions=len(units),
        custom={
            "n_high": int(high.sum()),
            "drivers": list(driving.loc[driving["mean_delta"] > 0, "token"])[:20],
            "inhibitors": list(driving.loc[driving["mean_delta"] < 0, "token"])[:20],
            "moves_little": list(influence.loc[influence["standing"].isin([WITHIN, NONZERO]), "token"])[:20],
            **({"drivers_at_another_rung": at_another_rung(influence[~moves])} if families else {}),
            "only_correlated": list(only["token"])[:20],
            "undecided": with_n(open_, "token")[:20],
            "activation_range": activation_range(setup),
        },
    )


def observed_influence(
    experiment: TokenInfluenceSweep, setup: BuildSetup, recorder: Recorder, units: list[Unit], high: Bools
) -> pd.DataFrame:
    """Return the log-odds of presence in the high group, with interval, p and the role that follows."""
    frame = pd.DataFrame({"token": [u.name for u in units], "family": [u.family.name for u in units]})
    if not high.any():
        recorder.warn("the activation does not vary over the contexts: nothing can be high, log-odds are left out")
        frame[[*_COUNTED, "log_odds", *_LOG_ODDS_ENDS, "p", "p_adj"]] = np.nan
        frame[["log_odds_method", "p_method"]] = ONE_GROUP
        frame["role"] = "none"
        return frame
    held = held_matrix(setup, units, setup.contexts.states())
    odds = association_table(held, high, setup.cluster, spec=setup.stats)
    test = enrichment(held, high, setup.cluster, rng=setup.rng("enrichment"), n_permutations=setup.stats.n_permutations)
    frame = frame.join(odds[_COUNTED])
    enough = (odds["n_present"] >= experiment.min_count) & (odds["n_present"] <= len(high) - experiment.min_count)
    frame["log_odds"] = np.log(odds["odds_ratio"]).where(enough)
    for name in _LOG_ODDS_ENDS:
        frame[name] = np.log(odds[name.removeprefix("log_")]).where(enough)
    rare = odds["n_present"].clip(upper=len(high) - odds["n_present"]).map(lambda n: too_few(n, "context"))
    frame["log_odds_method"] = odds["odds_method"].where(enough, rare)
    frame["p"], frame["p_method"], frame["p_adj"] = test.p, test.method, test.p_adj
    known = frame["p_adj"] <= 1 - setup.stats.confidence
    roles = [known & (frame["log_odds_adj_low"] > 0), known & (frame["log_odds_adj_high"] < 0)]
    frame["role"] = np.select(roles, ["enhancer", "suppressor"], "none")
    return frame


def tables(experiment: TokenInfluenceSweep, recorder: Recorder, observed: pd.DataFrame) -> None:
    """Hand over all tokens, and those whose interval leaves 0 on either side."""
    against = f"the top {1 - experiment.high_quantile:.3g} of activations against all others"
    for name, role in (("all_tokens", None), ("enhancers", "enhancer"), ("suppressors", "suppressor")):
        rows = observed if role is None else observed[observed["role"] == role]
        rows = rows.sort_values("log_odds", ascending=role == "suppressor", na_position="last")
        says = f"One row per {experiment.unit}: log-odds of its presence in {against}" + (
            "." if role is None else "; only those whose adjusted p and simultaneous interval exclude 0."
        )
        recorder.table(Table(name, says, Evidence.OBSERVATIONAL, rows.reset_index(drop=True), _OBSERVED))


def draw(experiment: TokenInfluenceSweep, recorder: Recorder) -> None:
    """Declare the volcano of real effects, and effects against log-odds."""
    drawn = Figure.of("scatter", "influence", x="mean_delta", y="p_adj", label="token")
    says = "Each context with it minus the same context without it; up: less compatible with no effect."
    looks = {"xlabel": "change of activation", "y_is_p": True}
    recorder.figure(drawn.titled(f"The effect of setting each {experiment.unit}", says, **looks))
    both = {**ends("log_odds", "x_"), **ends("causal_ci")}
    roles = {"x": "log_odds", "y": "causal_delta", "label": "token", **both}
    drawn = Figure.of("scatter", "all_tokens", name="correlation_and_cause", **roles)
    says = (
        "Right of 0: more frequent among high activations (observational). Above 0: raises the feature when "
        "set (interventional). Points on the horizontal line are not seen to move it."
    )
    looks = {"xlabel": "log-odds at high activation", "ylabel": "effect of setting it", "hline": 0, "vline": 0}
    recorder.figure(drawn.titled("What goes together with the feature, and what moves it", says, **looks))


_COUNTED = ["support", "support_high", "support_rest", "n_present", "n_high_present"]
_LOG_ODDS_ENDS = ("log_odds_low", "log_odds_high", "log_odds_adj_low", "log_odds_adj_high")


_OBSERVED = {
    "support": "share of contexts that hold it: whose family shows this rung or a higher one",
    "support_high": "share of high contexts that hold it",
    "support_rest": "share of all other contexts that hold it",
    "log_odds": "log odds ratio of presence, high against all others, half counts added; direction as counted",
    "log_odds_low": "lower end of its interval by source build",
    "log_odds_method": MADE,
    "log_odds_adj_low": "lower end of the interval that holds for all rows together (Bonferroni); beside p_adj",
    "p": "permutation p: membership exchanged between source builds of equal size",
    "p_adj": "family-wise adjusted p (step-down maximum)",
    "role": "enhancer or suppressor where p_adj and the simultaneous interval of the log-odds exclude 0; a correlation",
    "causal_delta": "effect of really setting it, from the table influence (interventional)",
    "moves_feature": "whether that effect is beyond min_effect sd with its simultaneous interval and adjusted p",
    "causal_standing": f"what may be said of that effect: {STANDINGS}",
}


_INFLUENCE = {
    **EFFECT_COLUMNS,
    "mean_delta": "mean of f with it minus f without it, paired within contexts; a token answers for its own step",
    "step_from": "AP of the next lower rung, which the token is compared with; 0 is absent",
    "standing_at": "AP that standing speaks of: the family's own rung, or another one at which more is established",
    "standing": f"what may be said of the effect: {STANDINGS}",
    "mean_activation": "mean activation with it",
    "add_delta": "the same in contexts that lacked it (added)",
    "remove_delta": "f without it minus f with it, in contexts that held it (removed)",
}
