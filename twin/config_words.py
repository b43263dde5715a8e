"""The configuration's declarations in words: what a key expects, its default, its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from twin.config import Config
from twin.toml_lines import Key

_UNITS = {
    "_s": "seconds",
    "_ms": "milliseconds",
    "_minutes": "minutes",
    "_days": "days",
    "_kilobytes": "kilobytes",
    "_megabytes": "megabytes",
}


def table_of(key: Key) -> type[BaseModel] | None:
    """The declaration of a table, () being the whole file; None: no table."""
    table: type[BaseModel] = Config
    for name in (each for each in key if isinstance(each, str)):
        field = table.model_fields.get(name)
        inner = None if field is None else as_table(field)
        if inner is None:
            return None
        table = inner
    return table


def as_table(field: FieldInfo) -> type[BaseModel] | None:
    """The table that a key is, or each of a list of tables; None if it is a value."""
    kind = _without_none(field.annotation)
    if is_list(field):
        kind = get_args(kind)[0]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def is_list(field: FieldInfo) -> bool:
    """Whether a key is a list, of tables or of values."""
    return get_origin(_without_none(field.annotation)) is list


def unit_of(name: str) -> str:
    """The unit that a key's name says, or ""."""
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")


def expected_of(key: Key) -> str:
    """What belongs at a key, in words; an index into a list is a key too."""
    names = [str(name) for name in key if isinstance(name, str)]
    table = table_of(tuple(names[:-1]))
    field = None if table is None else table.model_fields.get(names[-1])
    if field is None:
        return "a table" if table is not None else "nothing"
    kind = _without_none(field.annotation)
    if isinstance(key[-1], int):
        return kind_in_words(get_args(kind)[0], [])
    return kind_in_words(kind, field.metadata, unit_of(names[-1]))


def kind_in_words(kind: Any, metadata: Sequence[Any], unit: str = "") -> str:
    """A type with its bounds: "a whole number of seconds from 1 to 65535"."""
    if get_origin(kind) is Annotated:
        kind, *inner = get_args(kind)
        metadata = [*inner, *metadata]
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{value}"' for value in get_args(kind))
    if get_origin(kind) is list:
        least = "a list of one or more" if _bound(metadata, "min_length") else "a list"
        return f"{least}, each of it {kind_in_words(get_args(kind)[0], [])}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "a table"
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(kind_in_words(each, []) for each in get_args(kind))
    if get_origin(kind) is dict:
        return "a table of texts"
    words = {bool: "true or false", int: "a whole number", float: "a number"}
    if kind in words:
        return words[kind] + (f" of {unit}" if unit else "") + _bounds(metadata)
    return "the name of a file or folder" if kind is Path else "a text" + _length(metadata)


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind):
        return next(each for each in get_args(kind) if each is not NoneType)
    return kind


def _bounds(metadata: Sequence[Any]) -> str:
    lower, above, upper = (_bound(metadata, name) for name in ("ge", "gt", "le"))
    if lower is not None and upper is not None:
        return f" from {lower} to {upper}"
    if above is not None and upper is not None:
        return f" above {above}, at most {upper}"
    if lower is not None:
        return f", at least {lower}"
    return f" above {above}" if above is not None else ""


def _length(metadata: Sequence[Any]) -> str:
    least = _bound(metadata, "min_length")
    return f" of at least {least} characters" if least and least > 1 else ""


def _bound(metadata: Sequence[Any], name: str) -> Any:
    for each in metadata:
        inner = each.metadata if isinstance(each, FieldInfo) else [each]
        for one in inner:
            if getattr(one, name, None) is not None:
                return getattr(one, name)
    return None
