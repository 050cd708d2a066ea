"""Types whose work and fields on builds are others than those on any other network."""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass
from typing import Any, ClassVar

from paribus.errors import ConfigError
from paribus.experiments.base import ANY, Experiment, Recorder
from paribus.results.schema import Aggregates


@dataclass(frozen=True)
class OnBuildsOrOthers(Experiment):
    """Base of the types that work on builds (``work``) and on any other network (``work_elsewhere``).

    Class attributes:
        of_builds: Fields that apply to builds alone.
        elsewhere: Fields that apply to other networks alone.
        on_builds: What is done on builds instead, in words.

    Example:
        >>> from paribus.experiments.train_sae import TrainSAE
        >>> TrainSAE(top_k=4).suits("builds")
        Traceback (most recent call last):
        paribus.errors.ConfigError: experiment.top_k=4: a training on builds reads the pooled vector; leave it out
    """

    subject: ClassVar[str] = "builds"
    subjects: ClassVar[tuple[str, ...]] = (ANY,)
    work_elsewhere: ClassVar[str]
    of_builds: ClassVar[tuple[str, ...]]
    elsewhere: ClassVar[tuple[str, ...]]
    on_builds: ClassVar[str]

    def suits(self, subject: str) -> None:
        """Refuse fields that are not at their default and say nothing on data of this kind.

        Raises:
            ConfigError: If one is set.
        """
        here = subject == self.subject
        names, why = (self.elsewhere, self.on_builds) if here else (self.of_builds, "belongs to builds")
        for declared in dataclasses.fields(self):
            said = getattr(self, declared.name)
            if declared.name in names and said != declared.default:
                raise ConfigError(f"experiment.{declared.name}={said}: {why}; leave it out")

    def validate(self, setup: Any) -> None:
        """Look up what the fields name.

        Raises:
            ConfigError: If something is not there, or a field is set that says nothing on these data.
        """
        self.suits(setup.subject_name)
        self.work_on(setup).validate(self, setup)

    def run(self, setup: Any, recorder: Recorder) -> Aggregates:
        """Run it, as the data allow."""
        found: Aggregates = self.work_on(setup).run(self, setup, recorder)
        return found

    def work_on(self, setup: Any) -> Any:
        """Return the module that does the work on these data."""
        return importlib.import_module(self.work if setup.subject_name == self.subject else self.work_elsewhere)
