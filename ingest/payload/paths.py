"""Paths into a JSON document, as a declared mapping writes them.

`a.b[0].c`: names and places; a name with other characters is quoted, `["heart rate"]`. `[*]` is
every element of a list. A path begins at the record, `$.a` at the document, `^.a` at the object or
list element around the record, once more for each further `^`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ingest.payload.json_text import JsonObject

Step = str | int
#: Every element of a list.
ALL = "*"

_STEP = re.compile(r"""\.?([A-Za-z_][\w-]*)|\[(\d+)\]|\[(\*)\]|\[("(?:[^"\\]|\\.)*")\]""", re.ASCII)
_START = re.compile(r"(\$|\^+)(?=[.\[]|$)")
EXPECTED = 'a path like data.items[0].hr, $.device or ^.time (names of other letters: ["odd name"])'


class Nothing:
    """Where a path leads to nothing."""


NOTHING = Nothing()


class Node(NamedTuple):
    """A record: its value, where it stands, and what is around it."""

    value: object
    where: str
    around: Node | None = None


class _All(NamedTuple):
    """The step `[*]`."""


_EVERY = _All()


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. climbs: how often to go out; −1: to the document. stars: how many `[*]` it
    has; words: its steps as they are written behind a place."""

    text: str
    climbs: int
    steps: tuple[Step | _All, ...]
    stars: int = field(init=False)
    words: str = field(init=False)

    def __post_init__(self) -> None:
        stars = sum(isinstance(step, _All) for step in self.steps)
        object.__setattr__(self, "stars", stars)
        object.__setattr__(self, "words", _joined("", self.steps))

    @property
    def first(self) -> Step | None:
        """The name in the record that is read; None where it begins elsewhere."""
        first = self.steps[0] if self.steps else None
        return first if self.climbs == 0 and not isinstance(first, _All) else None

    def start(self, node: Node) -> Node:
        """Where it begins, seen from a record; the document where it climbs too far."""
        climbs = self.climbs if self.climbs >= 0 else 1 << 30
        while climbs and node.around is not None:
            node, climbs = node.around, climbs - 1
        return node

    def value(self, node: Node) -> object:
        """What stands there, NOTHING if nothing does. For a path without `[*]`."""
        value = self.start(node).value if self.climbs else node.value
        for step in self.steps:
            value = _inner(value, step)
            if value is NOTHING:
                break
        return value

    def place(self, node: Node) -> str:
        """Its place in the document, in words."""
        where = self.start(node).where if self.climbs else node.where
        return f"{where}.{self.words}" if where and self.words[:1] != "[" else where + self.words

    def nodes(self, node: Node) -> Iterator[Node]:
        """Every node that a path with `[*]` leads to, each in that of the list it is from."""
        yield from _expanded(self.start(node), self.steps)


def parse_path(text: str) -> Path:
    """Raises ValueError, saying what was expected."""
    start = _START.match(text)
    climbs = 0 if start is None else -1 if start[1] == "$" else len(start[1])
    at = 0 if start is None else start.end()
    steps: list[Step | _All] = []
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or (text[at] == "." and at == 0 and start is None):
            raise ValueError(EXPECTED)
        name, index, star, quoted = found.groups()
        if star:
            steps.append(_EVERY)
        elif index:
            steps.append(int(index))
        else:
            steps.append(name or re.sub(r"\\(.)", r"\1", quoted[1:-1]))
        at = found.end()
    if not steps and start is None:
        raise ValueError(EXPECTED)
    return Path(text, climbs, tuple(steps))


def _inner(value: object, step: Step | _All) -> object:
    if isinstance(value, dict):
        if isinstance(value, JsonObject) and step in value.twice:
            return NOTHING  # nobody knows which one is meant
        return value.get(step, NOTHING)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return NOTHING


def _expanded(node: Node, steps: Sequence[Step | _All]) -> Iterator[Node]:
    value = node.value
    for place, step in enumerate(steps):
        if step is _EVERY:
            if not isinstance(value, list):
                return
            where, rest = _joined(node.where, steps[:place]), steps[place + 1 :]
            for index, each in enumerate(value):
                inner = Node(each, f"{where}[{index}]", node)
                if rest:
                    yield from _expanded(inner, rest)
                else:
                    yield inner
            return
        value = _inner(value, step)
        if value is NOTHING:
            return
    yield Node(value, _joined(node.where, steps), node.around) if steps else node


def _joined(where: str, steps: Sequence[Step | _All]) -> str:
    for step in steps:
        if isinstance(step, int):
            where += f"[{step}]"
        elif isinstance(step, _All):
            where += "[*]"
        else:
            where += f".{step}" if where else step
    return where
