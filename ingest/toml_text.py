"""TOML of files that people write."""

from __future__ import annotations

import tomllib
from typing import Any


def toml_of(text: str) -> dict[str, Any]:
    """The document of a text, a byte order mark before it or not. Raises TOMLDecodeError, also
    where the parser would run out of stack: some hundred brackets within each other."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise tomllib.TOMLDecodeError("nested too deeply") from None
