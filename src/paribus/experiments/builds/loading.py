"""Loads what an experiment on builds works on: the corpus, the model, in one vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paribus import seeds
from paribus.errors import DataError
from paribus.experiments.builds.setup import BuildSetup
from paribus.spec import LoadsData, fields_of
from paribus.subjects.builds.constraints import ConstraintsSpec
from paribus.subjects.builds.contexts import Corpus
from paribus.subjects.builds.models.set_model import BringsVocabulary, SetModel
from paribus.subjects.builds.slices import SliceSpec
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons


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
    if not isinstance(data, LoadsData):
        raise DataError("experiments on builds need data=builds_generated, builds_statink or builds_tokenized")
    load: Callable[..., Corpus] = data.load
    if not isinstance(model, BringsVocabulary):
        return load(None, None)
    tokens, weapons = model.vocabulary_files()
    return load(Vocabulary.read(tokens), Weapons.read(weapons, fields_of(data).get("kits")))
