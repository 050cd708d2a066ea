"""The weight of each position where a subject pools the positions of a value into one vector."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from paribus.engine.given import Given
from paribus.engine.sites import Site
from paribus.measure.subject import Subject


def counted(subject: Subject, value: Tensor, passed: Given, site: Site, network: nn.Module) -> Tensor:
    """Return the weight of each position of a raw value in the vector of its row ``[n, positions]``; they sum to 1.

    The subject is asked for the vector of values that are 1 at one position and 0 elsewhere, so that padding and
    attention sinks count as they do wherever the subject pools. Images have one position per pixel, all alike.

    Args:
        subject: Pools positions.
        value: Raw value at the site.
        passed: What the network was given for it.
        site: Where.
        network: The network.

    Example:
        >>> import numpy as np
        >>> from paribus.measure import ArraySubject, Contexts
        >>> subject = ArraySubject(Contexts(inputs=torch.zeros(2, 4, 3)))
        >>> passed = subject.inputs(subject.cells(np.arange(2)))
        >>> counted(subject, torch.zeros(2, 4, 3), passed, Site.parse("0"), nn.Sequential(nn.Identity())).shape
        torch.Size([2, 4])
    """
    n = len(value)
    if value.ndim == 2:
        return value.new_ones(n, 1)
    axis = site.channel_axis(network, value.shape)
    size = value.numel() // max(1, n * value.shape[axis])
    if value.ndim != 3:
        return value.new_full((n, size), 1.0 / size)
    ones = torch.eye(size, dtype=torch.float32, device=value.device).expand(n, size, size)
    found: Tensor = subject.vectors(ones, passed, replace(site, axis=2), network)
    return found
