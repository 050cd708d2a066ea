"""The numbers of the experiments on a shortcut that comparisons over runs are about, by the table that holds them."""

from __future__ import annotations

from paribus.results.endpoint import CHANGE, SHARE, Companion, Endpoint

ALL = "all"
"""Name of the contents of all splits together, in the tables of the domain swap."""

ABLATION = (
    Endpoint(
        name="raw_ood_accuracy",
        label="OOD accuracy, unedited",
        table="ablation",
        value="head_acc_raw",
        low="head_acc_raw_ci_low",
        high="head_acc_raw_ci_high",
        unit="accuracy",
        zero=False,
        bounds=SHARE,
        rows={"split": "ood"},
        choices=("method",),
    ),
    Endpoint(
        name="ablation_delta_ood",
        label="change of OOD accuracy by ablation",
        table="ablation",
        value="delta",
        low="ci_low",
        high="ci_high",
        unit="change of accuracy",
        zero=True,
        bounds=CHANGE,
        rows={"split": "ood"},
        choices=("method",),
        ranking=Companion("auroc_delta", "auroc_ci_low", "auroc_ci_high"),
    ),
    Endpoint(
        name="swap_removed",
        label="share of the domain swap's effect that the eraser removes",
        table="ablation",
        value="swap_remaining",
        low="",
        high="",
        unit="share of the swap effect",
        zero=True,
        rows={"split": "id_val"},  # every split's row says what is left on the contents of swap_split
        choices=("method",),
        one_minus=True,
    ),
)
STEERING = (
    Endpoint(
        name="steering_margin_slope",
        label="margin moved per sd of steering",
        table="responses",
        value="slope_in_sd",
        low="slope_ci_low",
        high="slope_ci_high",
        unit="sd of the margin per sd of features",
        zero=False,  # every direction is turned so that the margin rises along it
        choices=("direction",),
    ),
    Endpoint(
        name="steering_area_acc",
        label="area between the steering curve and its value at α = 0",
        table="responses",
        value="accuracy_area",
        low="accuracy_area_ci_low",
        high="accuracy_area_ci_high",
        unit="accuracy",
        zero=False,  # an area is never negative
        bounds=SHARE,
        choices=("direction",),
        ranking=Companion("auroc_area", "auroc_area_ci_low", "auroc_area_ci_high"),
    ),
)
"""Not ``acc(+max) - acc(-max)``, which is 0 where the curve peaks in the middle."""
SWAP = (
    Endpoint(
        name="swap_effect",
        label="margin shift by the domain swap",
        table="signed_swap",
        value="in_sd",
        low="in_sd_ci_low",
        high="in_sd_ci_high",
        unit="sd of the margin",
        zero=True,
        rows={"split": ALL},
    ),
)
"""In sd of the margin, as logits differ in scale."""
PROBES = (
    Endpoint(
        name="domain_probe_accuracy",
        label="domain probe, balanced accuracy",
        table="probes",
        value="balanced_accuracy",
        low="ci_low",
        high="ci_high",
        unit="balanced accuracy",
        zero=False,
        bounds=SHARE,
        rows={"target": "domain"},
        choices=("layer",),
    ),
)
