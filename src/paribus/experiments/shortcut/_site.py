"""The site that ``auto`` means: the input of the last linear layer, i.e. the pooled features of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from paribus.engine.sites import Site


def resolve_site(text: str, model: nn.Module) -> Site:
    """Return the site that ``text`` names in ``model``; ``auto`` is the input of the last linear layer that is run.

    Raises:
        ConfigError: If the model has no such module, or, for ``auto``, no linear layer.
    """
    from paribus.engine.sites import Site

    site = Site(last_linear(model), "input") if text == "auto" else Site.parse(text)
    site.validate(model)
    return site


def last_linear(model: nn.Module) -> str:
    """Return the name of the last ``nn.Linear`` in the order of execution (of declaration where it cannot be traced).

    Raises:
        ConfigError: If there is none.
    """
    from torch import fx, nn

    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name}
    if not linear:
        raise ConfigError(
            f"experiment.site=auto: {type(model).__name__} has no linear layer; name a site, as in site=avgpool"
        )
    try:
        calls = [str(node.target) for node in fx.Tracer().trace(model).nodes if node.op == "call_module"]
    except Exception:  # tracing runs the model's own code on symbols: it may fail in any way
        calls = []
    run = [name for name in calls if name in linear]
    return run[-1] if run else [name for name, _ in model.named_modules() if name in linear][-1]
