"""Places: a site of a network and what of it - channels, heads, positions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from paribus.engine.intervention import Intervention
from paribus.engine.parts import Within
from paribus.engine.sites import Site
from paribus.errors import ConfigError, nearest

_PARTS = ("head", "channel", "pos")
_HEADS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "nhead")


@dataclass(frozen=True)
class Place:
    """A site and the part of its value that is read or edited.

    Written ``blocks.2``, ``blocks.2[channel=3]`` or ``blocks.2.attn.out.input[head=6, pos=-1]``; several numbers are
    joined by ``+``. In a shell ``|`` needs no quoting inside Hydra's grammar: ``blocks.2|head:6|pos:-1``.

    Attributes:
        site: Where.
        channels: Channel numbers; None for all.
        heads: Numbers of attention heads, ranges of channels of equal size; None for all.
        positions: Positions, negative ones from the end; None for all.

    Example:
        >>> place = Place.parse("attn.out.input[head=6, pos=-1]")
        >>> place.heads, place.positions, str(place)
        ((6,), (-1,), 'attn.out.input[head=6, pos=-1]')
    """

    site: Site
    channels: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    positions: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read a place from text.

        Raises:
            ConfigError: If it is no place.
        """
        found = re.fullmatch(r"\s*([^\[\]|]+?)\s*(?:\[([^\[\]]*)\]|((?:\|[^\[\]|]+)*))\s*", text)
        if not found:
            raise ConfigError(f"place {text!r}: write a module's name and parts of it, e.g. blocks.2[head=3, pos=-1]")
        site, inside, bars = found.groups()
        pieces = inside.split(",") if inside else [one for one in (bars or "").split("|") if one]
        parts: dict[str, tuple[int, ...]] = {}
        for piece in pieces:
            name, _, numbers = piece.replace(":", "=").partition("=")
            if name.strip() not in _PARTS:
                raise ConfigError(f"place {text!r}: no such part {name.strip()!r}; {nearest(name.strip(), _PARTS)}")
            try:
                parts[name.strip()] = tuple(int(number) for number in numbers.split("+"))
            except ValueError:
                raise ConfigError(f"place {text!r}: {name.strip()} takes whole numbers, several joined by +") from None
        if "head" in parts and "channel" in parts:
            raise ConfigError(f"place {text!r}: give heads or channels, not both")
        return cls(Site.parse(site), parts.get("channel"), parts.get("head"), parts.get("pos"))

    def __str__(self) -> str:
        """Return the text :meth:`parse` reads back."""
        named = (("channel", self.channels), ("head", self.heads), ("pos", self.positions))
        parts = [f"{name}={'+'.join(map(str, numbers))}" for name, numbers in named if numbers is not None]
        return str(self.site) + (f"[{', '.join(parts)}]" if parts else "")

    @property
    def is_whole(self) -> bool:
        """Whether the whole value is meant."""
        return self.channels is None and self.heads is None and self.positions is None

    def bind(self, network: nn.Module, width: int) -> Place:
        """Return the same place with heads as channels.

        Args:
            network: The network it is a place of.
            width: Channels at the site.

        Raises:
            ConfigError: If the network has no such module, or not so many channels or heads.
        """
        self.site.validate(network)
        channels = self.channels
        if self.heads is not None:
            n_heads = heads_at(network, self.site)
            size = width // n_heads
            if max(self.heads) >= n_heads or min(self.heads) < 0:
                raise ConfigError(f"place {self}: the module has {n_heads} heads, numbered 0 to {n_heads - 1}")
            channels = tuple(head * size + one for head in self.heads for one in range(size))
        if channels is not None and not (min(channels) >= 0 and max(channels) < width):
            raise ConfigError(f"place {self}: the site has {width} channels, numbered 0 to {width - 1}")
        return Place(self.site, channels, None, self.positions)

    def within(self, edit: Intervention) -> Intervention:
        """Return ``edit`` kept to this (bound) part of the site's value."""
        if self.is_whole:
            return edit
        channels = None if self.channels is None else torch.tensor(self.channels)
        positions = None if self.positions is None else torch.tensor(self.positions)
        return Within(edit, channels=channels, positions=positions)

    def part(self, h: Tensor) -> Tensor:
        """Return the (bound) part ``[n, k, *positions]`` of a value ``[n, d, *positions]``."""
        if self.channels is not None:
            h = h[:, list(self.channels)]
        if self.positions is not None:
            h = h.flatten(2)[:, :, list(self.positions)] if h.ndim > 2 else h
        return h


def heads_at(network: nn.Module, site: Site) -> int:
    """Return how many attention heads the module of a site, or the nearest one around it, says to have.

    Raises:
        ConfigError: If none of them says so.

    Example:
        >>> net = nn.Sequential(nn.TransformerEncoderLayer(8, 2, batch_first=True))
        >>> heads_at(net, Site.parse("0.self_attn.out_proj.input"))
        2
    """
    names = site.module.split(".")
    for depth in range(len(names), -1, -1):
        module: Any = network.get_submodule(".".join(names[:depth]))
        for holder in (module, getattr(module, "config", None)):
            for name in _HEADS:
                value = getattr(holder, name, None)
                if isinstance(value, int) and value > 0:
                    return value
    raise ConfigError(
        f"site {site}: no module around it says how many heads it has ({', '.join(_HEADS)}); give channels instead"
    )
