"""Reading the configuration file, and saying exactly what is wrong with it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ingest.catalogue import SignalConflict, declare
from ingest.declared import DeclarationWrong, declared_signals
from ingest.toml_text import toml_of
from twin.config import Config
from twin.config_mapping import MappingFile, MappingTable
from twin.config_words import expected_of, table_of
from twin.toml_lines import Key, key_lines

#: Environment variable → the secret that it overrides.
SECRETS: Mapping[str, Key] = {
    "TWIN_MQTT_PASSWORD": ("mqtt", "password"),
    "TWIN_INFLUX_TOKEN": ("store", "influx", "token"),
    "TWIN_CARE_TOKEN": ("care", "token"),
    "TWIN_NOTIFY_SECRET": ("notify", "secret"),
    "TWIN_MAIL_PASSWORD": ("notify", "mail", "password"),
    "TWIN_OUTWARD_PASSWORD": ("outward", "broker", "password"),
}
#: Tables of servers that there may not be.
_OPTIONAL = frozenset({"influx", "mail", "broker"})
_SECRET = re.compile(r"password|token|secret")


class ConfigError(Exception):
    """A configuration that cannot be used.

    line: counted from 1, 0 where no line is to blame (a file that cannot be read, a secret from the
    environment). key: like `mqtt.port`. got: never a secret. others: what else is wrong.
    """

    def __init__(
        self,
        file: Path,
        line: int,
        key: str,
        expected: str,
        got: str,
        others: Sequence[ConfigError] = (),
    ) -> None:
        place = f"{file}:{line}" if line else str(file)
        where = f"{place}: {key}" if key else place
        super().__init__(f"{where}: got {got}, expected {expected}")
        self.file, self.line, self.key = file, line, key
        self.expected, self.got, self.others = expected, got, tuple(others)


def read_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in a file, secrets of the environment put in. Raises ConfigError."""
    content, document = _document(path)
    _declare_signals(path, document)
    from_environment = _put_secrets(path, document, environment)
    try:
        config = Config.model_validate(document, context={"folder": path.absolute().parent})
    except ValidationError as invalid:
        raise _refused(path, content, from_environment, invalid) from None
    return _with_mappings(config, path)


def read_mappings(path: Path) -> list[MappingTable]:
    """The mappings of a file of its own, or of all .toml files of a folder. Raises ConfigError."""
    if path.is_dir():
        return [each for file in sorted(path.glob("*.toml")) for each in read_mappings(file)]
    content, document = _document(path)
    try:
        return MappingFile.model_validate(document).mapping
    except ValidationError as invalid:
        raise _refused(path, content, {}, invalid, ("ingest",)) from None


def _declare_signals(path: Path, document: Mapping[str, Any]) -> None:
    """Put what the configured model file declares into the catalogue, for the keys that name
    signals. What else is wrong with that file is said by whom it is for."""
    table = document.get("model")
    name = table.get("file") if isinstance(table, dict) else None
    if not isinstance(name, str):
        return
    file = path.absolute().parent / Path(name).expanduser()
    try:
        content = file.read_text("utf-8")
        declare(declared_signals(toml_of(content)))
    except DeclarationWrong as wrong:
        line = key_lines(content).get(wrong.key, 0)
        key, got = ".".join(wrong.key), repr(wrong.got)
        raise ConfigError(file, line, key, wrong.expected, got) from None
    except SignalConflict as conflict:
        expected, got = conflict.meanings
        raise ConfigError(file, 0, f"signal.{conflict.known.code}", expected, got) from None
    except (OSError, ValueError):
        return


def _with_mappings(config: Config, path: Path) -> Config:
    """The mappings of files put beside those of the configuration itself."""
    mapping = list(config.ingest.mapping)
    for file in config.ingest.mapping_files:
        for each in read_mappings(file):
            if each.name in {known.name for known in mapping}:
                got = f'"{each.name}" again'
                raise ConfigError(file, 0, "mapping.name", "a name of its own", got)
            mapping.append(each)
    ingest = config.ingest.model_copy(update={"mapping": mapping})
    return config.model_copy(update={"ingest": ingest})


def _document(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        content = path.read_text("utf-8-sig")  # Windows' editors put a mark before it
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigError(path, 0, "", "a file that can be read", why) from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, 0, "", "UTF-8 text", f"byte {error.start} is none") from None
    try:
        return content, toml_of(content)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else max(1, len(content.splitlines()))
        why = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError(path, line, "", "TOML", f"a syntax error ({why})") from None


def _put_secrets(
    path: Path, document: dict[str, Any], environment: Mapping[str, str]
) -> dict[Key, str]:
    """Override secrets in the document; which keys came from which variable."""
    put: dict[Key, str] = {}
    for variable, (*tables, key) in SECRETS.items():
        table: object = document
        for name in tables:
            # A missing server stays missing: its secret alone does not configure it.
            if isinstance(table, dict) and name not in table and name not in _OPTIONAL:
                table[name] = {}
            table = table.get(str(name)) if isinstance(table, dict) else None
        if environment.get(variable) and isinstance(table, dict):
            table[key] = _utf_8(
                path, f"{_dotted((*tables, key))} (from {variable})", environment[variable]
            )
            put[*tables, key] = variable
    return put


def _utf_8(path: Path, name: str, secret: str) -> str:
    """The secret; bytes that no text has would end the service where it is sent, much later."""
    try:
        secret.encode()
    except UnicodeEncodeError:
        raise ConfigError(path, 0, name, "UTF-8 text", "something else (not shown)") from None
    return secret


def _refused(
    path: Path,
    content: str,
    from_environment: Mapping[Key, str],
    invalid: ValidationError,
    place: Key = (),
) -> ConfigError:
    """The first error by its line, with the others; place: the table of its keys."""
    found = invalid.errors(include_url=False)
    errors = _errors(path, content, from_environment, found, place)
    first, *others = sorted(errors, key=lambda each: each.line)
    return ConfigError(path, first.line, first.key, first.expected, first.got, others)


def _errors(
    path: Path,
    content: str,
    from_environment: Mapping[Key, str],
    found: Sequence[ErrorDetails],
    place: Key,
) -> Iterator[ConfigError]:
    lines = key_lines(content)
    for each in found:
        context = each.get("ctx", {})
        own = [k for k in str(context.get("key", "")).split(".") if k]
        within: Key = tuple(int(k) if k.isdigit() else k for k in own)
        key: Key = (*each["loc"], *within)
        expected, got = _wording((*place, *key), each, context)
        variable = from_environment.get(key)
        name = _dotted(key) + (f" (from {variable})" if variable else "")
        yield ConfigError(path, 0 if variable else _line(lines, key), name, expected, got)


def _wording(key: Key, error: ErrorDetails, context: Mapping[str, Any]) -> tuple[str, str]:
    """(expected, got)"""
    if error["type"] == "refused":
        return str(context["expected"]), context["got"] or _shown(key, error["input"])
    if error["type"] == "extra_forbidden":
        return _known_keys(key), "a key that does not exist"
    got = "nothing" if error["type"] == "missing" else _shown(key, error["input"])
    return expected_of(key), got


def _known_keys(key: Key) -> str:
    table = table_of(key[:-1])
    names = list(table.model_fields) if table is not None else []
    return " or ".join(get_close_matches(str(key[-1]), names)) or "one of " + ", ".join(names)


def _shown(key: Key, value: object) -> str:
    if _SECRET.search(str(key[-1])):
        return "something else (not shown)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _dotted(key: Key) -> str:
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _line(lines: Mapping[Key, int], key: Key) -> int:
    """The key's line, or of the nearest table around it that is in the file."""
    while key and key not in lines:
        key = key[:-1]
    return lines.get(key, 0)
