"""The headline numbers of a result, with label, unit and interval."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paribus.results.schema import Result, Table

ENDS = (("_ci_low", "_ci_high"), ("_ci_adj_low", "_ci_adj_high"), ("_low", "_high"))
"""How the ends of an interval may be called after its number."""
ROUNDING = 1e-12
"""An end smaller than this fraction of the other one is 0 up to rounding."""
MOST = 6
"""Numbers that are shown first; all are in the tables."""
TESTED = ("p_adj", "ci_adj_low", "ci_adj_high")
"""Columns of a tested difference: its adjusted p, and the interval at the level that this is judged at."""
_SPLITS = {"ood": "OOD", "id_val": "in-distribution", "val": "validation-domain", "id": "in-distribution"}
_SHARE = "share"
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (r"head_(\w+?)_acc_raw", "{0} accuracy, unedited", _SHARE),
    (r"head_(\w+?)_acc_ablated", "{0} accuracy, ablated", _SHARE),
    (r"(ood|id_val|val)_delta", "change of {0} accuracy", _SHARE),
    (r"(ood|id_val|val)_auroc_delta", "change of {0} AUROC", ""),
    (r"signed_swap_effect", "margin shift to the paired class", "logit"),
    (r"signed_swap_effect_in_sd", "margin shift to the paired class", "sd"),
    (r"swap_remaining", "swap effect left", _SHARE),
    (r"margin_slope_in_sd", "margin moved per sd of steering", "sd"),
    (r"margin_shift_per_alpha", "margin moved per α", "logit"),
    (r"accuracy_area", "area under the steering curve", "accuracy"),
    (r"delta_acc", "accuracy at +max minus −max", _SHARE),
    (r"cos_head", "cosine with the head", ""),
    (r"domain_probe_balanced_accuracy", "domain probe, balanced accuracy", _SHARE),
    (r"label_probe_balanced_accuracy", "label probe, balanced accuracy", _SHARE),
    (r"domain_probe_refit_ablated", "fresh domain probe after the edit", _SHARE),
    (r"top_eigenvalue_share", "domain variance in one direction", _SHARE),
    (r"participation_ratio", "directions that carry the domain", ""),
    (r"first_k", "units that halve the domain probe", "units"),
    (r"max_effect|largest_effect", "largest effect", ""),
    (r"largest_interaction|max_interaction", "largest interaction", ""),
    (r"largest_third_difference", "largest third difference", ""),
    (r"max_([a-z]+)_effect", "largest effect of a {0}", ""),
    (r"max_log_odds", "largest log-odds", ""),
    (r"top_lift", "lift of the set that stands out most", ""),
    (r"n_established", "rows established", ""),
    (r"n_primary_drivers", "primary drivers", ""),
    (r"largest_score", "largest attention to the repeat", _SHARE),
    (r"loss_repeat", "loss on the repeat", "nats"),
    (r"split_half_r", "correlation of halves", "r"),
    (r"shuffle_null_p", "p against shuffled data", ""),
    (r"best_recall", "recall of missing tokens", _SHARE),
    (r"best_val_loss", "best validation loss", "nats"),
    (r"(?:final_)?explained_variance", "variance explained", _SHARE),
    (r"random_explained_variance", "variance explained by a random one", _SHARE),
    (r"best_val|final_val|final_val_acc", "validation accuracy", _SHARE),
    (r"best_ood", "best OOD accuracy (selected on it)", _SHARE),
    (r"(?:final_ood|ood_acc)", "OOD accuracy at the end", _SHARE),
    (r"(?:final_id_val|id_val_acc)", "in-distribution accuracy at the end", _SHARE),
    (r"(?:final_train|train_acc|final_train_acc)", "training accuracy at the end", _SHARE),
    (r"(?:final_)?train_loss", "training loss at the end", ""),
    (r"(?:final_)?val_loss", "validation loss at the end", ""),
    (r"val_acc", "validation accuracy at the end", _SHARE),
    (r"recall", "recall of missing tokens at the end", _SHARE),
    (r"weight_norm", "norm of the weights", ""),
    (r"(?:final_)?mse", "mean squared error", ""),
    (r"(?:final_)?l0", "latents that fire at once", ""),
    (r"(?:final_)?active_share", "share of latents that fire at once", _SHARE),
    (r"(?:final_)?dead_share", "latents that never fire", _SHARE),
    (r"n_silent", "latents that never fire", ""),
    (r"n_circles", "circles found", ""),
    (r"(kept|removed)_percentile", "percentile of the margin, circles {0}, among planes", ""),
    (r"matched_activation_mean", "mean correlation of matched latents", ""),
    (r"matched_decoder_mean", "mean cosine of matched decoders", ""),
    (r"matched_(activation|decoder)_established", "latents with an established match by {0}", _SHARE),
    (r"driven_(.+)", "features with an established driver, {0}", _SHARE),
    (r"auroc_area", "area under the steering curve of AUROC", ""),
    (r"slope_per_ap", "change per AP", ""),
    (r"encoder_cosine", "cosine of encoder and decoder", ""),
    (r"(kept|removed|all_kept)_accuracy", "accuracy, circles {0}", _SHARE),
    (r"accuracy", "accuracy", _SHARE),
    (r"mean_delta", "mean effect", ""),
)
"""Patterns of metrics, what they are called, and their unit."""


@dataclass(frozen=True)
class Estimate:
    """One number.

    Attributes:
        name: Its metric.
        label: What it is.
        value: The number.
        low: Lower end of its interval, NaN where there is none.
        high: Upper end.
        unit: Unit; empty where it has none or it is not known. A share is written in percent.
        said: What must be known about its interval, or why there is none; empty where nothing must.

    Example:
        >>> Estimate("ood_delta", "change of OOD accuracy", -0.02, -0.17, 0.12, "share").text
        '−2 %'
    """

    name: str
    label: str
    value: float
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    said: str = ""

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def text(self) -> str:
        """The number, short, with its unit."""
        return _written(self.value, self.unit)

    @property
    def interval(self) -> str:
        """Its interval, and what must be known about it; empty where there is none and nothing is said of that."""
        if not self.has_interval:
            return self.said
        size = max(abs(self.low), abs(self.high))
        low, high = (0.0 if abs(end) < ROUNDING * size else end for end in (self.low, self.high))
        return f"[{_bare(low, self.unit)}, {_bare(high, self.unit)}] {self.said}".rstrip()


def estimates(result: Result, most: int = MOST) -> list[Estimate]:
    """Return the headline numbers of a result, those with an interval first, then those that have words.

    Args:
        result: What was found.
        most: The most numbers.

    Example:
        >>> from paribus.results import Aggregates, Diagnostics, Evidence
        >>> from paribus.results.schema import Result
        >>> head = ("abc", "noise", Evidence.INTERVENTIONAL, None, "mlp", "images", Aggregates(), {}, Diagnostics())
        >>> metrics = {"n_established": 3.0, "ood_delta": -0.02, "ood_delta_ci_low": -0.17, "ood_delta_ci_high": 0.12}
        >>> [(each.label, each.text, each.interval) for each in estimates(Result(*head, metrics=metrics))]
        [('change of OOD accuracy', '−2 %', '[−17, 12]'), ('rows established', '3', '')]
    """
    compared = _differences(result.tables)
    if compared:
        return compared[:most]
    aggregates = result.aggregates
    plain = {"mean_delta": aggregates.mean_delta, **aggregates.custom, **result.metrics}
    known = {name: float(value) for name, value in plain.items() if is_number(value)}
    wanted = [name for name in result.metrics if name in known]
    wanted += [name for name in aggregates.custom if name in known and _ends_of(name, known)]
    if not any(_ends_of(name, known) for name in wanted) and "mean_delta" in known:
        wanted.append("mean_delta")
    found = [estimate_of(name, known) for name in dict.fromkeys(wanted) if not _is_end(name, known)]
    if not found:
        found = [estimate_of(name, known) for name in known if not _is_end(name, known) and _named(name)]
    by_label = {each.label: each for each in reversed(found)}  # of two that are called the same the first
    kept = [each for each in found if by_label[each.label] is each]
    return sorted(kept, key=lambda each: (not each.has_interval, _named(each.name) is None))[:most]


def _differences(tables: Mapping[str, Table]) -> list[Estimate]:
    """Return the differences that a comparison tested, with the interval of their family, the smallest p first.

    Those of an exploratory family come last: its p are adjusted in another way, and are not confirmatory.
    """
    if "tests" not in tables:
        return []
    frame = tables["tests"].frame
    group = next((name for name in ("training", "group", "arm") if name in frame), None)
    if group is None or not {"endpoint", "reference", "difference", *TESTED} <= set(frame.columns):
        return []
    found = []
    by_p = frame.sort_values("p_adj", kind="stable").to_dict("records")
    for row in sorted(by_p, key=lambda row: row.get("family") == "exploratory"):
        value = float(row["difference"])
        if math.isfinite(value):
            what = str(row.get("label") or row["endpoint"]).replace("_", " ")
            label = f"{what}: {_bracketed(row[group])} − {_bracketed(row['reference'])}"
            unit = str(row.get("unit") or "")
            found.append(Estimate(str(row["endpoint"]), label, value, *_ends(row), unit, _said(row)))
    return found


def _bracketed(group: object) -> str:
    """Return a group's name, in brackets where it is of several params."""
    return f"({group})" if ", " in str(group) else str(group)


def _ends(row: Mapping[Any, Any]) -> tuple[float, float]:
    """Return the ends of the interval that agrees with the adjusted p; where it is out of reach, of the row's own."""
    for low, high in (("ci_adj_low", "ci_adj_high"), ("ci_low", "ci_high")):
        ends = float(row.get(low, math.nan)), float(row.get(high, math.nan))
        if all(map(math.isfinite, ends)):
            return ends
    return math.nan, math.nan


def _said(row: Mapping[Any, Any]) -> str:
    """Return what the interval of a tested difference is where it is not that of the adjusted p, or why it has none."""
    if math.isfinite(float(row["ci_adj_low"])):
        return ""
    method = str(row.get("ci_method") or "")
    if math.isfinite(float(row.get("ci_low", math.nan))):
        return "not adjusted (t)" if method.endswith("_t") else "not adjusted"
    why = method.partition(": ")[2]
    return f"no interval: {why}" if why else "no interval"


def estimate_of(name: str, known: Mapping[str, float]) -> Estimate:
    """Return a number with its words and the interval that stands beside it.

    Args:
        name: The metric.
        known: All numbers by name.

    Example:
        >>> estimate_of("signed_swap_effect", {"signed_swap_effect": 1.5}).label
        'margin shift to the paired class'
    """
    label, unit = _named(name) or (name.replace("_", " "), "")
    return Estimate(name, label, known[name], *(_ends_of(name, known) or (math.nan, math.nan)), unit)


def _named(name: str) -> tuple[str, str] | None:
    for pattern, label, unit in _KNOWN:
        if (match := re.fullmatch(pattern, name)) is not None:
            groups = [_SPLITS.get(group, group.replace("_", " ")) for group in match.groups() if group]
            return label.format(*groups), unit
    return None


def _ends_of(name: str, known: Mapping[str, float]) -> tuple[float, float] | None:
    """Return the interval that stands beside a number; None where there is none."""
    for low, high in ENDS:
        if f"{name}{low}" in known and f"{name}{high}" in known:
            return known[f"{name}{low}"], known[f"{name}{high}"]
    return None


def _is_end(name: str, known: Mapping[str, float]) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in known for ends in ENDS for end in ends)


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number (a boolean is none)."""
    return type(value) is not bool and isinstance(value, numbers.Real) and math.isfinite(float(value))


def _written(value: float, unit: str) -> str:
    return f"{_bare(value, unit)} %" if unit == _SHARE else f"{_bare(value, unit)} {unit}".rstrip()


def _bare(value: float, unit: str) -> str:
    if unit == _SHARE:
        return _short(100 * value, 0 if abs(value) >= 0.02 else 1)
    return _short(value, None)


def _short(value: float, decimals: int | None) -> str:
    text = f"{value:.{decimals}f}" if decimals is not None else f"{value:.3g}"
    if decimals and "." in text:
        text = text.rstrip("0").rstrip(".")
    return ("0" if text == "-0" else text).replace("-", "−")
