"""What the columns of an experiment's tables mean, as text for its page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paribus.results.schema import Result

BEGIN = "<!-- The tables below are written by `python -m docs.figures` from a result. -->"
END = "<!-- End of what is written. -->"

COMMON: Mapping[str, str] = {
    "ability": "the main-only ability",
    "token": "the token: a family and its AP, or a main-only ability",
    "family": "the ability family",
    "weapon": "the weapon",
    "weapon_index": "its place in the vocabulary of weapons",
    "kind": "its class, such as brush or blaster",
    "sub": "its sub weapon",
    "special": "its special weapon",
    "label": "name of the row",
    "ci_method": "how the interval was made: bootstrap_t (6 to 199 source builds, or so uneven that they count for "
    "fewer than 100), percentile (200 and more), exact_zero (every difference is 0), or none and why",
    "p_method": "how p was made: exact, monte_carlo, or none and why",
    "method": "how the interval was made, or none and why",
    "skewed": "true where p is to be read with care: under 50 source builds, with skewed sums; prefer the interval",
    "std_error": "cluster-robust standard error of the row's effect",
    "std_delta": "sample sd over contexts of the row's effect",
    "firing_rate": "share of contexts with f > 0",
    "n": "contexts measured",
    "n_clusters": "source builds they come from",
    "n_contexts": "contexts it was found in",
    "p": "p of the row: is the effect zero?",
    "p_z": "p of the same effect on the pre-activation z",
    "p_adj": "p adjusted over the rows of the table",
    "p_adj_z": "that p adjusted over the rows of the table",
    "null_low": "2.5 % quantile of the same number for like features of this model",
    "null_median": "median of that null",
    "null_high": "97.5 % quantile of that null",
    "null_percentile": "percentile among like features of this model, 0 to 100; not a p",
    "low": "lower end of the interval",
    "high": "upper end of the interval",
    "token_a": "first member of the pair",
    "token_b": "second member of the pair",
    "token_c": "third member of the triple",
    "pair": "the pair, in words",
    "modulator": "the third thing whose presence is varied",
    "rung": "AP the family is set to",
    "support": "share of contexts that hold it",
    "n_present": "contexts that hold it",
    "n_tokens": "tokens of the family",
    "number": "number of the split or draw",
    "entry": "one number of the target's effect vector",
    "effect": "its value on all of the data",
}
"""Columns that many tables of experiments on builds share and none explains."""

IMAGES: Mapping[str, str] = {
    "epoch": "epoch of the checkpoint",
    "selected_on_ood": "whether the checkpoint was selected by its accuracy on the OOD split",
    "split": "where the images are from: id_val (domains of the training), val or ood (domains never trained on)",
    "n": "images measured",
    "n_clusters": "clusters they come from: images of one cluster are not independent",
    "std_delta": "sample sd over images of the difference",
    "std_error": "cluster-robust standard error of delta",
    "p_adj": "p adjusted over the rows of the table",
    "ci_method": "how the interval was made, or none and why",
}
"""Columns that tables of experiments on images share."""

OWN: Mapping[str, Mapping[str, str]] = {
    "probe_trajectory": {"n": "held-out images that the probe is scored on"},
    "subspace_ablation": {
        "method": "the eraser",
        "kind": "projection (orthogonal) or oblique",
        "balanced_acc_raw": "mean recall over the classes, unedited",
        "balanced_acc_ablated": "the same on edited features",
        "auroc_raw": "AUROC of the margin, unedited",
        "auroc_ablated": "the same on edited features",
        "auroc_ci_low": "lower end of the interval of `auroc_delta`",
        "auroc_ci_high": "upper end of the interval of `auroc_delta`",
        "auroc_ci_method": "how the interval of `auroc_delta` was made, or none and why",
        "domain_probe_frozen_ablated": "the same probe on edited features; at chance it shows nothing by itself",
        "domain_probe_refit_raw": "of a domain probe fitted on one half of the unedited rows and scored on the other",
        "label_probe_frozen_raw": "balanced accuracy of the training label probe, rows weighed as in fitting",
        "label_probe_frozen_ablated": "the same probe on edited features",
        "label_probe_refit_raw": "of a label probe fitted on one half of the unedited rows and scored on the other",
        "label_probe_refit_ablated": "the same on edited features",
        "swap_effect_raw": "signed effect of the domain swap on the margin, unedited; NaN where nothing can be swapped",
        "swap_effect_ablated": "the same with the subspace removed",
        "null_covariance_auroc_percentile": "percentile of auroc_delta among the draws with the features' covariance",
        "null_auroc_percentile": "percentile of auroc_delta among the same draws, 0 to 100; not a p",
    },
    "activation_steering": {
        "direction": "how the direction of the domain was found",
        "ci_method": "how the interval of head_ood_acc was made, or none and why",
        "head_id_acc": "accuracy on id_val",
        "head_id_ci_low": "lower end of the interval of `head_id_acc`",
        "head_id_ci_high": "upper end of the interval of `head_id_acc`",
        "head_id_ci_method": "how the interval of `head_id_acc` was made, or none and why",
        "head_val_ci_low": "lower end of the interval of `head_val_acc`",
        "head_val_ci_high": "upper end of the interval of `head_val_acc`",
        "head_val_ci_method": "how the interval of `head_val_acc` was made, or none and why",
        "slope_ci_low": "lower end of the interval of `slope_in_sd`",
        "slope_ci_high": "upper end of the interval of `slope_in_sd`",
        "slope_ci_method": "how the interval of `slope_in_sd` was made, or none and why",
        "head_val_acc": "accuracy on val",
        "flipped_to_negative": "share of OOD images whose prediction became another class",
        "sigma": "sd of training features along the direction, in units of the features",
        "threshold_only": "whether all margins shift alike, so that the curve is that of a moving threshold",
        "margin_sd": "sd of the unsteered OOD margins",
    },
    "neuron_ablation": {
        "k": "how many units are ablated, the first in the order",
        "head_acc_raw": "accuracy with all units",
        "auroc": "AUROC of the margin without the units",
        "label_probe_frozen": "balanced accuracy of the training label probe without the units, rows weighed as in "
        "fitting",
        "label_probe_refit": "of a label probe fitted without the units on one half of id_val, scored on the other",
        "unit": "number of the unit (channel) at the site",
        "mean_activation": "its mean over training images",
        "shortcut_rank": "its place by shortcut_score, 0 the largest",
        "label_rank": "its place by label_score, 0 the largest",
    },
    "domain_swap": {"margin_sd": "sd of the margin over contents and the styles of the training domains"},
    "binary_presence_effect": {"rung": "rung of the primary family; 0 is absent"},
    "conditional_interactions": {
        "interaction_absent_z": "interaction in the pre-activation z with the modulator absent",
        "interaction_present_z": "the same with the modulator there",
        "turns": "whether the intervals of the two interactions lie on different sides of 0",
    },
    "core_coverage_analysis": {
        "flag": "what the figure writes beside the row: tail marker, or nothing",
        "add_delta": "mean change of f in contexts that lacked it (added)",
        "remove_delta": "mean change of f in contexts that held it (removed)",
    },
    "decoder_output_analysis": {
        "mean_f_before": "mean activation before the edit",
        "mean_z_before": "its mean pre-activation",
    },
    "family_2d_heatmap": {
        "mean_preactivation": "mean pre-activation z over the contexts of the cell",
        "interaction_std_error": "cluster-robust standard error of the interaction",
    },
    "frequent_itemsets": {"n_high_present": "high contexts that hold it"},
    "kit_sweep": {
        "kit": "sub and special together",
        "group": "the sub, the special, or both",
        "shrinkage": "0 not pooled, 1 fully",
        "ratio": "pooled_mean / rest_mean",
    },
    "minimal_cores": {
        "cluster": "number of its source build",
        "n_units": "units that could be taken away",
        "n_cores": "minimal cores found in the context",
        "smallest_core": "units of the smallest of them",
    },
    "pairwise_interactions": {
        "triple": "the triple, in words",
        "ac_without_third": "interaction of the first and third where the second is absent",
        "ac_with_third": "the same where the second is there",
        "ac_turns": "whether the intervals of the two lie on different sides of 0",
        "bc_without_third": "interaction of the second and third where the first is absent",
        "bc_with_third": "the same where the first is there",
        "bc_turns": "whether the intervals of the two lie on different sides of 0",
    },
    "shuffle_null": {
        "statistic": "rms: root mean square of the entries, each in units of its own spread; max_abs: the largest size "
        "among them",
        "draw": "number of the draw",
        "rms": "root mean square of the entries in this draw, each in units of its own spread",
        "max_abs": "largest size of an entry in this draw, in units of its own spread",
    },
    "token_influence_sweep": {
        "n_high_present": "high contexts that hold it",
        "causal_p_adj": "p_adj of the token in the table influence (interventional)",
    },
}
"""Meanings by experiment type, where a table leaves one out that its name does not tell."""


def tables(result: Result) -> str:
    """Return the tables of a result with the meaning of every column, as Markdown."""
    lines: list[str] = []
    for name, table in result.tables.items():
        lines += [f"### `{name}` ({table.evidence})", "", table.description, "", "| column | meaning |", "|---|---|"]
        lines += [f"| `{column}` | {_cell(meaning)} |" for column, meaning in meanings(result, name).items()]
        lines.append("")
    return "\n".join(lines)


def meanings(result: Result, name: str) -> dict[str, str]:
    """Return the meaning of every column of a table.

    Raises:
        KeyError: If a column is explained nowhere.
    """
    table = result.tables[name]
    elsewhere = {column: text for other in result.tables.values() for column, text in other.columns.items()}
    own = OWN.get(result.experiment_type, {})
    common = IMAGES if result.subject == "images" else COMMON
    found: dict[str, str] = {}
    for column in map(str, table.frame.columns):
        meaning = table.columns.get(column) or own.get(f"{name}.{column}") or own.get(column)
        if meaning is None and column in elsewhere and column not in common:
            meaning = elsewhere[column]
        meaning = meaning or common.get(column) or _null(column) or _end(column)
        if meaning is None:
            raise KeyError(f"{result.experiment_type}: {name}.{column} is explained nowhere")
        found[column] = meaning
    return found


def _null(column: str) -> str | None:
    """Return what a column such as ``slope_null_covariance_low`` is: a quantile of a named null, or a place in it."""
    match = re.fullmatch(r"(?:(\w+)_)?null_(?:(covariance|matched)_)?(?:(\w+)_)?(low|median|high|percentile)", column)
    if match is None:
        return None
    of, kind, sub, which = match.groups()
    name = "_".join(part for part in (of, "null", kind) if part)
    what = "2.5 % quantile" if which == "low" else "97.5 % quantile" if which == "high" else "median"
    if which == "percentile":
        of_what = f" of {sub}" if sub else ""
        return f"percentile of the row's value{of_what} among the draws of `{name}`, 0 to 100; not a p"
    return f"{what} of `{name}`"


def _end(column: str) -> str | None:
    """Return what a column such as ``gap_low`` is: the end of an interval of another one, or how it was made."""
    if match := re.fullmatch(r"(?:(\w+)_)?p(?:_(\w+))?_method|(?:(\w+)_)?p_method(?:_(\w+))?", column):
        return f"how the p of `{next(each for each in match.groups() if each)}` was made, or none and why"
    if match := re.fullmatch(r"(?:(\w+)_)?p", column):
        return f"p of `{match[1]}`: is it zero?"
    ends = r"(?:ci_)?(adj_)?(low|high|method)"
    match = re.fullmatch(rf"{ends}_(\w+)|(\w+?)_{ends}", column)
    if match is None:
        return None
    adjusted, which, of = match.group(1, 2, 3) if match[3] else match.group(5, 6, 4)
    if which == "method":
        return f"how the interval of `{of}` was made, or none and why"
    together = " that holds for all rows of the table together" if adjusted else ""
    return f"{'lower' if which == 'low' else 'upper'} end of the interval of `{of}`{together}"


def filled(text: str, result: Result) -> str:
    """Return a page's text with its tables written anew.

    Raises:
        ValueError: If the page has no place for them.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"a page about {result.experiment_type} needs the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{tables(result)}\n{END}{after}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
