"""The chi-squared distribution for whole degrees of freedom, with the standard library alone."""

from __future__ import annotations

import math


def cdf(x: float, freedom: int) -> float:
    """P(chi² with `freedom` ≥ 1 degrees ≤ x); 0 for x ≤ 0.

    By P(a + 1, y) = P(a, y) − y^a e^−y / Γ(a + 1), from erf (odd) or 1 − e^−y (even): Abramowitz
    and Stegun, 6.5.21.
    """
    if x <= 0:
        return 0.0
    y = x / 2
    a = 0.5 if freedom % 2 else 1.0
    below = math.erf(math.sqrt(y)) if freedom % 2 else -math.expm1(-y)
    while a < freedom / 2:
        below -= math.exp(a * math.log(y) - y - math.lgamma(a + 1))
        a += 1
    return min(max(below, 0.0), 1.0)


def quantile_ratio(freedom: float, z: float) -> float:
    """Quantile of chi² / freedom at the normal score z (Wilson and Hilferty 1931)."""
    part = 2 / (9 * freedom)
    return max(1 - part + z * math.sqrt(part), 0.0) ** 3
