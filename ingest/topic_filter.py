"""MQTT topic filters against each other: what one takes of another's topics.

A broker may send a message once for each subscription that matches it (MQTT 3.1.1, 3.3.5), so that
where two of ours overlap each message would be received, and if it is refused counted, twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations


def apart(filters: Sequence[str]) -> tuple[str, ...]:
    """The filters without those of which another takes every topic, in order."""
    asked = dict.fromkeys(filters)
    return tuple(
        each for each in asked if not any(covers(one, each) for one in asked if one != each)
    )


def overlapping(filters: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of filters that both match some topic."""
    for one, other in combinations(filters, 2):
        if _same_space(one, other) and _meet(one.split("/"), other.split("/")):
            yield one, other


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic that `narrow` matches is matched by `wide` too."""
    if not _same_space(wide, narrow):
        return False
    outer, inner = wide.split("/"), narrow.split("/")
    for place, level in enumerate(outer):
        if level == "#":
            return True
        if place >= len(inner) or inner[place] == "#" or level not in ("+", inner[place]):
            return False
    return len(outer) == len(inner)


def _meet(one: Sequence[str], other: Sequence[str]) -> bool:
    for place in range(max(len(one), len(other))):
        levels = [levels[place] if place < len(levels) else None for levels in (one, other)]
        if "#" in levels:  # which also matches the level above it
            return True
        if None in levels or ("+" not in levels and levels[0] != levels[1]):
            return False
    return True


def _same_space(one: str, other: str) -> bool:
    """Wildcards match no topic that begins with $, and what is shared is another subscription."""
    return not one.startswith("$") and not other.startswith("$")
