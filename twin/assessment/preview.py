"""What limits would have raised on stored estimates: quick enough for a page, so only nearly right.

The rule of `kernel.judge` (probability, inverse-time delay, the sharper limit first, hysteresis) on
estimates as they are stored, a few seconds apart. What the record of estimates does not hold is not
judged: quality, receipt, pauses, one cause for several vitals. `twin.backtest` steps the recorded
observations through the whole twin and is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from twin.assessment.limits import Rule
from twin.judgement import Priority

#: As in `kernel`, which pages must not load: P ≥ 0.8, fastest delay, s back inside that clear.
BEYOND_Z, FASTEST, CLEAR_AFTER = 0.8416212335729143, 4.0, 10.0
SIDES = ("low", "high")


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm that would have been raised. at: ns UTC; priority: the highest that it reached."""

    at: int
    signal: str
    side: str
    priority: Priority


def raised(
    signal: str,
    time: NDArray[np.int64],
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    rules: Mapping[Priority, Rule],
    apart_s: float,
) -> list[Raised]:
    """Alarms of one signal, oldest first. time (n,) ns UTC ascending; mean, std (n,) in its unit.

    Estimates further apart than apart_s have a gap between them: no delay runs there.
    """
    found = []
    for side in SIDES:
        limits = {p: float(getattr(rule, side)) for p, rule in rules.items()}
        limits = {p: limit for p, limit in limits.items() if limit == limit}
        if not limits or not len(time):
            continue
        sign = 1.0 if side == "low" else -1.0
        excess = np.array([sign * (limit - mean) for limit in limits.values()])
        if not (excess >= np.maximum(BEYOND_Z * std, 1e-12)).any():
            continue
        passed = np.minimum(np.diff(time, prepend=time[0]) / SECOND, apart_s)
        passed[np.diff(time, prepend=time[0]) > apart_s * SECOND] = 0.0
        own = [rules[p] for p in limits]
        for place, reached in _episodes(excess, std, passed, own):
            priority = Priority.MEDIUM
            if Priority.HIGH in limits and reached >> list(limits).index(Priority.HIGH) & 1:
                priority = Priority.HIGH
            found.append(Raised(int(time[place]), signal, side, priority))
    return sorted(found, key=lambda one: one.at)


def _episodes(
    excess: NDArray[np.float64],
    std: NDArray[np.float64],
    passed: NDArray[np.float64],
    rules: Sequence[Rule],
) -> list[tuple[int, int]]:
    """(place, rules reached, as bits) of each alarm; excess (rules, n), passed (n,) in s."""
    done = [0.0] * len(rules)
    outer, margin = int(np.argmax(excess[:, 0])), max(rule.hysteresis for rule in rules)
    place, reached, inside = -1, 0, 0.0
    found = []
    for i in range(excess.shape[1]):
        seconds = float(passed[i])
        for k, rule in enumerate(rules):
            done[k] = _advanced(done[k], float(excess[k, i]), float(std[i]), seconds, rule)
            if done[k] >= 1.0:
                reached |= 1 << k
        if not reached:
            continue
        place = i if place < 0 else place
        inside = inside + seconds if -excess[outer, i] >= margin else 0.0
        if inside >= CLEAR_AFTER or (seconds == 0.0 and -excess[outer, i] >= margin):
            found.append((place, reached))
            place, reached, inside, done = -1, 0, 0.0, [0.0] * len(rules)
    if reached:
        found.append((place, reached))
    return found


def _advanced(done: float, excess: float, std: float, seconds: float, rule: Rule) -> float:
    """How many delays have passed (0–1), as `kernel.advanced` has it for data to be trusted."""
    step = seconds / rule.delay_s if rule.delay_s > 0 else 1.0
    if excess > 0 and excess >= BEYOND_Z * std:
        margin = rule.hysteresis
        faster = min(max(1.0, excess / margin), FASTEST) if margin > 0 else 1.0
        return min(done + step * faster, 1.0)
    return max(done - step, 0.0) if excess <= 0 or math.isnan(std) else done
