"""Where each key of a TOML text stands: tomllib does not say, and a refusal has to.

Only for texts that tomllib has accepted: what is no key is passed over without being judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Key = tuple[str | int, ...]

_TOKEN = re.compile(
    r'''(?P<space>[ \t\r]+|\#[^\n]*)
    |(?P<newline>\n)
    |(?P<text>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
    |(?P<mark>[\[\]{}=,.])
    |(?P<word>[^\s\[\]{}=,."'\#]+)''',
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int

    @property
    def name(self) -> str:
        return self.text[1:-1] if self.kind == "text" else self.text


def key_lines(content: str) -> Mapping[Key, int]:
    """Key (table names, key, place in a list) → its line, counted from 1. Never raises."""
    scan = _Scan(list(_tokens(content)))
    scan.document()
    return scan.lines


def _tokens(content: str) -> Iterator[_Token]:
    line, place = 1, 0
    while place < len(content):
        match = _TOKEN.match(content, place)
        if match is None:
            place += 1
            continue
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match[0], line)
        line += match[0].count("\n")
        place = match.end()


@dataclass(slots=True)
class _Scan:
    tokens: list[_Token]
    lines: dict[Key, int] = field(default_factory=dict)
    _place: int = 0
    _tables: dict[Key, int] = field(default_factory=dict)

    def document(self) -> None:
        table: Key = ()
        while (token := self._next()) is not None:
            if token.kind == "newline":
                continue
            if token.text == "[":
                table = self._header()
            else:
                self._place -= 1
                self._pair(table)

    def _header(self) -> Key:
        several = self._take("[")
        names = self._note((), "]")
        key: Key = ()
        for place, name in enumerate(names, 1):
            key = (*key, name)
            if place < len(names) and key in self._tables:
                key = (*key, self._tables[key])
        self.lines.setdefault(key, self.lines.get(names, 1))
        if several:
            self._take("]")
            self._tables[key] = self._tables.get(key, -1) + 1
            key = (*key, self._tables[key])
        return key

    def _pair(self, table: Key) -> None:
        self._value(self._note(table, "="))

    def _note(self, table: Key, end: str) -> Key:
        """Read a dotted key up to `end`; each of its parts stands where it was first named."""
        key = table
        while (token := self._next()) is not None and token.text != end:
            if token.text != ".":
                key = (*key, token.name)
                self.lines.setdefault(key, token.line)
        return key

    def _value(self, key: Key) -> None:
        token = self._next()
        if token is None:
            return
        if token.text == "{":
            self._inside("}", lambda _: self._pair(key))
        elif token.text == "[":
            self._inside("]", lambda number: self._element((*key, number)))
        else:  # a number or a date may be several tokens
            while (after := self._peek()) is not None and after.text not in ("\n", ",", "]", "}"):
                self._place += 1

    def _element(self, key: Key) -> None:
        token = self._peek()
        if token is not None:
            self.lines.setdefault(key, token.line)
        self._value(key)

    def _inside(self, end: str, each: Callable[[int], None]) -> None:
        number = 0
        while (token := self._peek()) is not None:
            if token.text == end or token.text in (",", "\n"):
                self._place += 1
                if token.text == end:
                    return
            else:
                each(number)
                number += 1

    def _next(self) -> _Token | None:
        token = self._peek()
        self._place += 1
        return token

    def _peek(self) -> _Token | None:
        return self.tokens[self._place] if self._place < len(self.tokens) else None

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token is not None and token.text == text:
            self._place += 1
            return True
        return False
