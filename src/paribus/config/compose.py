"""From the words of a command line to checked jobs: what they compose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.object_type import ObjectType
from omegaconf import OmegaConf, open_dict

from paribus.config import _compatibility as hydra_parts
from paribus.config.checked import Checker
from paribus.config.composed import Composed
from paribus.config.expand import expand
from paribus.config.job import Job
from paribus.config.locate import conf_dir, own_folders
from paribus.config.quoting import readable
from paribus.config.refusal import refused
from paribus.errors import ConfigError, nearest

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

CAN_BE_EMPTY = ("feature", "slice", "constraints")
"""Groups that ``GROUP=null`` leaves empty, also where an experiment chooses something for them."""

TRACKED, AS_TRAINED = "paribus.models.tracked.Tracked", "paribus.subjects.as_trained.AsTrained"
"""A model that comes with the data it was trained on, unless the words of a request name others; and those data."""


def jobs(
    overrides: Sequence[str],
    *,
    multirun: bool = False,
    config_dirs: Sequence[str | Path] = (),
    composer: Composer | None = None,
) -> list[Job]:
    """Compose and check every job of ``overrides``; nothing is run or written.

    Args:
        overrides: Words such as ``experiment=domain_swap`` or ``seed=range(3)``, in Hydra's grammar.
        multirun: Whether choices and ranges are swept over.
        config_dirs: Folders with further options, searched after the shipped ones.
        composer: An existing composer for these folders, with its cache.

    Raises:
        ConfigError: At the first invalid job; the message names the key and the valid names.

    Example:
        >>> [job.seed for job in jobs(["experiment=domain_swap", "seed=0,1,2"], multirun=True)]
        [0, 1, 2]
    """
    composer = composer or Composer(config_dirs)
    overrides = readable(overrides)
    lists = composer.expand(overrides) if multirun else [tuple(overrides)]
    made = []
    for number, words in enumerate(lists, start=1):
        try:
            made.append(composer.job(words))
        except ConfigError as error:
            if len(lists) == 1:
                raise
            shown = " ".join(word for word in words if not word.startswith(("hydra.", "hydra/")))
            raise ConfigError(f"{error} [job {number} of {len(lists)}: {shown}]") from error
    return made


@dataclass(frozen=True)
class _Base:
    """A configuration composed from groups alone, shared by all jobs that choose the same options."""

    config: DictConfig
    composed: Composed
    hydra: DictConfig
    choices: Mapping[str, str | None]


class Composer:
    """Composes jobs; each distinct choice of groups once.

    Example:
        >>> Composer().node("tracking", ["tracking.experiment=mine"]).experiment
        'mine'
    """

    def __init__(self, config_dirs: Sequence[str | Path] = ()) -> None:
        """Look at the shipped configuration and at ``config_dirs``.

        Raises:
            ConfigError: If a folder is not there.
        """
        self._loader = hydra_parts.Loader(conf_dir(), own_folders(config_dirs))
        self._checker = Checker(self.options, tuple(str(folder) for folder in config_dirs))
        self._parsed: dict[str, Override] = {}
        self._bases: dict[tuple[str, ...], _Base] = {}
        self._sweepers: dict[tuple[str, ...], DictConfig] = {}
        self._repositories: dict[tuple[str, ...], Any] = {}
        self._is_group: dict[tuple[str, tuple[str, ...]], bool] = {}

    def expand(self, overrides: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the words of every job of a sweep; words about Hydra itself are kept in each.

        Raises:
            ConfigError: If a word cannot be read, or the sweeper is not one whose jobs can be listed.
        """
        parsed = [self._parse(text) for text in overrides]
        own = [override for override in parsed if override.is_hydra_override()]
        for override in own:
            if override.is_sweep_override():
                raise ConfigError(f"{override.input_line}: Hydra's own settings cannot be swept over")
        hydra_words = tuple(str(override.input_line) for override in own)
        plain = [override for override in parsed if not override.is_sweep_override()]
        choices = [each for each in plain if not each.is_hydra_override() and self._chooses(each, hydra_words)]
        if any(override.is_sweep_override() and self._is_of_a_group(override, hydra_words) for override in parsed):
            plain = [
                *own,
                *(each for each in choices if each.package is None),
            ]  # what is set may come with what is swept
        words = tuple(str(override.input_line) for override in plain)
        if words not in self._sweepers:
            with refused(self, overrides):
                self._sweepers[words] = self._loader.compose(words, multirun=True).hydra.sweeper
        sweeper = self._sweepers[words]
        if sweeper.get("_target_") not in hydra_parts.KNOWN_SWEEPERS:
            raise ConfigError(
                f"hydra/sweeper: {sweeper.get('_target_')} decides on its jobs as it goes, so they cannot be checked "
                "beforehand; use hydra/sweeper=basic"
            )
        params = [self._parse(f"{key}={value}") for key, value in (sweeper.get("params") or {}).items()]
        swept = [override for override in parsed if not override.is_hydra_override()]
        return [(*words, *hydra_words) for words in expand([*params, *swept])]

    def job(self, overrides: Sequence[str]) -> Job:
        """Compose, check and build one job.

        Raises:
            ConfigError: If anything in it is wrong.
        """
        base, values = self._base(overrides)
        with refused(self, overrides, base.config), hydra_parts.hydra_node(base.hydra):
            tree = base.composed.with_values(values)
        return self._checker.job(tuple(overrides), base.choices, tree, self._named(overrides, _hydra_words(overrides)))

    def choices(self, overrides: Sequence[str]) -> Mapping[str, str | None]:
        """Return the option that the words choose in each group, by themselves or by what they choose."""
        return self._base(overrides)[0].choices

    def plain(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Return what the words compose as plain data, unchecked, with ``???`` where a value is still needed."""
        base, values = self._base(overrides)
        with refused(self, overrides, base.config), hydra_parts.hydra_node(base.hydra):
            return base.composed.with_values(values, missing=True)

    def from_config(
        self,
        config: DictConfig,
        overrides: Sequence[str],
        choices: Mapping[str, Any],
        hydra_overrides: Sequence[str] = (),
    ) -> Job:
        """Return the job of a configuration that Hydra itself composed, checked in the same way.

        Hydra knows nothing of data that come with a trained model, so such a job is composed anew.

        Args:
            config: The configuration without Hydra's own part.
            overrides: The words of the job.
            choices: The option chosen in each group.
            hydra_overrides: The words about Hydra itself, which may add folders of options.
        """
        named = self._named(overrides, tuple(hydra_overrides))
        if _target(config, "data") == AS_TRAINED or (_target(config, "model") == TRACKED and "data" not in named):
            made = self.job((*overrides, *hydra_overrides))
            return replace(made, overrides=(*overrides, *_searchpath(hydra_overrides)))
        with refused(self, overrides, config):
            tree = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        words = (*overrides, *_searchpath(hydra_overrides))  # what finds the options belongs to the words of the job
        return self._checker.job(words, _own(choices), tree, named)

    def node(self, group: str, overrides: Sequence[str]) -> Any:
        """Compose and build the node of one group alone; no experiment need be chosen.

        Raises:
            ConfigError: If anything in it is wrong.
        """
        words = [str(self._parse(text).input_line) for text in overrides]
        with refused(self, words):
            whole = self._loader.compose(words, multirun=True)
            found = OmegaConf.to_container(whole[group], resolve=True) if whole.get(group) is not None else None
        return self._checker.node(group, found)

    def hydra(self, overrides: Sequence[str]) -> DictConfig:
        """Return the composed configuration that holds Hydra's own settings (``.hydra``) for ``overrides``."""
        return self._base(overrides)[0].hydra

    def options(self, group: str, hydra_overrides: Sequence[str] = ()) -> list[str]:
        """Return the names of the options of a group, the user's included."""
        found: list[str] = self._repository(_searchpath(hydra_overrides)).get_group_options(group)
        return sorted(found)

    def groups(self) -> list[str]:
        """Return the names of all groups, Hydra's own left out."""
        found: list[str] = self._repository(()).get_group_options("", results_filter=ObjectType.GROUP)
        return sorted(name for name in found if name != "hydra")

    def _named(self, overrides: Sequence[str], hydra_words: tuple[str, ...]) -> frozenset[str]:
        """Return the groups whose option the words name."""
        parsed = [self._parse(text) for text in overrides]
        return frozenset(
            str(override.key_or_group)
            for override in parsed
            if not override.is_hydra_override() and override.package is None and self._chooses(override, hydra_words)
        )

    def _parse(self, text: str) -> Override:
        if text not in self._parsed:
            with refused(self, [text]):
                override = self._loader.parse(text)
            if override.is_delete():
                raise ConfigError(f"{text}: nothing can be taken out of a configuration; set a value instead")
            self._parsed[text] = override
        return self._parsed[text]

    def _repository(self, key: tuple[str, ...]) -> Any:
        if key not in self._repositories:
            with refused(self, key):
                self._repositories[key] = self._loader.repository(key)
        return self._repositories[key]

    def _chooses(self, override: Override, hydra_words: Sequence[str]) -> bool:
        """Return whether an override chooses the option of a group, rather than setting a value."""
        if not override.key_or_group:
            raise ConfigError(f"{override.input_line}: there is no key before the '='")
        value = override.value()
        if isinstance(value, dict) or not self._is_of_a_group(override, hydra_words):
            return False
        if value is None and override.key_or_group in CAN_BE_EMPTY:
            return True
        if not isinstance(value, str) or not value:
            raise ConfigError(
                f"{override.input_line}: {override.key_or_group} wants the name of one option; "
                f"{nearest(str(value), self.options(override.key_or_group, hydra_words))}"
            )
        return True

    def _is_of_a_group(self, override: Override, hydra_words: Sequence[str]) -> bool:
        """Return whether the key of an override is the name of a group."""
        searchpath = _searchpath(hydra_words)
        known = (override.key_or_group, searchpath)
        if known not in self._is_group:
            self._is_group[known] = self._repository(searchpath).group_exists(override.key_or_group)
        return self._is_group[known]

    def split(self, overrides: Sequence[str]) -> tuple[list[Override], list[Override], tuple[str, ...]]:
        """Return the words that choose options, those that set values, and those about Hydra itself.

        Raises:
            ConfigError: If a word cannot be read, or asks for several jobs.
        """
        parsed = [self._parse(text) for text in overrides]
        hydra_words = tuple(str(p.input_line) for p in parsed if p.is_hydra_override())
        groups: list[Override] = []
        values: list[Override] = []
        for override in parsed:
            if override.is_hydra_override():
                continue
            if override.is_sweep_override():
                raise ConfigError(
                    f"{override.input_line}: asks for several jobs; add -m to sweep over the values, "
                    f"or write {override.key_or_group}=[...] for a list"
                )
            (groups if self._chooses(override, hydra_words) else values).append(override)
        return groups, values, hydra_words

    def _base(self, overrides: Sequence[str]) -> tuple[_Base, list[Override]]:
        """Return the composition of the group choices in ``overrides``, and the value overrides that remain."""
        groups, values, hydra_words = self.split(overrides)
        words = (*(str(g.input_line) for g in groups), *hydra_words)
        if words not in self._bases:
            self._bases[words] = self._compose(words)
            self._refuse_study_with_other_experiment(groups, words)
        base = self._bases[words]
        if _target(base.config, "model") == TRACKED and not any(_names(g, "data") for g in groups):
            words = (*words, "data=as_trained")  # a default, a study or an experiment names no data for it
            if words not in self._bases:
                self._bases[words] = self._compose(words)
            base = self._bases[words]
        if _target(base.config, "data") == AS_TRAINED:
            values = [self._onto_own_data(value) for value in values]
        return base, values

    def _onto_own_data(self, value: Override) -> Override:
        """Return a word that sets a value of ``data`` as one that sets it over the data of the trained model."""
        key = str(value.key_or_group)
        if not key.startswith("data.") or key == "data.changes" or key.startswith("data.changes."):
            return value
        said = str(value.input_line).lstrip("+").removeprefix("data.")
        return self._parse(f"++data.changes.{said}")

    def _compose(self, words: tuple[str, ...]) -> _Base:
        with refused(self, words):
            whole = self._loader.compose(words)
        choices = _own(whole.hydra.runtime.choices)
        own = hydra_parts.copied(whole)
        with open_dict(own):
            del own["hydra"]
        return _Base(own, Composed(own), whole, choices)

    def _refuse_study_with_other_experiment(self, groups: list[Override], words: tuple[str, ...]) -> None:
        base = self._bases[words]
        named = [g for g in groups if g.key_or_group == "experiment" and g.package is None]
        if base.choices.get("study") is None or not named:
            return
        without = tuple(w for w in words if w not in {g.input_line for g in named})
        with refused(self, without):  # in this mode a missing experiment is no error
            whole = self._loader.compose(without, multirun=True)
        own = whole.hydra.runtime.choices.get("experiment")
        if own not in (None, base.choices["experiment"]):
            del self._bases[words]
            raise ConfigError(
                f"study={base.choices['study']} runs experiment={own} and cannot be joined with "
                f"{named[-1].input_line}; leave one of the two out"
            )


def _target(config: Any, group: str) -> Any:
    """Return what a group of a composed configuration is an instance of, None where it is empty."""
    node = config.get(group)
    return node.get("_target_") if hasattr(node, "get") else None


def _names(override: Override, group: str) -> bool:
    return bool(override.key_or_group == group and override.package is None)


def _hydra_words(overrides: Sequence[str]) -> tuple[str, ...]:
    """Return the words about Hydra itself."""
    return tuple(word for word in overrides if word.lstrip("+").startswith(("hydra.", "hydra/")))


def _searchpath(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words that change where options are looked for."""
    return tuple(word for word in words if word.lstrip("+").startswith("hydra.searchpath="))


def _own(choices: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the choices of all groups but Hydra's own."""
    return {str(key): value for key, value in choices.items() if not str(key).startswith("hydra/")}
