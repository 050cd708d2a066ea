"""What the variables of the older format are called now, and what became of those that have no counterpart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from paribus.cli.legacy.document import shown
from paribus.errors import ConfigError

Rule = Callable[[str, Any], dict[str, Any]]
"""From an old variable's name and value (never null) to variables of the experiment."""


def named(new: str) -> Rule:
    """Return the rule of a variable that only has another name."""
    return lambda _, value: {new: value}


def one(new: str) -> Rule:
    """Return the rule of a list of which only a single element can be taken."""

    def rule(name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, list):
            if len(value) != 1:
                raise ConfigError(f"variables.{name}: takes one value a run, got {len(value)}; make a spec of each")
            value = value[0]
        return {new: value}

    return rule


def top_percent(new: str) -> Rule:
    """Return the rule of a share at the top in percent, which became a quantile."""
    return lambda name, value: {new: (100 - _percent(name, value)) / 100}


def bottom_percent(new: str) -> Rule:
    """Return the rule of a share at the bottom in percent, which became a quantile."""
    return lambda name, value: {new: _percent(name, value) / 100}


def chosen(new: str, values: Mapping[bool, Any]) -> Rule:
    """Return the rule of a switch that became a choice."""

    def rule(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, bool):
            raise ConfigError(f"variables.{name}: wants true or false, got {shown(value)}")
        return {new: values[value]}

    return rule


def always(kept: Any, reason: str) -> Rule:
    """Return the rule of a variable that only has the value ``kept`` left."""

    def rule(name: str, value: Any) -> dict[str, Any]:
        if value is not kept and (isinstance(kept, bool) or value != kept):
            raise ConfigError(f"variables.{name}: {shown(value)} is not supported: {reason}")
        return {}

    return rule


def gone(reason: str) -> Rule:
    """Return the rule of a variable that is refused whatever its value."""

    def rule(name: str, value: Any) -> dict[str, Any]:
        raise ConfigError(f"variables.{name}: is not supported: {reason}")

    return rule


def _percent(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 100:
        raise ConfigError(f"variables.{name}: wants a percentage above 0 and below 100, got {shown(value)}")
    return float(value)


_RATIOS = "enhancers and suppressors are told by their intervals, not by a bare ratio"
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
        "min_samples": gone("effects on fewer than 30 contexts are never tested"),
        "high_percentile": gone("enrichment is reported as an odds ratio in the table; it needs no high group"),
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
    },
    "conditional_interactions": {
        "candidate_tokens": named("candidates"),
        "tokens": named("candidates"),
        "families": named("candidates"),
        "modulator_token": named("modulator"),
        "condition_on": named("modulator"),
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
        "high_percentile": named("high_quantile"),
        "collapse_families": chosen("unit", {True: "family", False: "token"}),
        "suppressor_threshold": gone(_RATIOS),
        "enhancer_threshold": gone(_RATIOS),
    },
    "core_coverage_analysis": {
        "core_lower_pct": named("core_low"),
        "core_upper_pct": named("core_high"),
        "effective_max_percentile": named("max_quantile"),
        "collapse_families": chosen("unit", {True: "family", False: "token"}),
        "tokens_to_check": gone("every token is looked at"),
        "top_k": gone("every token is looked at"),
        "include_weapons": always(False, "weapons are compared by type weapon_group_analysis"),
    },
    "decoder_output_analysis": {
        "top_k_promoted": named("top_tokens"),
        "top_k_suppressed": named("top_tokens"),
        "group_by_family": always(True, "effects always stand by family too"),
        "include_ap_level": always(True, "effects always stand by rung too"),
        "exclude_special_tokens": always(True, "special tokens are no abilities"),
    },
    "split_half": {"metric": always("effect_vector", _METRIC)},
    "shuffle_null": {"metric": always("effect_vector", _METRIC)},
}
"""Old names of variables by type; the experiment's own names are always taken."""
