"""Places: a site of a network and a part of it (channels, heads, positions)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from paribus.arrays import Ints
from paribus.engine.intervention import Intervention
from paribus.engine.parts import Within
from paribus.engine.sites import Site
from paribus.errors import ConfigError, nearest

_PARTS = ("head", "channel", "pos")
_NAME = r"[A-Za-z_][\w.]*"
_HEADS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "nhead")


@dataclass(frozen=True)
class Place:
    """A site and the part of its value that is read or edited.

    Written ``blocks.2``, ``blocks.2[channel=3]`` or ``blocks.2.attn.out.input[head=6, pos=-1]``; several numbers are
    joined by ``+``, a range is ``3..7``. In a shell ``|`` needs no quoting inside Hydra's grammar:
    ``blocks.2|head:6|pos:-1``. Positions that the data name are written ``blocks.2@subject``.

    Attributes:
        site: Where.
        channels: Channel numbers; None for all.
        heads: Numbers of attention heads, ranges of channels of equal size; None for all.
        positions: Positions, negative ones from the end; None for all.
        named: Name of positions, where each context has its own; None where numbers say which.
        table: Where the named ones are in each context ``[n_contexts, w]``, once it is bound to contexts.

    Example:
        >>> place = Place.parse("attn.out.input[head=6, pos=-1]")
        >>> place.heads, place.positions, str(place)
        ((6,), (-1,), 'attn.out.input[head=6, pos=-1]')
        >>> Place.parse("attn.out.input|head:1..3@subject").heads, str(Place.parse("blocks.2[pos=@end]"))
        ((1, 2, 3), 'blocks.2.output@end')
    """

    site: Site
    channels: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    positions: tuple[int, ...] | None = None
    named: str | None = None
    table: Ints | None = field(default=None, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read a place from text.

        Raises:
            ConfigError: If it is no place.
        """
        before, named = _without_name(text)
        found = re.fullmatch(r"\s*([^\[\]|]+?)\s*(?:\[([^\[\]]*)\]|((?:\|[^\[\]|]+)*))\s*", before)
        if not found:
            raise ConfigError(f"place {text!r}: write a module's name and parts of it, e.g. blocks.2[head=3, pos=-1]")
        site, inside, bars = found.groups()
        pieces = inside.split(",") if inside else [one for one in (bars or "").split("|") if one]
        parts: dict[str, tuple[int, ...]] = {}
        for piece in pieces:
            name, _, numbers = (one.strip() for one in piece.replace(":", "=").partition("="))
            if name not in _PARTS:
                raise ConfigError(f"place {text!r}: no such part {name!r}; {nearest(name, _PARTS)}")
            if name == "pos" and re.fullmatch(f"@{_NAME}", numbers) and named is None:
                named = numbers[1:]
                continue
            try:
                parts[name] = tuple(number for piece in numbers.split("+") for number in _range(piece))
            except ValueError:
                raise ConfigError(
                    f"place {text!r}: {name} takes whole numbers, several joined by +, a range as 3..7"
                    + (", or a name after @" if name == "pos" else "")
                ) from None
        if "head" in parts and "channel" in parts:
            raise ConfigError(f"place {text!r}: give heads or channels, not both")
        if named is not None and "pos" in parts:
            raise ConfigError(f"place {text!r}: give positions by number or by name, not both")
        return cls(Site.parse(site), parts.get("channel"), parts.get("head"), parts.get("pos"), named)

    def __str__(self) -> str:
        """Return the text :meth:`parse` reads back."""
        named = (("channel", self.channels), ("head", self.heads), ("pos", self.positions))
        parts = [f"{name}={'+'.join(map(str, numbers))}" for name, numbers in named if numbers is not None]
        at = "" if self.named is None else f"@{self.named}"
        return str(self.site) + (f"[{', '.join(parts)}]" if parts else "") + at

    @property
    def is_whole(self) -> bool:
        """Whether the whole value is meant."""
        return self.channels is None and self.heads is None and not self.at_some

    @property
    def at_some(self) -> bool:
        """Whether only some of the positions are meant."""
        return self.positions is not None or self.named is not None

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
        return replace(self, channels=channels, heads=None)

    def on(self, positions: Mapping[str, Ints], what: str) -> Place:
        """Return the same place with its named positions looked up.

        Args:
            positions: Where each name is in each context ``[n_contexts, w]``.
            what: What the contexts are called.

        Raises:
            ConfigError: If the contexts have no positions of this name.
        """
        if self.named is None:
            return self
        if self.named not in positions:
            known = nearest(self.named, positions) if positions else "they name none"
            raise ConfigError(f"place {self}: these {what} have no position named {self.named!r}; {known}")
        return replace(self, table=positions[self.named])

    def within(self, edit: Intervention, columns: Ints) -> Intervention:
        """Return ``edit``, made for contexts ``columns``, kept to this (bound) part of the site's value."""
        if self.is_whole:
            return edit
        channels = None if self.channels is None else torch.tensor(self.channels)
        positions = None if self.positions is None else torch.tensor(self.positions)
        if self.named is not None:
            positions = torch.from_numpy(self._looked_up(columns))
        return Within(edit, channels=channels, positions=positions)

    def part(self, h: Tensor, columns: Ints) -> Tensor:
        """Return the (bound) part ``[n, k, *positions]`` of values ``[n, d, *positions]`` of contexts ``columns``."""
        if self.channels is not None:
            h = h[:, list(self.channels)]
        if not self.at_some or h.ndim == 2:
            return h
        flat = h.flatten(2)
        if self.named is not None:
            index = torch.from_numpy(self._looked_up(columns)).to(h.device)
            return flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1))
        return flat[:, :, list(self.positions or ())]

    def _looked_up(self, columns: Ints) -> Ints:
        if self.table is None:
            raise ConfigError(f"place {self}: its named positions are not bound to contexts yet")
        return self.table[columns]


def _without_name(text: str) -> tuple[str, str | None]:
    """Return a text without the name of positions at its end, and the name (``blocks.2@-1`` names an axis)."""
    found = re.fullmatch(rf"(.*[^:=\s])@({_NAME})\s*", text)
    return (text, None) if found is None else (found.group(1), found.group(2))


def _range(text: str) -> range:
    """Return the numbers of ``7`` or ``3..7``, both ends counted."""
    first, dots, last = text.partition("..")
    low = int(first)
    found = range(low, int(last) + 1 if dots else low + 1)
    if not len(found):
        raise ValueError(text)
    return found


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
