"""What the variables of the older format are called now, and what is done with those that have no counterpart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from paribus.errors import ConfigError
from paribus.experiments.builds.older.document import shown


@dataclass(frozen=True)
class Mapped:
    """How one old variable is mapped.

    Attributes:
        values: Variables of the experiment by name; empty where nothing corresponds to it.
        note: What the reader should know, a sentence without a full stop; None where it says the same as before.
    """

    values: Mapping[str, Any]
    note: str | None = None


Rule = Callable[[str, Any], Mapped]
"""From an old variable's name and value (never null) to what is done with it."""


def named(new: str) -> Rule:
    """Return the rule of a variable that only has another name."""
    return lambda _, value: Mapped({new: value})


def one(new: str) -> Rule:
    """Return the rule of a list of which only a single element can be taken."""

    def rule(name: str, value: Any) -> Mapped:
        if isinstance(value, list):
            if len(value) != 1:
                raise ConfigError(f"variables.{name}: takes one value a run, got {len(value)}; make a spec of each")
            value = value[0]
        return Mapped({new: value})

    return rule


def top_percent(new: str) -> Rule:
    """Return the rule of a share at the top in percent, which became a quantile."""
    return lambda name, value: Mapped({new: (100 - _percent(name, value)) / 100})


def bottom_percent(new: str) -> Rule:
    """Return the rule of a share at the bottom in percent, which became a quantile."""
    return lambda name, value: Mapped({new: _percent(name, value) / 100})


def quantile(new: str) -> Rule:
    """Return the rule of a quantile that the older command line wrote in percent and its schema as a fraction."""

    def rule(name: str, value: Any) -> Mapped:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 50 < value < 100:
            if isinstance(value, int | float) and value > 1:
                raise ConfigError(
                    f"variables.{name}: wants the quantile above which a context is high, a fraction such as 0.9 or "
                    f"a percent above 50 and below 100, got {shown(value)}"
                )
            return Mapped({new: value})
        return Mapped({new: value / 100}, f"variables.{name}: {shown(value)} is a percent, {value / 100:g} is taken")

    return rule


def at_most(new: str, most: int) -> Rule:
    """Return the rule of a count of which the experiment takes ``most`` at the most."""

    def rule(name: str, value: Any) -> Mapped:
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= most:
            return Mapped({new: value})
        return Mapped({new: most}, f"variables.{name}: at most {most} are taken, not {shown(value)}")

    return rule


def larger(new: str) -> Callable[[Mapping[str, Any]], Mapped]:
    """Return the rule of several counts that became one: the largest is taken."""

    def rule(given: Mapping[str, Any]) -> Mapped:
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"variables.{name}: wants a whole number, got {shown(value)}")
        most = max(given.values())
        differ = len(set(given.values())) > 1
        return Mapped({new: most}, f"variables.{', '.join(given)}: {most} of each are shown" if differ else None)

    return rule


def chosen(new: str, values: Mapping[bool, Any]) -> Rule:
    """Return the rule of a switch that became a choice."""

    def rule(name: str, value: Any) -> Mapped:
        if not isinstance(value, bool):
            raise ConfigError(f"variables.{name}: wants true or false, got {shown(value)}")
        return Mapped({new: values[value]})

    return rule


def always(kept: Any, reason: str) -> Rule:
    """Return the rule of a variable that only has the value ``kept`` left."""

    def rule(name: str, value: Any) -> Mapped:
        if value is not kept and (isinstance(kept, bool) or value != kept):
            raise ConfigError(f"variables.{name}: {shown(value)} is not supported: {reason}")
        return Mapped({})

    return rule


def ignored(reason: str, *, silent: Any = None) -> Rule:
    """Return the rule of a variable without counterpart: it is left out, and said so unless it is ``silent``."""

    def rule(name: str, value: Any) -> Mapped:
        if value is silent:
            return Mapped({})
        return Mapped({}, f"variables.{name}: {shown(value)} is ignored: {reason}")

    return rule


def ignored_default(default: Any, kept: Any, reason: str) -> Rule:
    """Return the rule of a variable of which only ``kept`` is left, and whose old ``default`` was written out."""
    refuses = always(kept, reason)

    def rule(name: str, value: Any) -> Mapped:
        if value == default and isinstance(value, bool) == isinstance(default, bool):
            return Mapped({}, f"variables.{name}: {shown(value)} is ignored: {reason}")
        return refuses(name, value)

    return rule


def gone(reason: str) -> Rule:
    """Return the rule of a variable that is refused whatever its value."""

    def rule(name: str, value: Any) -> Mapped:
        raise ConfigError(f"variables.{name}: is not supported: {reason}")

    return rule


def _percent(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 50:
        raise ConfigError(
            f"variables.{name}: wants a share of the contexts in percent, above 0 and at most 50, got {shown(value)}"
        )
    return float(value)


_RATIOS = "enhancers and suppressors are told by their intervals, not by a bare ratio"
MOST_CANDIDATES = 16
_METRIC = "what is validated is the effect vector of the experiment named under target"

RULES: Mapping[str, Mapping[str, Rule]] = {
    "family_1d_sweep": {"levels": named("rungs"), "ap_levels": named("rungs")},
    "family_2d_heatmap": {
        "family_a": named("family_x"),
        "family_b": named("family_y"),
        "rungs_a": named("rungs_x"),
        "rungs_b": named("rungs_y"),
        "min_samples": named("min_n"),
        # base_weapon: see variables.py, it narrows the slice
    },
    "binary_presence_effect": {
        "binary_tokens": named("abilities"),
        "binary_abilities": named("abilities"),
        "family": named("primary_family"),
        "primary_rungs": named("rungs"),
        "min_samples": ignored("effects on fewer than 30 contexts are never tested"),
        "high_percentile": ignored("the table compares the activation with the ability and without it; no high group"),
    },
    "minimal_cores": {
        "max_examples": named("max_contexts"),
        "threshold": named("retention_threshold"),
    },
    "pairwise_interactions": {
        "candidate_tokens": named("candidates"),
        "tokens": named("candidates"),
        "families": named("candidates"),
        "modulator_token": gone("a modulator belongs to type conditional_interactions"),
        "n_candidates": at_most("n_candidates", MOST_CANDIDATES),
    },
    "conditional_interactions": {
        "candidate_tokens": named("candidates"),
        "tokens": named("candidates"),
        "families": named("candidates"),
        "modulator_token": named("modulator"),
        "condition_on": named("modulator"),
        "n_candidates": at_most("n_candidates", MOST_CANDIDATES),
    },
    "within_family_interference": {"family": named("families"), "rungs": one("rung")},
    "frequent_itemsets": {
        "max_itemset_size": named("max_size"),
        "high_activation_pct": top_percent("high_quantile"),
        "collapse_families": always(False, "sets hold the highest rung shown of each family"),
        "condition_on": gone("narrow the contexts with dataset_slice.family_filter"),
    },
    "weapon_sweep": {"top_k": named("top_k_weapons"), "min_samples": named("min_examples")},
    "weapon_group_analysis": {
        "high_percentile": top_percent("high_quantile"),
        "low_percentile": bottom_percent("low_quantile"),
        "top_k": named("top_k_weapons"),
    },
    "kit_sweep": {"top_k": named("top_k_groups"), "min_samples": named("min_examples")},
    "token_influence_sweep": {
        "min_samples": named("min_count"),
        "high_percentile": quantile("high_quantile"),
        "collapse_families": chosen("unit", {True: "family", False: "token"}),
        "suppressor_threshold": ignored(_RATIOS),
        "enhancer_threshold": ignored(_RATIOS),
    },
    "core_coverage_analysis": {
        "core_lower_pct": named("core_low"),
        "core_upper_pct": named("core_high"),
        "effective_max_percentile": named("max_quantile"),
        "collapse_families": chosen("unit", {True: "family", False: "token"}),
        "tokens_to_check": named("tokens"),
        "top_k": ignored("every token is looked at, or those named"),
        "include_weapons": ignored("weapons are compared by type weapon_group_analysis", silent=False),
    },
    "decoder_output_analysis": {
        "group_by_family": always(True, "effects are always given by family too"),
        "include_ap_level": always(True, "effects are always given by rung too"),
        "exclude_special_tokens": always(True, "special tokens are no abilities"),
    },
    "split_half": {"metric": ignored_default("pagerank_correlation", "effect_vector", _METRIC)},
    "shuffle_null": {
        "metric": ignored_default("pagerank_correlation", "effect_vector", _METRIC),
        "n_splits": ignored("nothing is split; the number of permutations is n_shuffles"),
    },
}
"""Old names of variables by type; the experiment's own names are always taken."""

JOINED: Mapping[str, Mapping[tuple[str, ...], Callable[[Mapping[str, Any]], Mapped]]] = {
    "decoder_output_analysis": {("top_k_promoted", "top_k_suppressed"): larger("top_tokens")},
}
"""Old variables by type of which several became one."""
