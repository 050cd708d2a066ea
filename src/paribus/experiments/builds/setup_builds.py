"""What an experiment on builds works on: a corpus, a set model, a feature, edits, constraints, and measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from paribus.arrays import Floats, Ints
from paribus.errors import DataError
from paribus.experiments.base import Recorder
from paribus.experiments.builds._build_measurement import BuildMeasurement
from paribus.experiments.builds._words import counted
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.contexts import Corpus
from paribus.subjects.builds.slices import SliceSpec
from paribus.subjects.builds.states import States


@dataclass(kw_only=True)
class BuildSetup(BuildMeasurement):
    """The loaded objects of an experiment on builds; see :class:`BuildObjects` for its attributes."""

    def look_up(self, stable_tokens: Sequence[str] = ()) -> None:
        """Look up every name of the slice, the feature and the held tokens, without measuring anything.

        Raises:
            ConfigError: If one is unknown, or two held tokens need the same slot.
        """
        self.slicing.look_up(self.vocabulary, self.weapons)
        self.edits.requested(stable_tokens)
        if self.feature is not None:
            self.reader  # noqa: B018 - looks the feature up

    # The model's output -------------------------------------------------------------------------------------------

    def vectors(self, states: States) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the vectors at the site ``[m, d]`` and the logits ``[m, V]`` of states ``[m]`` (no constraints)."""
        import torch

        from paribus.subjects.builds.readers.evaluator import distinct

        source = states.source if self.model.reads_source else None
        first, inverse = distinct(states.codes, source)
        kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.evaluator.run(
            states.codes[first],
            states.source[first],
            lambda batch, x, logits: kept.__setitem__(batch.start, (x.float().cpu(), logits.float().cpu())),
        )
        parts = [kept[start] for start in sorted(kept)]
        x, logits = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        return x[inverse], logits[inverse]

    def readout(self, x: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
        """Return the logits ``[m, V]`` of vectors at the autoencoder's site ``[m, d]`` (the last layer alone)."""
        import torch

        evaluator = self.evaluator  # puts the network into its number format
        layer = self.model.network.get_submodule("output_layer")
        weight = next(layer.parameters())
        with torch.inference_mode(), evaluator.number_format():
            logits: torch.Tensor = layer(torch.as_tensor(x, dtype=weight.dtype, device=weight.device))
        return logits.float().cpu().numpy()

    # Other setups -------------------------------------------------------------------------------------------------

    def restrict(self, rows: Ints) -> BuildSetup:
        """Return the same setup on some of its contexts (places in ``contexts``), e.g. one half of the clusters."""
        other = replace(self, rows=self.chosen[rows])
        self._share(other)
        return other

    def with_activations(self, f: Floats, z: Floats) -> BuildSetup:
        """Return the same setup with other observed activations of the whole corpus ``[n]`` (shuffle nulls)."""
        other = replace(self, activations=np.stack([f, z]), rows=self.chosen)
        self._share(other, leave_out=("corpus_measured", "observed"))
        return other

    def _share(self, other: BuildSetup, leave_out: tuple[str, ...] = ()) -> None:
        """Hand over what was loaded and measured already."""
        for name in ("edits", "constraints", "reader", "evaluator", "moments", "nulls", "corpus_measured"):
            if name in self.__dict__ and name not in leave_out:
                other.__dict__[name] = self.__dict__[name]

    def describe(self, recorder: Recorder) -> None:
        """Tell the recorder what every result should carry: contexts, floor, slice and corpus warnings."""
        rate = self.floor_rate()
        recorder.diagnose(
            n_contexts_tested=len(self.contexts),
            n_contexts_skipped=self.corpus.n_illegal + self.corpus.n_empty,
            relu_floor_detected=rate > 0.5,
            relu_floor_rate=rate,
        )
        for warning in self.corpus.warnings:
            recorder.warn(warning)
        if self.corpus.n_empty:
            recorder.warn(f"left out: {counted(self.corpus.n_empty, 'context')} without any token")
        if self.corpus.bad_rows:
            recorder.warn(
                f"not readable: {counted(len(self.corpus.bad_rows), 'row')}: {'; '.join(self.corpus.bad_rows[:3])}"
            )
        if self.slicing.on_outcome:
            recorder.warn("contexts were chosen by the activation itself, which shrinks effects (slice)")


def build_setup(
    *,
    data: Any,
    model: Any,
    feature: Any = None,
    slicing: SliceSpec | None = None,
    constraints: ConstraintsSpec | None = None,
    seed: int,
    stats: Any,
    device: str = "cpu",
    dtype: str = "float32",
    batch_limit: int = 512,
) -> BuildSetup:
    """Load data and model and put the setup together.

    Args:
        data: A data spec of builds (``load(vocabulary, weapons)``), or a loaded :class:`Corpus`.
        model: A model spec (``build(tokens=, specials=, generator=)``), or a loaded :class:`SetModel`. A spec with
            ``vocabulary_files()`` brings its own vocabulary, which the data then must fit.
        feature: Spec of the feature.
        slicing: Spec of the slice.
        constraints: Spec of the constraints.
        seed: The run's seed.
        stats: Settings of the statistics.
        device: Torch device.
        dtype: Number format of forward passes.
        batch_limit: The most states in one forward pass.

    Raises:
        ConfigError, DataError, CheckpointError: If something does not exist or does not fit.
    """
    from paribus import seeds
    from paribus.subjects.builds.models.set_model import SetModel

    corpus = data if isinstance(data, Corpus) else load_corpus(data, model)
    if isinstance(model, SetModel):
        loaded = model
    else:
        specials = [weapon.special for weapon in corpus.weapons.weapons]
        generator = seeds.torch_rng(seed, "model")
        loaded = model.build(tokens=corpus.vocabulary.tokens, specials=specials, generator=generator)
    return BuildSetup(
        corpus=corpus,
        model=loaded,
        feature=feature,
        slicing=slicing or SliceSpec(),
        constraint_spec=constraints or ConstraintsSpec(),
        seed=seed,
        stats=stats,
        device=device,
        dtype=dtype,
        batch_limit=batch_limit,
    )


def load_corpus(data: Any, model: Any = None) -> Corpus:
    """Load a data spec of builds, in the vocabulary of the model where that brings one.

    Raises:
        DataError: If the data cannot be read or belongs to another vocabulary.
    """
    from paribus.subjects.builds.vocabulary import Vocabulary
    from paribus.subjects.builds.weapons import Weapons

    if not hasattr(data, "load"):
        raise DataError("experiments on builds need data=builds_generated, builds_statink or builds_tokenized")
    files = getattr(model, "vocabulary_files", None)
    found = files() if callable(files) else None
    vocabulary = Vocabulary.read(found[0]) if found else None
    weapons = Weapons.read(found[1], getattr(data, "kits", None)) if found else None
    corpus: Corpus = data.load(vocabulary, weapons)
    return corpus
