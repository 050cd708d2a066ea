"""A6: the same content in every domain's style, and what the style alone does to the prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from paribus.arrays import Floats, Ints
from paribus.errors import ConfigError
from paribus.experiments.base import Experiment, Recorder
from paribus.experiments.checkpoints import say_choice
from paribus.experiments.fitting import fitted
from paribus.experiments.requires import Requires
from paribus.experiments.shortcut._margin import margin, positive_class
from paribus.results.endpoint import Endpoint
from paribus.results.evidence import Evidence
from paribus.results.schema import Aggregates, EngineReport
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.experiments.checkpoints import Checkpoint
    from paribus.experiments.setup_images import ImageSetup
    from paribus.experiments.shortcut._domain_swap import Swap

SPLITS = ("train", "id_val", "val", "ood")
ALL = "all"
"""Name of the contents of all splits together."""
ENDPOINTS = (
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
"""What comparisons over runs read from the table ``signed_swap``: in sd of the margin, as logits differ in scale."""


@dataclass(frozen=True)
class DomainSwap(Experiment):
    """Show each held-out content, jitter unchanged, in the style of every domain and run the network."""

    type: ClassVar[str] = "domain_swap"
    evidence: ClassVar[Evidence] = Evidence.INTERVENTIONAL
    subject: ClassVar[str] = "images"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "Shows the same content in every domain's style: the true effect of the shortcut."
    declares: ClassVar[tuple[Endpoint, ...]] = ENDPOINTS
    needs: ClassVar[tuple[str, ...]] = ("data", "model", "training", "stats")
    takes_dtype: ClassVar[bool] = True
    requires: ClassVar[Requires] = Requires(rendering=True, chosen=("splits",), classes=("positive",))

    splits: list[str] = field(["id_val", "val", "ood"], choices=SPLITS, help="Splits whose contents are shown.")
    positive: int | None = field(None, low=0, help="Class that the margin leans to; null for the last one.")

    def check(self) -> None:
        """Refuse an empty or repeated list of splits."""
        if not self.splits or len(set(self.splits)) != len(self.splits):
            raise ConfigError(f"DomainSwap.splits: must name at least one, each once, got {self.splits}")

    def run(self, setup: ImageSetup, recorder: Recorder) -> Aggregates:
        """Run on every chosen checkpoint; hand over the tables ``styles`` and ``signed_swap`` and their figures.

        Raises:
            DataError: If the data set cannot show its contents in another style.
            ConfigError: If the class or the checkpoint does not exist.
        """
        from paribus.experiments.shortcut._domain_swap_report import report

        positive = positive_class(self.positive, setup.data.n_classes)
        experiment = fitted(self, setup.data.offers, recorder)
        measured = SwapMeasurements(experiment, setup, recorder, positive)
        chosen = setup.selected()
        for checkpoint in recorder.progress(chosen, total=len(chosen), description=self.type):
            measured.add(checkpoint)
        say_choice(chosen, experiment.splits, recorder)
        return report(measured, setup, recorder)


class SwapMeasurements:
    """Rows of both tables and the differences per content behind them."""

    def __init__(self, experiment: DomainSwap, setup: ImageSetup, recorder: Recorder, positive: int) -> None:
        """Render every content in every style, once for all checkpoints."""
        from paribus.experiments.shortcut._domain_swap import render

        self.setup, self.recorder, self.positive = setup, recorder, positive
        data = setup.data
        self.names = list(experiment.splits)
        rows = [data.rows(name) for name in self.names]
        self.members = {
            name: np.arange(start, start + len(part))
            for name, part, start in zip(self.names, rows, np.cumsum([0, *map(len, rows[:-1])]), strict=True)
        }
        self.rows = np.concatenate(rows)
        self.pooled_name = ALL if len(self.names) > 1 else self.names[0]
        if self.pooled_name == ALL:
            self.members[ALL] = np.arange(len(self.rows))
        swap = render(data, self.rows, range(len(data.domain_names)))
        assert swap is not None
        self.swap: Swap = swap
        self.trained = [number for number, style in enumerate(swap.styles) if style in data.train_domains]
        self.labels = data.labels[self.rows]
        self.clusters = {name: data.clusters[self.rows[members]] for name, members in self.members.items()}
        self.styles: list[dict[str, Any]] = []
        self.style_shifts: list[Floats] = []
        self.signed: list[dict[str, Any]] = []
        self.signed_shifts: list[Floats] = []
        self.signed_in_sd: list[dict[str, Any]] = []

    def add(self, checkpoint: Checkpoint) -> None:
        """Run one checkpoint on all renderings."""
        from paribus.experiments.shortcut._domain_swap import Swap, signed_shift

        logits = self._logits(checkpoint)
        margins = margin(logits, self.positive)
        right = (logits.argmax(axis=-1) == self.labels).astype(np.float64)
        predicted = logits.argmax(axis=-1)
        of_training = Swap(
            rows=self.swap.rows,
            styles=tuple(self.swap.styles[number] for number in self.trained),
            inputs=tuple(self.swap.inputs[number] for number in self.trained),
            paired_class=self.swap.paired_class,
        )
        toward = signed_shift(logits[self.trained], of_training)
        for name, members in self.members.items():
            head = {"epoch": checkpoint.epoch, "selected_on_ood": checkpoint.on_reported_split, "split": name}
            spread = float(margins[self.trained][:, members].std())
            self.signed.append({**head, "n": len(members), "margin_sd": spread})
            self.signed_shifts.append(toward[members])
            self.signed_in_sd.append(self._in_sd(toward[members], margins[self.trained][:, members], name, head))
            if name != ALL:
                self._add_styles(head, members, margins[:, members], right[:, members], predicted[:, members])

    def _in_sd(self, shifts: Floats, margins: Floats, name: str, head: dict[str, Any]) -> dict[str, Any]:
        """Return the interval of the mean shift in sd of the margin, as columns."""
        from paribus.experiments.shortcut._responses import in_sd

        rng = self.setup.rng(f"domain_swap/in_sd/{head['epoch']}/{name}")
        return in_sd(shifts, margins, self.clusters[name], spec=self.setup.stats, rng=rng).ends("in_sd")

    def _add_styles(self, head: dict[str, Any], members: Ints, margins: Floats, right: Floats, predicted: Ints) -> None:
        from paribus.stats.bootstrap import cluster_interval
        from paribus.stats.intervals import SHARE_GAP
        from paribus.stats.shares import shares

        data, stats = self.setup.data, self.setup.stats
        against = right - right[self.trained].mean(axis=0)
        rng = self.setup.rng(f"domain_swap/accuracy/{head['epoch']}/{head['split']}")
        clusters = data.clusters[self.rows[members]]
        accuracies = shares(right.T, clusters, spec=stats)
        changes = cluster_interval(against.T, clusters, spec=stats, rng=rng, bounds=SHARE_GAP)
        for number, style in enumerate(self.swap.styles):
            paired = self.swap.paired_class.get(style)
            self.styles.append(
                {
                    **head,
                    "style": data.domain_names[style],
                    "paired_class": "" if paired is None else data.class_names[paired],
                    "n": len(members),
                    "head_acc": right[number].mean(),
                    "head_acc_ci_low": accuracies.low[number],
                    "head_acc_ci_high": accuracies.high[number],
                    "head_acc_ci_method": accuracies.method[number],
                    "delta_acc": against[number].mean(),
                    "delta_acc_ci_low": changes.low[number],
                    "delta_acc_ci_high": changes.high[number],
                    "delta_acc_ci_method": changes.method[number],
                    "mean_margin": margins[number].mean(),
                    "flipped": (predicted[number] != predicted[self.trained[0]]).mean(),
                }
            )
            self.style_shifts.append(margins[number] - margins[self.trained].mean(axis=0))

    def _logits(self, checkpoint: Checkpoint) -> Floats:
        """Return outputs [styles, n, k] of one checkpoint."""
        from paribus.engine.evaluation import Engine

        model = self.setup.at(checkpoint)
        engine = Engine(
            model,
            _any_site(model),
            device=self.setup.device,
            batch_limit=self.setup.batch_limit,
            dtype=self.setup.dtype,
            cache=self.setup.cache,
            key=checkpoint.key,
        )
        outputs = np.stack([np.asarray(engine.logits(images), dtype=np.float64) for images in self.swap.inputs])
        total = outputs.shape[0] * outputs.shape[1]
        self.recorder.diagnose(engine=EngineReport(strategy="inputs", n_requested=total, n_unique=total))
        return outputs


def _any_site(model: Any) -> Any:
    """Return a site to run the model through: the usual one, or, without a linear layer, the last module."""
    from paribus.engine.auto_site import resolve_site
    from paribus.engine.sites import Site

    try:
        return resolve_site("auto", model)
    except ConfigError:
        return Site(next(reversed(dict(model.named_modules()))))
