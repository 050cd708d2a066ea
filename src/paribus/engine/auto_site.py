"""The site that ``auto`` means: the input of the last linear layer, i.e. the pooled features of a classifier."""

from __future__ import annotations

from torch import fx, nn

from paribus.engine.sites import Site
from paribus.errors import ConfigError


def resolve_site(text: str, model: nn.Module) -> Site:
    """Return the site that ``text`` names in ``model``; ``auto`` is the input of the last linear layer that is run.

    Raises:
        ConfigError: If the model has no such module, or, for ``auto``, no linear layer.

    Example:
        >>> str(resolve_site("auto", nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))))
        '2.input'
    """
    site = Site(last_linear(model), "input") if text == "auto" else Site.parse(text)
    site.validate(model)
    return site


def last_linear(model: nn.Module) -> str:
    """Return the name of the last ``nn.Linear`` in the order of execution (of declaration where it cannot be traced).

    Raises:
        ConfigError: If there is none.

    Example:
        >>> last_linear(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
        '2'
    """
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
