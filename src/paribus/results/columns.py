"""Descriptions of the columns of intervals and tests, shared by the tables of all experiments."""

from __future__ import annotations

MADE = "how it was made; none: why there is none"
"""Meaning of the column that says how an interval was made."""


def interval(stem: str, of: str) -> dict[str, str]:
    """Return what the columns ``<stem>_low``, ``<stem>_high`` and ``<stem>_method`` mean.

    Args:
        stem: How their names start.
        of: The interval, such as ``its interval by source build``.

    Example:
        >>> interval("odds", "its interval by cluster")["odds_low"]
        'lower end of its interval by cluster'
    """
    return {f"{stem}_low": f"lower end of {of}", f"{stem}_high": "upper end of it", f"{stem}_method": MADE}


def bootstrapped(of: str) -> dict[str, str]:
    """Return what ``ci_low`` and ``ci_high`` mean where they are about another column than the table's effects.

    Example:
        >>> sorted(bootstrapped("mean"))
        ['ci_high', 'ci_low']
    """
    return {"ci_low": f"lower end of the cluster-bootstrap interval of {of}", "ci_high": "upper end of it"}


def tested(of: str, units: str, asks: str, together: str) -> dict[str, str]:
    """Return what the columns mean that hold the interval and the test of a mean paired difference.

    Args:
        of: The column of that difference.
        units: What signs are flipped of.
        asks: What the test asks.
        together: The rows that the simultaneous interval holds for.

    Example:
        >>> tested("mean_delta", "whole clusters", "is the effect zero?", "all rows")["p"]
        'sign-flip p of whole clusters: is the effect zero?'
    """
    return {
        "ci_low": f"lower end of the cluster-bootstrap interval of {of}",
        "ci_high": "upper end of that interval",
        "ci_adj_low": f"lower end of the interval that holds for {together}; beside p_adj",
        "ci_adj_high": "upper end of that interval",
        "ci_method": MADE,
        "p": f"sign-flip p of {units}: {asks}",
        "p_method": "exact (all sign patterns), monte_carlo, or none: why there is no test",
    }
