"""A network from which features are read: with the names of its outputs and its autoencoders."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paribus import digests
from paribus.arrays import Ints
from paribus.engine.short_names import place as one_place
from paribus.engine.sites import Site
from paribus.errors import CheckpointError, ConfigError, DataError, nearest
from paribus.features.columns import Directions, Latents, Logits, Units
from paribus.features.reader import Reader
from paribus.measure.executor import Executor
from paribus.models.autoencoders import load_sae, says_positions, stated_hook
from paribus.models.lens_hooks import place_of_hook
from paribus.models.nets.sae import SparseAutoencoder
from paribus.spec import path_of

log = logging.getLogger("paribus")

ONE_WITHIN = 0.01
"""How far from 1 the norm of a decoder column may be without a word."""
N_RANDOM = 400
"""Random directions that the null of a direction is drawn from."""


class Outputs:
    """The outputs of a network that features can be about.

    Attributes:
        names: Their names.
        columns: Where each is in the network's output ``[k]``.

    Example:
        >>> outputs = Outputs(("cat", "dog"))
        >>> outputs.find("dog"), outputs.find("0")
        (1, 0)
    """

    def __init__(self, names: Sequence[str], columns: Ints | None = None) -> None:
        """Name outputs; by default all, in their order."""
        self.names = tuple(names)
        self.columns = np.arange(len(self.names)) if columns is None else columns

    def find(self, name: str) -> int:
        """Return the place of an output, given by its name or its number.

        Raises:
            ConfigError: If there is none.
        """
        if name in self.names:
            return self.names.index(name)
        if name.isdecimal() and int(name) < len(self.names):
            return int(name)
        raise ConfigError(f"no output {name!r}; {nearest(name, self.names, show=20)}")


class Readable:
    """One network, ready to be read at any place.

    Attributes:
        executor: Runs it.
        autoencoders: Its sparse autoencoders, by the site each reads.
        latent_names: Names of the features of the only autoencoder, where they have any.
        usual_site: Site of an autoencoder whose place is not stated; empty where it must be stated.
        name: What to call the network.

    Example:
        >>> from torch import nn
        >>> from paribus.measure import ArraySubject, Contexts
        >>> executor = Executor(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), ArraySubject(Contexts(torch.zeros(4, 2))))
        >>> network = Readable(executor)
        >>> network.width("0"), network.unit(1, "0").name, network.logit("2").name
        (3, 'unit 1 at 0', 'logit 2')
    """

    def __init__(
        self,
        executor: Executor,
        *,
        outputs: Outputs | None = None,
        autoencoders: Mapping[str, SparseAutoencoder] | None = None,
        latent_names: tuple[str, ...] = (),
        usual_site: str = "",
        name: str = "model",
    ) -> None:
        """Bring the autoencoders to the device and number format of the network."""
        self.executor, self.name, self.usual_site = executor, name, usual_site
        self.latent_names = latent_names
        self.autoencoders = {site: self._beside(sae) for site, sae in (autoencoders or {}).items()}
        self._outputs = outputs

    def _beside(self, sae: SparseAutoencoder) -> SparseAutoencoder:
        return sae.to(device=self.executor.device, dtype=self.executor.plain).eval()

    @property
    def outputs(self) -> Outputs:
        """The outputs that features can be about; numbered where nobody names them."""
        if self._outputs is None:
            self._outputs = Outputs([str(one) for one in range(self.executor.width(""))])
        return self._outputs

    def width(self, site: str) -> int:
        """Return the number of units at a site.

        Raises:
            ConfigError: If the network has no such site, or its value holds no units.
        """
        return self.executor.width(site)

    # Features -----------------------------------------------------------------------------------------------------

    def unit(self, unit: int, site: str) -> Reader:
        """Return the reader of one unit at a site.

        Raises:
            ConfigError: If there is no such site, or not so many units.
        """
        site = one_place(site, self.executor.network)
        width = self.width(site)
        if unit >= width:
            raise ConfigError(f"feature.id={unit}: {site} has {width} units, numbered 0 to {width - 1}")
        return Reader(f"unit {unit} at {site}", Units(width), unit, site)

    def direction(self, vector: Tensor, site: str, generator: torch.Generator, name: str = "direction") -> Reader:
        """Return the reader of the projection on ``vector [d]`` at a site, among random (isotropic) directions.

        Raises:
            ConfigError: If the vector is not as wide as the site, not finite, or zero.
        """
        site = one_place(site, self.executor.network)
        width = self.width(site)
        if tuple(vector.shape) != (width,):
            raise ConfigError(f"feature=direction: {site} is {width} wide, the vector has shape {tuple(vector.shape)}")
        if not torch.isfinite(vector).all() or vector.norm() == 0:
            raise ConfigError("feature=direction: the vector must be finite and not zero")
        drawn = torch.randn(N_RANDOM, width, generator=generator)
        return Reader(name, Directions.of(torch.cat([vector[None], drawn])), 0, site)

    def latent(
        self, latent: int, *, site: str | None = None, path: str | None = None, clamp: float | None = None
    ) -> Reader:
        """Return the reader of one latent of an autoencoder: the network's own, or that of a file.

        Args:
            latent: Its id.
            site: Where the autoencoder reads; None: where the only one does, or the usual place.
            path: File or folder of the autoencoder; None: the network's own.
            clamp: Upper bound of its activations, where a file says none.

        Raises:
            ConfigError: If there is no such autoencoder, or it has not so many latents.
            CheckpointError: If the file cannot be read safely, or reads another width.
        """
        where, sae = self.autoencoder(site) if path is None else self._from_file(path, site, clamp)
        if latent >= sae.n_features:
            last = sae.n_features - 1
            raise ConfigError(f"feature.id={latent}: the autoencoder has {last + 1} features, numbered 0 to {last}")
        named = path is None and latent < len(self.latent_names)
        name = self.latent_names[latent] if named else f"latent {latent}"
        return Reader(name, Latents(sae), latent, where, latent=latent, by_position=sae.by_position)

    def logit(self, output: str, *, probability: bool = False) -> Reader:
        """Return the reader of one output; with ``probability`` its sigmoid is the activation.

        Raises:
            ConfigError: If there is no such output.
        """
        row = self.outputs.find(output)
        columns = Logits(torch.as_tensor(self.outputs.columns), probability=probability)
        return Reader(f"logit {self.outputs.names[row]}", columns, row)

    def margin(self, output: str) -> Reader:
        """Return the reader of one output minus the mean of all others.

        Raises:
            ConfigError: If there is no such output.
        """
        row = self.outputs.find(output)
        columns = Logits(torch.as_tensor(self.outputs.columns), against_others=True)
        return Reader(f"margin {self.outputs.names[row]}", columns, row)

    # What features need -------------------------------------------------------------------------------------------

    def autoencoder(self, site: str | None = None) -> tuple[str, SparseAutoencoder]:
        """Return an autoencoder of the network and the site it reads; without ``site`` the only one there is.

        Raises:
            ConfigError: If there is none, or several and it is not said which.
        """
        if not self.autoencoders:
            raise ConfigError(
                f"model {self.name} has no sparse autoencoder, so feature=latent cannot be read; "
                "give model.sae or feature.path, or use feature=unit, direction, logit or margin"
            )
        if site is None and len(self.autoencoders) > 1:
            raise ConfigError(f"feature.site: say which autoencoder is meant: {', '.join(self.autoencoders)}")
        where = next(iter(self.autoencoders)) if site is None else self.own_site(site)
        if where is None:
            raise ConfigError(
                f"feature.site={site}: no autoencoder reads there; {nearest(str(site), self.autoencoders)}"
            )
        return where, self.autoencoders[where]

    def own_site(self, site: str) -> str | None:
        """Return the site of the network's own autoencoder at a place, as it is kept; None where none reads there.

        The place may be said in other words: ``layer2`` is ``layer2.output``.

        Raises:
            ConfigError: If the text is no place.
        """
        if site in self.autoencoders:
            return site
        return next((at for at in self.autoencoders if at and Site.parse(at) == Site.parse(site)), None)

    def _from_file(self, path: str, site: str | None, clamp: float | None) -> tuple[str, SparseAutoencoder]:
        where = self._site_of(path, site)
        width = self.width(where)
        sae = load_sae(path, clamp=clamp, width=width)
        if sae.width != width:
            raise CheckpointError(f"feature.path={path}: reads vectors of {sae.width}, {where} gives {width}")
        norms = sae.decoder.weight.detach().norm(dim=0)
        if sae.unit_norm and float((norms - 1).abs().max()) > ONE_WITHIN:
            log.warning(
                "autoencoder %s: decoder columns have norms from %.3g to %.3g; those of a state dict count with norm 1 "
                "(those of a SAELens folder as they are)",
                *(path, float(norms.min()), float(norms.max())),
            )
        if not (sae.by_position or says_positions(path)) and self._positions(where) > 1:
            log.warning(
                "autoencoder %s does not say whether it was trained on single positions of %s: its latents are read of "
                "the mean over positions. With settings.by_position (a tensor, true) in the state dict they are read "
                "at each position",
                *(path, where),
            )
        return where, self._beside(sae)

    def _positions(self, site: str) -> int:
        return len(self.executor.at_positions(site, np.zeros(1, np.int64)))

    def _site_of(self, path: str, site: str | None) -> str:
        """Return the site that the autoencoder of a file reads: the one named, its folder's, the only, the usual one.

        Raises:
            ConfigError: If there is none of these.
        """
        if site:
            return one_place(site, self.executor.network)
        hook = stated_hook(path)
        if hook:
            return place_of_hook(hook, self.executor.network)
        where = next(iter(self.autoencoders)) if len(self.autoencoders) == 1 else self.usual_site
        if not where:
            raise ConfigError("feature.site: name the module that the autoencoder of feature.path reads")
        return where

    def output_weights(self, output: str, site: str) -> Tensor:
        """Return the weights ``[d]`` by which a site makes an output, less their mean over all outputs.

        Raises:
            ConfigError: If there is no such output, or the site is not the input of the last layer.
        """
        row, place = self.outputs.find(output), Site.parse(site)
        weight = getattr(place.validate(self.executor.network), "weight", None)
        first = np.arange(1)
        last = place.port == "input" and isinstance(weight, Tensor) and weight.ndim == 2
        if not last or not np.array_equal(
            self.executor.vectors(f"{place.module}.output", first), self.executor.vectors("", first)
        ):
            raise ConfigError(
                f"feature.token reads output weights, so feature.site must be the input of the last layer, got {site!r}"
            )
        assert isinstance(weight, Tensor)
        return (weight[int(self.outputs.columns[row])] - weight.mean(0)).detach().float().cpu()

    def vector(self, values: Sequence[float]) -> Tensor:
        """Return a vector given by its entries."""
        return torch.tensor(values, dtype=torch.float32)

    def vector_from_file(self, path: str) -> Tensor:
        """Return the vector of a ``.npy`` file.

        Raises:
            DataError: If the file cannot be read.
        """
        try:
            return torch.as_tensor(_numbers(digests.read(path_of(path))), dtype=torch.float32)
        except (OSError, ValueError, EOFError) as error:
            said = getattr(error, "strerror", None) or error
            raise DataError(f"feature.path={path}: no readable .npy vector ({said})") from None


def _numbers(content: bytes) -> NDArray[Any]:
    """Return the vector in the content of a ``.npy`` file.

    Raises:
        ValueError: If it is none, or holds another amount of numbers than it says.
    """
    stream = io.BytesIO(content)
    read = np.lib.format.read_array_header_1_0
    if np.lib.format.read_magic(stream) != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if len(shape) != 1 or dtype.kind not in "fiu" or shape[0] * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"it says {shape} of {dtype} and holds {len(content) - stream.tell()} bytes")
    return np.frombuffer(content, dtype, offset=stream.tell()).copy()
