"""Planted features whose causes are easily called something else: joint gates, rare pairs, long doses."""

from __future__ import annotations

import torch

from paribus import seeds
from paribus.models.nets.sae import identity_autoencoder
from paribus.subjects.builds.models.nets.planted import Gear, PlantedNet
from paribus.subjects.builds.models.set_model import SetModel
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

CLASS = "Charger"
"""The weapon class that opens the gates."""
WEAPONS = Weapons.default()
OF_CLASS = [weapon.name for weapon in WEAPONS.weapons if weapon.kind == CLASS]
OPENS = torch.tensor([weapon.kind == CLASS for weapon in WEAPONS.weapons])


def _open(gear):
    return OPENS[gear.weapon].float()


EXTRA = {
    # The family acts from 29 AP on, with the weapons of one class only.
    "joint_gate": lambda g: 2.0 * g.has("special_charge_up", 29) * _open(g),
    # The class alone.
    "class_gate": lambda g: 0.2 + 2.0 * _open(g),
    # Two families, and only with the weapons of the class.
    "class_and": lambda g: 2.0 * g.has("intensify_action") * g.has("quick_super_jump") * _open(g),
    # Stands in 11 of the 4,000 contexts of 2,000 builds drawn with seed 1, and only both together act.
    "rare_pair": lambda g: 2.0 * g.has("object_shredder") * g.has("intensify_action"),
    # Rises by a little with every rung, up to the highest.
    "long_dose": lambda g: 0.2 + g.ap("ink_saver_main") / 57.0,
    # Rises to 38 AP and falls a little behind it: a step down on a curve that stays high.
    "hump": lambda g: g.ap("swim_speed_up") / 19.0 - 0.6 * g.has("swim_speed_up", 51),
    # A real effect, below the least that counts beside a large one.
    "faint": lambda g: 2.0 * g.has("swim_speed_up", 12) + 0.04 * g.has("ninja_squid"),
    # Nothing up to the rung that builds usually show, a dose behind it.
    "late_dose": lambda g: torch.relu(g.ap("swim_speed_up") - 12.0) / 19.0,
    # Ninja squid comes with much swim speed and lowers it by less than that raises it.
    "backwards": lambda g: 1.0 + g.ap("swim_speed_up") / 19.0 - 0.2 * g.has("ninja_squid"),
}


class HardNet(PlantedNet):
    """The planted network with these features behind its others."""

    def __init__(self, tokens, specials, generator):
        super().__init__(tokens, specials, generator)
        self.names = (*self.names, *EXTRA)
        self.clamp = torch.cat([self.clamp, torch.full((len(EXTRA),), torch.inf)])
        layer = torch.nn.Linear(len(self.names), len(tokens))
        more = 0.1 * torch.randn(len(tokens), len(EXTRA), generator=generator)
        with torch.no_grad():
            layer.weight.copy_(torch.cat([self.output_layer.weight, more], dim=1))
            layer.bias.copy_(self.output_layer.bias)
        self.output_layer = layer

    def features(self, tokens, weapon, pad, source=None):
        known = super().features(tokens, weapon, pad, source)
        presence = torch.zeros(len(tokens), self.n_tokens + 1, dtype=torch.bool)
        presence.scatter_(1, torch.where(pad, self.n_tokens, tokens), True)
        gear = Gear(self, presence[:, : self.n_tokens], weapon.reshape(-1), torch.zeros(len(tokens)))
        return torch.cat([known, *(function(gear).to(known)[:, None] for function in EXTRA.values())], dim=1)


def hard_model() -> SetModel:
    """Return a planted model with these features among the others."""
    tokens, specials = Vocabulary.default().tokens, [weapon.special for weapon in WEAPONS.weapons]
    net = HardNet(tokens, specials, seeds.torch_rng(0, "planted")).eval()
    return SetModel(net, identity_autoencoder(len(net.names), net.clamp), net.names, reads_source=True, name="planted")


MODEL = hard_model()
