"""The options of the ``factor`` group that edit activations: the fields, without anything that needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from paribus.errors import ConfigError
from paribus.measure.binding import Binding, FactorSpec
from paribus.models.sae import read_anew, sae_files
from paribus.spec import field

if TYPE_CHECKING:
    from paribus.measure import factor

ABLATIONS = ("zero", "mean", "resample")
TARGETS = ("label", "domain")
DIRECTIONS = ("mean_difference", "probe", "between_pc", "pc", "lda", "random", "given")
ERASERS = ("mean_difference", "probe", "between_domain_pc", "inlp", "lda", "leace", "splince")
DONORS = ("other_label", "other_domain", "split", "any")


@dataclass(frozen=True)
class NetworkFactor(FactorSpec):
    """Base of the factors that edit activations at a place; the work is in the module that ``work`` names."""

    work: ClassVar[str]

    def bind(self, to: Binding) -> factor.Factor | factor.Units:
        """Look the place up and return what is varied.

        Raises:
            ConfigError: If no place is named, or it, a unit or a level does not exist.
        """
        if not to.place:
            raise ConfigError(f"experiment.place: {type(self).__name__} edits activations; say where")
        return super().bind(to)


@dataclass(frozen=True)
class Units(NetworkFactor, kind="factor/units"):
    """Channels of a place (of an image network's layer, a hidden layer, a residual stream), each a unit.

    Example:
        >>> Units(ids=[0, 3], ablation="mean").ids
        [0, 3]
    """

    work: ClassVar[str] = "paribus.factors._units"
    fitted: ClassVar[bool] = True

    ids: list[int] = field([], low=0, help="Numbers of the channels; empty: all of the place.")
    ablation: str = field(
        "mean",
        choices=ABLATIONS,
        help="What a unit that is taken away is set to: 0, its mean, another context's value.",
    )


@dataclass(frozen=True)
class Heads(NetworkFactor, kind="factor/heads"):
    """Attention heads: ranges of channels of equal size at the input of an output projection.

    Example:
        >>> Heads(ablation="zero").ids
        []
    """

    work: ClassVar[str] = "paribus.factors._units"
    fitted: ClassVar[bool] = True

    ids: list[int] = field([], low=0, help="Numbers of the heads; empty: all.")
    n_heads: int | None = field(None, low=1, help="How many the site holds; null: as the module around it says.")
    ablation: str = field("mean", choices=ABLATIONS, help="What a head that is taken away is set to.")


@dataclass(frozen=True)
class Directions(NetworkFactor, kind="factor/directions"):
    """Moves along one direction by multiples of the sd along it.

    Example:
        >>> Directions(alphas=[-1, 1]).alphas
        [-1.0, 1.0]
    """

    work: ClassVar[str] = "paribus.factors._directions"
    fitted: ClassVar[bool] = True
    signed: ClassVar[bool] = True

    method: str = field("mean_difference", choices=DIRECTIONS, help="How the direction is found.")
    target: str = field("label", choices=TARGETS, help="What it tells apart.")
    alphas: list[float] = field([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], help="How far, in sd along it; 0 is the baseline.")
    values: list[float] = field([], help="The vector itself, for method=given.")

    def __post_init__(self) -> None:
        """Take whole numbers too."""
        object.__setattr__(self, "alphas", [float(alpha) for alpha in self.alphas])
        super().__post_init__()

    def check(self) -> None:
        """Refuse levels that are none, and a vector that is missing or not asked for."""
        wanted = [alpha for alpha in self.alphas if alpha]
        if not wanted or len(set(wanted)) != len(wanted):
            raise ConfigError(f"Directions.alphas: must name at least one besides 0, each once, got {self.alphas}")
        if (self.method == "given") != bool(self.values):
            raise ConfigError("Directions.values: belongs to method=given, which needs it")


@dataclass(frozen=True)
class Erase(NetworkFactor, kind="factor/erase"):
    """Takes out what tells labels or domains apart, by each of some erasers.

    Example:
        >>> Erase(methods=["leace"]).target
        'domain'
    """

    work: ClassVar[str] = "paribus.factors._erase"
    fitted: ClassVar[bool] = True

    methods: list[str] = field(["mean_difference", "leace"], once=1, choices=ERASERS, help="The erasers, a level each.")
    target: str = field("domain", choices=TARGETS, help="What is taken out.")
    fit_balance: bool = field(True, help="Weigh domain x class cells alike when fitting.")


@dataclass(frozen=True)
class Latent(NetworkFactor, kind="factor/latent"):
    """Sets a latent of a sparse autoencoder to some values, keeping everything that the autoencoder does not explain.

    Where the site has positions it is set at every one of them. The largest activation that values are in units of is
    that at any position for an autoencoder that was trained on single ones (a SAELens folder, ``train_sae``), else that
    of the mean over positions.

    Example:
        >>> Latent(id=7, values=[0.0, 2.0]).id
        7
    """

    work: ClassVar[str] = "paribus.factors._latent"
    fitted: ClassVar[bool] = True
    signed: ClassVar[bool] = True

    id: int = field(0, low=0, help="Number of the latent.")
    site: str | None = field(None, help="Which autoencoder, by the site it reads; null: the only one there is.")
    values: list[float] = field(
        [0.0, 1.0],
        once=1,
        low=0.0,
        help="What it is set to, in units of its largest activation on the contexts fitted on.",
    )
    path: str | None = field(
        None,
        file=sae_files,
        unstated=None,
        help="State dict or SAELens folder of an autoencoder; null: the model's own.",
    )
    clamp: float | None = field(
        6.0, above=0.0, unstated=6.0, help="Upper bound of the activation of an autoencoder from a state dict."
    )

    def fingerprint(self) -> str:
        """Return how a SAELens folder is read, where that is not as it always was."""
        return read_anew(self.path, several=None if self.site is None else True)


@dataclass(frozen=True)
class Patch(NetworkFactor, kind="factor/patch"):
    """Gives a context the value that another one has at the place.

    Example:
        >>> Patch(donors="split", split="clean").donors
        'split'
    """

    work: ClassVar[str] = "paribus.factors._patch"

    donors: str = field(
        "other_label",
        choices=DONORS,
        help="Where values come from: a context at random of another label or domain, or any; split: the context at "
        "the same place of another split (clean and corrupted pairs).",
    )
    split: str | None = field(None, help="The other split, for donors=split.")

    def check(self) -> None:
        """Refuse a split that is missing or not asked for."""
        if (self.donors == "split") != (self.split is not None):
            raise ConfigError("Patch.split: belongs to donors=split, which needs it")


@dataclass(frozen=True)
class PatchAlong(Patch, kind="factor/patch_along"):
    """Gives a context what another one has along one direction of the place, and apart what is read of that direction.

    At the input of a linear map (``mlp.down_proj.input``, ``fc.input``) the part of the direction that the map reads
    and the part that it does not are patched by themselves: where the first does less than half of what the whole
    direction does, the table says ``illusion``.

    Example:
        >>> PatchAlong(along="probe").target
        'label'
    """

    work: ClassVar[str] = "paribus.factors._patch_along"
    fitted: ClassVar[bool] = True

    along: str = field("mean_difference", choices=DIRECTIONS, help="How the direction is found.")
    target: str = field("label", choices=TARGETS, help="What it tells apart.")
    values: list[float] = field([], help="The vector itself, for along=given.")

    def check(self) -> None:
        """Refuse a vector that is missing or not asked for."""
        super().check()
        if (self.along == "given") != bool(self.values):
            raise ConfigError("PatchAlong.values: belongs to along=given, which needs it")
