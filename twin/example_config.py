"""The configuration file that documents itself: what `twin check --example` prints."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from twin.config import Config
from twin.config_words import as_table, expected_of, is_list

_HEAD = """\
# Configuration of `twin run`. Every key is optional; what stands here, commented out, is the
# default, or an example where there is none. Relative file names are relative to this file.
# Secrets may come from the environment: TWIN_MQTT_PASSWORD, TWIN_INFLUX_TOKEN, TWIN_CARE_TOKEN,
# TWIN_NOTIFY_SECRET, TWIN_MAIL_PASSWORD, TWIN_OUTWARD_PASSWORD.
"""


def example_config() -> str:
    """Valid TOML with every key: description, what is expected, default."""
    return _HEAD + "\n".join(_table(Config, ())) + "\n"


def described(
    table: type[BaseModel] = Config, place: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, str, str]]:
    """(key, expected, default in TOML or "", description) of every key, tables left out."""
    for name, field in table.model_fields.items():
        inner = as_table(field)
        if inner is not None:
            yield from described(inner, (*place, name))
        else:
            key = (*place, name)
            default = "" if _has_no_default(field) else toml_value(_default(field))
            yield ".".join(key), expected_of(key), default, said_under(table).get(name, "")


@cache
def said_under(table: type[BaseModel]) -> Mapping[str, str]:
    """The text under the declaration of each key of a table, by key; keys without text left out."""
    said: dict[str, str] = {}
    for kind in reversed(table.__mro__):
        if not issubclass(kind, BaseModel) or kind is BaseModel:
            continue
        (declared,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        if isinstance(declared, ast.ClassDef):
            said |= dict(_texts(declared))
    return said


def _texts(declared: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for key, text in pairwise(declared.body):
        if not isinstance(key, ast.AnnAssign) or not isinstance(key.target, ast.Name):
            continue
        match text:
            case ast.Expr(value=ast.Constant(value=str(words))):
                yield key.target.id, inspect.cleandoc(words)


def toml_value(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, dict):
        pairs = ", ".join(f"{json.dumps(k)} = {toml_value(v)}" for k, v in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return json.dumps(value, ensure_ascii=False)


def _table(table: type[BaseModel], place: tuple[str, ...]) -> Iterator[str]:
    tables = {name: as_table(field) for name, field in table.model_fields.items()}
    for name, field in table.model_fields.items():
        if tables[name] is None:
            yield ""
            yield from _comment(said_under(table).get(name, ""))
            yield from _key(name, field, (*place, name))
    for name, inner in tables.items():
        if inner is not None:
            field = table.model_fields[name]
            several = is_list(field)
            optional = "#" if field.default is None or several or field.is_required() else ""
            yield ""
            yield from _comment(inner.__doc__ or "")
            header = f"[{'.'.join((*place, name))}]"
            yield f"{optional}[{header}]" if several else f"{optional}{header}"
            yield from _table(inner, (*place, name))


def _key(name: str, field: FieldInfo, key: tuple[str, ...]) -> Iterator[str]:
    expected = f"Expected: {expected_of(key)}"
    if _has_no_default(field):
        yield from _comment(f"{expected}; no default.")
        yield f"#{name} = {toml_value((field.examples or [''])[0])}"
    else:
        value = toml_value(_default(field))
        yield from _comment(f"{expected}; default {value}.")
        yield f"#{name} = {value}"


def _has_no_default(field: FieldInfo) -> bool:
    return field.default is None or field.default_factory is not None or field.is_required()


def _default(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=False)


def _comment(text: str) -> Iterator[str]:
    plain = " ".join(text.split())
    yield from textwrap.wrap(
        plain, 98, break_on_hyphens=False, initial_indent="# ", subsequent_indent="# "
    )
