"""The work of setting latents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from paribus.arrays import Floats, Ints
from paribus.engine.replacements import SetFeature
from paribus.errors import ConfigError
from paribus.experiments.any._effect_map import positions_of
from paribus.experiments.any._effect_vector import at_one, vector_of
from paribus.experiments.any._effect_vector import promised as promise
from paribus.experiments.any._effects import Part, Reported, effects, summed_up
from paribus.experiments.any._figures import dose_response, forest
from paribus.experiments.any._readouts import readout_of
from paribus.experiments.any._session import At, at_checkpoints, rows_of
from paribus.experiments.any._several_nulls import hand_over, nulls_of, trended
from paribus.experiments.any.latent_intervention.activity import activity, random_latents
from paribus.experiments.any.latent_intervention.encoded_again import encoded_again
from paribus.experiments.any.latent_intervention.spec import DIRECTIONS, LIKE, RANDOM, LatentIntervention
from paribus.experiments.any.latent_intervention.target import Target, target
from paribus.experiments.base import Recorder
from paribus.experiments.effect_vector import EffectVector, Promised
from paribus.experiments.setup import NetworkSetup
from paribus.factors._latent_levels import LatentLevel, LatentLevels, Setter, Setters, in_random_directions
from paribus.features.columns import Latents
from paribus.measure.executor import Executor
from paribus.measure.place import Place
from paribus.methods.contrast import contrasted, null_to_baseline, to_baseline
from paribus.methods.sweep import Swept, slope_weights, sweep
from paribus.results.schema import NULL_BAND, Aggregates, Curve, Figure
from paribus.stats.clusters import joined
from paribus.stats.trend import PageSums

SILENT = "changes nothing here: it has this value wherever a position counts"
DOSES_DRAWN = 50
"""The most draws of the null of a dose-response."""
MOST_ENCODED = 2000
"""About how many vectors are encoded again after an edit."""
COLUMNS = {
    "latent": "number of the latent",
    "pos": "positions at which it is set; all: every one",
    "set_to": "what it is set to: 0, its mean or its largest activation on the contexts fitted on, or a stated value",
    "value": "that value, as an activation",
    "activation": "its mean activation in the contexts reported, at the positions that are set and count",
    "firing_rate": "how often it is above 0: the mean over contexts of the share of these positions",
    "change": "mean size of the change there, as an activation; set to a value between 0 and the largest there: in the "
    "vectors that are encoded again",
    "reencoded": f"its mean activation where edited vectors, about {MOST_ENCODED:,} of them, are encoded again",
    "reencoded_off_target": "changes of all other latents then (absolute, added up), over that of the latent itself",
    "others_moved": "how many other latents differ then, on average",
    "remark": f"{SILENT}, so that nothing could follow",
}
DOSES = {
    "latent": COLUMNS["latent"],
    "dose": "what it is set to, in units of its largest activation on the contexts fitted on",
    "value": COLUMNS["value"],
}
SLOPE = {
    "latent": COLUMNS["latent"],
    "trend_rho": "mean rank correlation of readout and dose over contexts",
    "trend_p": "p of Page's trend of the readout over the doses, permuted within clusters",
    "trend_p_method": "how that p was made",
}


def validate(experiment: LatentIntervention, setup: NetworkSetup) -> None:
    """Look up split, readout, autoencoder, latents and positions."""
    rows_of(experiment, setup)
    executor = setup.executor()
    readout_of(experiment, _without_target(experiment, setup), executor)
    found = target(experiment, setup, executor)
    _places(experiment, found, executor)


def run(experiment: LatentIntervention, setup: NetworkSetup, recorder: Recorder) -> Aggregates:
    """Set latents at every checkpoint; hand over ``latents``, ``nulls``, ``doses`` and ``slope``, and their figures.

    Raises:
        ConfigError: If the network has no autoencoder, or not so many latents.
        DataError: If no contexts are left to fit on or to report.
    """
    parts: list[Part] = []
    nulls: list[pd.DataFrame] = []
    doses: list[Part] = []
    slopes: list[Part] = []
    for at in at_checkpoints(experiment, _without_target(experiment, setup), recorder):
        found = target(experiment, setup, at.executor)
        measuring = _Measuring(experiment, at, found)
        for latent in found.latents:
            part, beside = measuring.levels(latent)
            parts.append(part)
            nulls += beside
            if len(experiment.doses) > 1:
                dosed, slope = measuring.doses(latent)
                doses.append(dosed)
                slopes.append(slope)
    to, place = Reported.of(at, COLUMNS), str(found.place)
    frame = effects(to, parts, name="latents", what=f"One row per checkpoint, latent of {place} and value.")
    hand_over(to, nulls, "Each row", latent=COLUMNS["latent"])
    _draw(to, frame, nulls=bool(nulls))
    if doses:
        swept = effects(
            replace(to, columns=DOSES), doses, name="doses", what=f"One row per checkpoint, latent of {place} and dose."
        )
        says = "The least-squares slope over the doses in each context, one row per checkpoint and latent."
        effects(replace(to, columns=SLOPE), slopes, name="slope", what=says, divergence=None)
        _draw_doses(to, swept)
    return summed_up(to, frame, place=place, latents=sorted(set(frame["latent"])))


def effect_vector(experiment: LatentIntervention, setup: NetworkSetup, recorder: Recorder) -> EffectVector:
    """Return the effect of every value of every latent; doses and slope hold the same settings again."""
    at = at_one(experiment, _without_target(experiment, setup), recorder)
    found = target(experiment, setup, at.executor)
    measuring = _Measuring(experiment, at, found)
    swept = [measuring.swept(latent) for latent in found.latents]
    labels = [label for factor, _ in swept for label in factor.labels[1:]]
    return vector_of(at, labels, joined([each.sums for _, each in swept]))


def promised(experiment: LatentIntervention, setup: NetworkSetup) -> Promised:
    """Return what is known of that vector beforehand."""
    executor = setup.executor()
    found = target(experiment, setup, executor)
    n = len(found.latents) * len(_places(experiment, found, executor))
    n_values = len(experiment.set_to) + len(experiment.values)
    return promise(experiment, _without_target(experiment, setup), n * n_values)


def _without_target(experiment: LatentIntervention, setup: NetworkSetup) -> NetworkSetup:
    """Return the setup without its feature, where that is what is set: it is no readout then.

    Raises:
        ConfigError: If it is asked for as readout all the same.
    """
    if experiment.latents:
        return setup
    if experiment.readout == "feature":
        raise ConfigError("experiment.readout=feature: it is what is set; name the latents in experiment.latents")
    return replace(setup, feature=None)


def _places(experiment: LatentIntervention, found: Target, executor: Executor) -> tuple[Place, ...]:
    """Return the places that are edited, one after the other.

    Raises:
        ConfigError: If positions are named where there are none, or more than there are.
    """
    sizes: list[tuple[int, int]] = []
    first = executor.subject.cells(np.arange(1))
    executor.visit_positions(first, str(found.place.site), lambda _, h, __: sizes.append((h.shape[1], h.ndim)))
    size, named_positions = sizes[0][0], found.place.positions
    if named_positions is not None and not all(-size <= one < size for one in named_positions):
        raise ConfigError(f"experiment.place: {found.place.site} has {size} positions, got {list(named_positions)}")
    if not experiment.each_position:
        return (found.place,)
    if size < 2:
        raise ConfigError(f"experiment.each_position: {found.place.site} has one vector per context, no positions")
    if found.place.named is not None:
        raise ConfigError("experiment.each_position: name positions by number, or all of them")
    there = [one for one in named_positions or range(size) if not executor.subject.refused_position(one)]
    return tuple(replace(found.place, positions=(one,)) for one in there)


class _Measuring:
    """Latents at one checkpoint."""

    def __init__(self, experiment: LatentIntervention, at: At, found: Target) -> None:
        self.experiment, self.at, self.found = experiment, at, found
        self.setup, self.recorder, self.rows = at.setup, at.recorder, at.rows
        self.sae = found.columns.sae
        self.places = _places(experiment, found, at.executor)
        rng = at.setup.rng
        with torch.inference_mode():
            self.fit = activity(self.sae, at.executor, found.place, at.rows.fit, rng("latent_vectors"))
            self.reported = {
                place: activity(
                    self.sae, at.executor, place, at.rows.reported, rng("latent_vectors_reported"), MOST_ENCODED
                )
                for place in self.places
            }

    # Levels -----------------------------------------------------------------------------------------------------------

    def levels(self, latent: int) -> tuple[Part, list[pd.DataFrame]]:
        """Return the rows of a latent, and its place in each null."""
        factor, found = self.swept(latent)
        labels = [self._row(latent, level) for level in factor.levels]
        part = Part.of(self.at, labels, found, found.means[1:])
        return part, list(nulls_of(self.at.epoch, factor.labels[1:], found, latent=latent))

    def swept(self, latent: int) -> tuple[LatentLevels, Swept]:
        """Return a latent's values at every place, and what they do."""
        levels = tuple(
            LatentLevel(name, value, place, self._label(latent, name, place))
            for place in self.places
            for name, value in self._values(latent)
        )
        factor = self._factor(latent, levels)
        stream, n_permutations = f"latent_intervention {latent}", self.setup.stats.n_permutations
        return factor, self.at.ask(sweep, factor, stream=stream, n_permutations=n_permutations)

    def _values(self, latent: int) -> list[tuple[str, float]]:
        known = {"zero": 0.0, "mean": float(self.fit.mean[latent]), "max": float(self.fit.top[latent])}
        stated = [(f"{value:g}", float(value)) for value in self.experiment.values]
        return [*((name, known[name]) for name in self.experiment.set_to), *stated]

    def _label(self, latent: int, name: str, place: Place) -> str:
        return f"latent {latent} to {name}" + (f" at {positions_of(place)}" if place.at_some else "")

    def _factor(self, latent: int, levels: tuple[LatentLevel, ...]) -> LatentLevels:
        columns = self.found.columns
        further: dict[str, Setters] = {
            DIRECTIONS: lambda n, rng: in_random_directions(columns, latent, n, rng),
            RANDOM: lambda n, _: self._random(latent, n),
        }
        return LatentLevels(
            latent, columns, levels, lambda n, _: self._like(latent, n), further, f"latent {latent}", LIKE
        )

    def _like(self, latent: int, n: int) -> list[Setter]:
        """Return what sets the latents that fire about as often, each to its own mean, largest or share of that."""
        if not self.fit.rate[latent] > 0:
            return []
        others = self.fit.like(latent)[:n]
        return [
            self._alike(self.found.columns, int(one), float(self.fit.mean[one]), float(self.fit.top[one]), latent)
            for one in others
        ]

    def _random(self, latent: int, n: int) -> list[Setter]:
        rate = float(self.fit.rate[latent])
        if not rate > 0:
            return []
        made = random_latents(self.sae, self.fit.kept, rate, n, self.setup.torch_rng(f"random latents {latent}"))
        return [self._alike(made.columns, one, float(made.mean[one]), float(made.top[one]), latent) for one in range(n)]

    def _alike(self, columns: Latents, one: int, mean: float, top: float, latent: int) -> Setter:
        own_top = float(self.fit.top[latent])

        def made(name: str, value: float) -> SetFeature:
            known = {"zero": 0.0, "mean": mean, "max": top}
            return columns.setter(one, known.get(name, value / own_top * top))

        return made

    def _row(self, latent: int, level: LatentLevel) -> dict[str, Any]:
        seen = self.reported[level.place]
        again = encoded_again(self.sae, latent, level.value, seen.kept, seen.weight)
        change = seen.change(latent, level.value)
        if change is None:
            change = again["change"]
        return {
            "level": level.label,
            "latent": latent,
            "pos": positions_of(level.place),
            "set_to": level.name,
            "value": level.value,
            "activation": float(seen.mean[latent]),
            "firing_rate": float(seen.rate[latent]),
            **again,
            "change": change,
            "remark": SILENT if change == 0 else "",
        }

    # Doses ------------------------------------------------------------------------------------------------------------

    def doses(self, latent: int) -> tuple[Part, Part]:
        """Return the rows of the doses of a latent, set wherever the place says, and its slope over them."""
        doses = sorted(self.experiment.doses)
        top = float(self.fit.top[latent])
        levels = tuple(
            LatentLevel(f"{dose:g} of its largest", dose * top, self.found.place, f"latent {latent} at {dose:g}")
            for dose in doses
        )
        factor = self._factor(latent, levels)
        slope = slope_weights(doses)  # over the doses alone, without the baseline
        assert slope is not None
        weights = np.concatenate([to_baseline(len(doses) + 1), np.pad(slope, ((0, 0), (1, 0)))])
        trend = PageSums(self.at.executor.subject.cluster, np.array(doses)) if len(doses) > 2 and top > 0 else None

        def visit(columns: Ints, values: Floats) -> None:
            if trend is not None:
                trend.add(values[1:].T, columns)

        rng = self.setup.rng(f"latent_doses {latent}")
        to = self.at.reading()
        found = contrasted(to, factor.design(), weights, rng, visit=visit)
        n = min(self.setup.stats.n_null, DOSES_DRAWN)
        design = factor.null_design(n, rng) if n else None
        null = None if design is None else null_to_baseline(to, design, len(doses), LIKE, rng)
        every = np.arange(len(weights))
        labels = [
            {"level": level.label, "latent": latent, "dose": dose, "value": level.value}
            for level, dose in zip(levels, doses, strict=True)
        ]
        dosed = Part(self.at.epoch, labels, found.sums.rows(every[:-1]), found.means[1:], null)
        made = None if trend is None else trend.trend(rng=rng, n_permutations=self.setup.stats.n_permutations)
        untold = {"trend_rho": np.nan, "trend_p": np.nan, "trend_p_method": "none: fewer than three doses"}
        told = untold if made is None else trended(made, complete=self.rows.complete)
        row = {"level": f"latent {latent}", "latent": latent, **told}
        return dosed, Part(self.at.epoch, [row], found.sums.rows(every[-1:]))


def _draw(to: Reported, frame: pd.DataFrame, *, nulls: bool) -> None:
    says, table = f"Grey: 2.5 to 97.5 % of {LIKE}, set alike.", "latents"
    forest(to, frame, table, "Effect of setting a latent", says, table=table, null_label="like latents")
    if not nulls:
        return
    drawn = Figure.of("forest", "nulls", label="level", value="mean_delta", panel="null", **NULL_BAND)
    caption = "Points: the effect. Grey: 2.5 to 97.5 % of the null of each panel. They answer different questions."
    looks = {"xlabel": f"change of {to.kind}", "reference": 0, "null_label": "null", "max_rows": 30}
    to.recorder.figure(drawn.titled("The same effects beside three nulls", caption, **looks))


def _draw_doses(to: Reported, frame: pd.DataFrame) -> None:
    last = frame[frame["epoch"] == frame["epoch"].max()]
    several = last["latent"].nunique() > 1
    looks: dict[str, Any] = {"xlabel": "set to, in its largest activation", "null_label": "like latents"}
    if several:
        names = {str(latent): f"latent {latent}" for latent in last["latent"].unique()}
        looks |= {"group": "latent", "names": names}
    says = f"Grey: 2.5 to 97.5 % of {LIKE}, set alike. Against the latent as it is."
    dose_response(to, frame, "Dose-response of a latent", says, table="doses", **looks)
    for latent, rows in last.groupby("latent"):
        name = f"effect_latent_{latent}" if several else "effect"
        to.recorder.curve(Curve.of(name, rows.sort_values("dose"), "dose", "mean_delta"))
