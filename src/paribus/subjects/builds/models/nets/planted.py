"""A set model whose pooled vector holds features that are known functions of the token set."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor, nn

from paribus import seeds
from paribus.models.nets.sae import identity_autoencoder
from paribus.subjects.builds.models.planted import Planted
from paribus.subjects.builds.models.set_model import SetModel

_MASK = (1 << 63) - 1
_MIX1, _MIX2, _GOLDEN = -4658895280553007687, -7723592293110705685, -7046029254386353131

THRESHOLD_AP = 29
CLAMPED_AT = 1.0
GATE_SPECIAL = "Zipcaster"
N_BANK = 120


class PlantedNet(nn.Module):
    """Token set, weapon and source build to logits; the input of ``output_layer`` is the vector of all features' z.

    A feature's activation is ``min(relu(z), clamp)``; only ``clamped_sum`` has a finite clamp. After the named features
    come ``N_BANK`` random ones (thresholded sums over random tokens): the population its nulls are drawn from.
    """

    clamp: Tensor
    gate: Tensor
    token_hash: Tensor
    bank: Tensor
    bank_weapon: Tensor
    bank_bias: Tensor

    def __init__(self, tokens: Sequence[str], specials: Sequence[str], generator: torch.Generator) -> None:
        """Create the network.

        Args:
            tokens: Token names by id, ``<family>_<AP>`` or a main-only family.
            specials: The special weapon of every weapon index.
            generator: Draws the random features and output weights.
        """
        super().__init__()
        self.points = {name: _points(tokens, name) for name in sorted(_families(tokens))}
        self.n_tokens = len(tokens)
        self.register_buffer("gate", torch.tensor([s == GATE_SPECIAL for s in specials]), persistent=False)
        self.register_buffer("token_hash", _random_bits(len(tokens), generator), persistent=False)
        self.names = (*PLANTED, *(f"random_{i}" for i in range(N_BANK)))
        self.register_buffer("bank", _bank(tokens, generator), persistent=False)
        taste = 0.3 * torch.randn(len(specials), N_BANK, generator=generator)
        self.register_buffer("bank_weapon", taste, persistent=False)
        self.register_buffer("bank_bias", -2.0 * torch.rand(N_BANK, generator=generator), persistent=False)
        clamp = torch.full((len(self.names),), torch.inf)
        clamp[self.names.index("clamped_sum")] = CLAMPED_AT
        self.register_buffer("clamp", clamp, persistent=False)
        self.output_layer = nn.Linear(len(self.names), len(tokens))
        with torch.no_grad():
            self.output_layer.weight.copy_(0.1 * torch.randn(len(tokens), len(self.names), generator=generator))
            self.output_layer.bias.fill_(-2.0)
            for k, name in enumerate(PLANTED):
                driven = [i for i, token in enumerate(tokens) if _family(token) in DRIVERS[name]]
                self.output_layer.weight[driven, k] += 1.0

    def forward(self, tokens: Tensor, weapon: Tensor, pad: Tensor, source: Tensor | None = None) -> Tensor:
        """Return logits ``[B, V]``.

        Args:
            tokens: Ability token ids ``[B, L]``.
            weapon: Weapon ids ``[B, 1]``.
            pad: ``[B, L]``, True at padding.
            source: Source build of each row ``[B]``, for the features that depend on it; None counts as 0.
        """
        return self.output_layer(self.features(tokens, weapon, pad, source))  # type: ignore[no-any-return]

    def features(self, tokens: Tensor, weapon: Tensor, pad: Tensor, source: Tensor | None = None) -> Tensor:
        """Return the pre-activations of all features ``[B, K]``."""
        presence = torch.zeros(len(tokens), self.n_tokens + 1, device=tokens.device, dtype=torch.bool)
        presence.scatter_(1, torch.where(pad, self.n_tokens, tokens), True)
        presence = presence[:, : self.n_tokens]
        weapon = weapon.reshape(-1)
        source = torch.zeros_like(weapon) if source is None else source.reshape(-1)
        gear = Gear(self, presence, weapon, source)
        dtype = self.output_layer.weight.dtype
        named = torch.stack([PLANTED[name](gear).to(dtype) for name in PLANTED], dim=1)
        bank = presence.to(dtype) @ self.bank.to(dtype) + self.bank_weapon[weapon] + self.bank_bias
        return torch.cat([named, bank.to(dtype)], dim=1)


class Gear:
    """What the planted functions read: AP by family, weapon, source build."""

    def __init__(self, net: PlantedNet, presence: Tensor, weapon: Tensor, source: Tensor) -> None:
        """Hold one batch: ``presence [B, V]``, ``weapon [B]``, ``source [B]``."""
        self.net, self.presence, self.weapon, self.source = net, presence, weapon, source
        self.levels = _highest(presence, list(net.points.values()))
        self._levels = dict(zip(net.points, self.levels.unbind(1), strict=True))

    def ap(self, family: str) -> Tensor:
        """Return the AP of a family's highest token ``[B]`` (main-only: 10), 0 where absent."""
        found = self._levels.get(family)
        return torch.zeros(len(self.presence), device=self.presence.device) if found is None else found

    def has(self, family: str, at_least: int = 1) -> Tensor:
        """Return 1 where a family shows a token of at least so much AP, else 0, ``[B]``."""
        return (self.ap(family) >= at_least).float()

    def gated(self) -> Tensor:
        """Return 1 where the weapon's special opens the gate, ``[B]``."""
        return self.net.gate[self.weapon].float()

    def noise(self) -> Tensor:
        """Return noise, symmetric about 0, hashed from the source build and the state, ``[B]``.

        One part depends on the whole state, the other is a sum over weapon and families present at their levels:
        contexts of one build that undergo the same edit share that part, so rows of a cluster are not independent.
        """
        state = (self.presence * self.net.token_hash).sum(1) + mix(self.weapon + 1)
        total = _symmetric(mix(mix(self.source + 11) + state))
        shared = _symmetric(mix(mix(self.source + 37) + mix(self.weapon + 7919)))
        family = 1009 * torch.arange(1, self.levels.shape[1] + 1, device=self.source.device)
        drawn = _symmetric(mix(mix(self.source + 23)[:, None] + mix(family + self.levels.long())))
        for part in (drawn * (self.levels > 0)).unbind(1):  # one after the other: a sum in one call rounds otherwise
            shared = shared + part
        return 0.5 * total + 0.4 * shared


def _highest(presence: Tensor, points: Sequence[tuple[list[int], list[float]]]) -> Tensor:
    """Return the AP of each family's highest token ``[B, families]``, 0 where absent; ``points``: its ids and their AP.

    All families at once; a shorter one is filled up with token 0, at no AP.
    """
    longest = max((len(ids) for ids, _ in points), default=0)
    if not longest:
        return torch.zeros(len(presence), len(points), device=presence.device)
    filled = [[0] * (longest - len(ids)) for ids, _ in points]
    ids = torch.tensor([[*of, *rest] for (of, _), rest in zip(points, filled, strict=True)], device=presence.device)
    ap = torch.tensor(
        [[*of, *rest] for (_, of), rest in zip(points, filled, strict=True)],
        device=presence.device,
        dtype=torch.float32,
    )
    return (presence[:, ids] * ap).amax(2)


def _xor(gear: Gear) -> Tensor:
    parity = gear.has("intensify_action") + gear.has("quick_super_jump") + gear.has("sub_power_up")
    return 2.0 * (parity % 2)


PLANTED: Mapping[str, Callable[[Gear], Tensor]] = {
    "threshold": lambda g: 2.0 * g.has("special_charge_up", THRESHOLD_AP) - 0.5,
    "dose": lambda g: g.ap("swim_speed_up") / 19.0,
    "and": lambda g: 2.0 * g.has("quick_respawn") * g.has("special_saver"),
    "or": lambda g: 2.0 * torch.maximum(g.has("ink_saver_main"), g.has("ink_saver_sub")),
    "xor": _xor,
    "relu_sum": lambda g: g.has("run_speed_up") + g.has("ink_recovery_up") - 1.0,
    "clamped_sum": lambda g: g.has("ink_resistance_up") + g.has("sub_resistance_up"),
    "suppression": lambda g: 1.0 + g.ap("special_power_up") / 57.0 - g.has("ninja_squid"),
    "weapon_gate": lambda g: 2.0 * g.gated() * g.has("swim_speed_up", 6),
    "saturating": lambda g: 3.0 * (1.0 - torch.exp(-g.ap("ink_recovery_up") / 12.0)),
    "null": lambda g: torch.full(g.weapon.shape, 0.5, device=g.weapon.device),
    "noisy": lambda g: 4.0 + g.noise(),
    "source": lambda g: 1.0 + 0.8 * _symmetric(mix(g.source + 5)),
}
"""Every named feature: its pre-activation as a function of the state."""

DRIVERS: Mapping[str, tuple[str, ...]] = {
    "threshold": ("special_charge_up",),
    "dose": ("swim_speed_up",),
    "and": ("quick_respawn", "special_saver"),
    "or": ("ink_saver_main", "ink_saver_sub"),
    "xor": ("intensify_action", "quick_super_jump", "sub_power_up"),
    "relu_sum": ("ink_recovery_up", "run_speed_up"),
    "clamped_sum": ("ink_resistance_up", "sub_resistance_up"),
    "suppression": ("ninja_squid", "special_power_up"),
    "weapon_gate": ("swim_speed_up",),
    "saturating": ("ink_recovery_up",),
    "null": (),
    "noisy": (),
    "source": (),
}
"""The families that really drive each feature; nothing else does (``weapon_gate`` also needs its weapons)."""


def mix(x: Tensor) -> Tensor:
    """Scramble 64-bit integers (the finaliser of SplitMix64, Steele et al. 2014); equal in, equal out."""
    x = x.long() + _GOLDEN
    x = (x ^ ((x >> 30) & (_MASK >> 29))) * _MIX1
    x = (x ^ ((x >> 27) & (_MASK >> 26))) * _MIX2
    return x ^ ((x >> 31) & (_MASK >> 30))


def _symmetric(bits: Tensor) -> Tensor:
    """Bits to bell-shaped numbers in (-1, 1): the mean of three centred uniforms of 20 bits each."""
    parts = [((bits >> shift) & 0xFFFFF).double() for shift in (0, 21, 42)]
    return ((parts[0] + parts[1] + parts[2] + 1.5) / 1048576.0 / 1.5 - 1.0).float()


@cache
def _family(token: str) -> str:
    match = re.fullmatch(r"(.+)_\d+", token)
    return match.group(1) if match else token


def _families(tokens: Sequence[str]) -> set[str]:
    return {_family(token) for token in tokens if not token.startswith("<")}


def _points(tokens: Sequence[str], family: str) -> tuple[list[int], list[float]]:
    found = [(i, token) for i, token in enumerate(tokens) if _family(token) == family]
    return [i for i, _ in found], [10.0 if token == family else float(token.rsplit("_", 1)[1]) for _, token in found]


def _random_bits(n: int, generator: torch.Generator) -> Tensor:
    return torch.randint(-(1 << 62), 1 << 62, (n,), generator=generator)


def _bank(tokens: Sequence[str], generator: torch.Generator) -> Tensor:
    """Weights ``[V, N_BANK]``: each column reads 4 to 40 tokens."""
    density = 0.03 + 0.27 * torch.rand(N_BANK, generator=generator)
    chosen = torch.rand(len(tokens), N_BANK, generator=generator) < density
    chosen[[i for i, token in enumerate(tokens) if token.startswith("<")]] = False
    return torch.randn(len(tokens), N_BANK, generator=generator).add(0.4) * chosen


def build(spec: Planted, tokens: Sequence[str], specials: Sequence[str]) -> SetModel:
    """Return the model of a spec."""
    net = PlantedNet(tokens, specials, seeds.torch_rng(spec.seed, "planted"))
    return SetModel(
        net.eval(),
        identity_autoencoder(len(net.names), net.clamp),
        tuple(PLANTED),
        reads_source=True,
        name="planted",
    )
