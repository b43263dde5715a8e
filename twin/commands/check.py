"""`twin check`: is a configuration valid, do the files it names serve, do its servers answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.commands.failure import WrongInput, in_words
from twin.commands.options import Json, text_of
from twin.commands.own_files import seen_by_others
from twin.commands.printing import print_json, print_line

if TYPE_CHECKING:
    from twin.config import Config
    from twin.config_file import ConfigError

#: What is in flight is acknowledged after a commit: linger, and the disk.
_COMMIT_S = 0.01


@dataclass(frozen=True, slots=True)
class _Found:
    """One thing that was looked at; fault "": it serves. note: what else is worth knowing."""

    name: str
    fault: str
    note: str = ""


def check_configuration(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="Configuration file.")
    ] = None,
    connect: Annotated[
        bool, typer.Option("--connect", help="Ask the broker and the database, too.")
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a file with every key, documented.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say whether a configuration can be used, and what is wrong with it.

    Exit code 2 if the file cannot be used, 1 if a server that it names does not serve.
    """
    if example:
        from twin.example_config import example_config

        print_line(example_config().rstrip("\n"))
        return
    if config is None:
        raise WrongInput("expected --config FILE, or --example")
    from twin.config_file import ConfigError, read_config

    try:
        checked = read_config(config)
    except ConfigError as error:
        _report(config, [error, *error.others], [], [], as_json)
        raise typer.Exit(2) from None
    files = list(_files(checked))
    servers = list(_servers(checked)) if connect else []
    _report(config, [], files, servers, as_json)
    if any(each.fault for each in files):
        raise typer.Exit(2)
    raise typer.Exit(1 if any(each.fault for each in servers) else 0)


def _report(
    file: Path,
    errors: list[ConfigError],
    files: list[_Found],
    servers: list[_Found],
    as_json: bool,
) -> None:
    valid = not errors and not any(each.fault for each in files)
    if as_json:
        told: dict[str, object] = {"file": str(file), "valid": valid}
        told["errors"] = [
            {"line": e.line, "key": e.key, "expected": e.expected, "got": e.got} for e in errors
        ]
        told["files"] = [
            {"key": each.name, "fault": each.fault, "note": each.note} for each in files
        ]
        told["servers"] = [
            {"name": each.name, "fault": each.fault, "note": each.note} for each in servers
        ]
        print_json(told)
        return
    for error in errors:
        print_line(str(error))
    for each in files:
        if each.fault or each.note:
            print_line(f"{file}: {each.name}: {each.fault or each.note}")
    if valid:
        print_line(f"{file}: valid")
    for each in servers:
        note = f" ({each.note})" if each.note else ""
        print_line(f"{each.name}: {each.fault or 'serves'}{note}")


def _files(config: Config) -> Iterator[_Found]:
    """Each file that the configuration names, opened and read as its user will."""
    from ingest.registry_file import RegistryFileWrong, read_registry_file
    from ingest.topic_filter import overlapping

    if said := seen_by_others(config.data_dir):
        yield _Found("data_dir", "", said)
    if config.devices.file is not None:
        try:
            read_registry_file(config.devices.file)
            yield _Found("devices.file", "")
        except (RegistryFileWrong, OSError) as error:
            yield _Found("devices.file", in_words(error))
    if config.model.file is not None:
        yield _Found("model.file", _model_fault(config.model.file))
    filters = config.ingest_settings().mqtt.filters
    for one, other in overlapping(filters):
        note = f"{one} and {other} overlap: what both match may come, and be counted, twice"
        yield _Found("mqtt.filters", "", note)
    yield from _certificates(config)


def _model_fault(file: Path) -> str:
    from twin.estimation.models import parse_model

    try:
        parse_model(text_of(file), str(file))
    except (WrongInput, ValueError) as error:
        return in_words(error)
    return ""


def _certificates(config: Config) -> Iterator[_Found]:
    import ssl

    tls, care = config.mqtt.tls, config.care
    pairs = [("care", care.certificate, care.key)]
    if tls is not None:
        pairs.append(("mqtt.tls", tls.certificate, tls.key))
        if tls.authority is not None:
            context = ssl.create_default_context()
            yield _loaded("mqtt.tls.authority", context.load_verify_locations, tls.authority)
    for table, certificate, key in pairs:
        if certificate is not None and key is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            found = _loaded(f"{table}.certificate", context.load_cert_chain, certificate, key)
            yield found if found.fault else _Found(found.name, _ran_out(certificate))


def _ran_out(certificate: Path) -> str:
    from twin.certificates import expiry, utc_now

    until = expiry(certificate)
    return f"{certificate}: ran out on {until:%Y-%m-%d}" if until < utc_now() else ""


def _loaded(name: str, load: Callable[..., object], *files: Path) -> _Found:
    import ssl

    try:
        for file in files:
            file.read_bytes()
        load(*files)
    except ssl.SSLError as error:
        return _Found(name, f"{files[0]}: no use as PEM: {error.reason or error}")
    except OSError as error:
        return _Found(name, in_words(error))
    return _Found(name, "")


def _servers(config: Config) -> Iterator[_Found]:
    yield _broker(config)
    if config.store.influx is not None and "influx" in config.store.kinds:
        yield _database(config, config.store.influx.url)


def _database(config: Config, url: str) -> _Found:
    from twin.runtime.parts import influx_settings
    from twin.runtime.retention import kept_of, limits_of
    from twin.store.influx import examine
    from twin.store.influx_tasks import outdated
    from twin.store.protocol import StoreUnavailable

    name, settings = f"database {url}", influx_settings(config)
    if fault := examine(settings):
        return _Found(name, fault)
    try:
        old = outdated(settings, kept_of(config.store.retention), limits_of())
    except StoreUnavailable as error:
        return _Found(name, "", f"windows cannot be looked at: {error.reason}")
    missing = ", ".join(old)
    return _Found(name, "", f"`twin store init` has to make {missing}" if old else "")


def _broker(config: Config) -> _Found:
    from ingest.mqtt_probe import BrokerRefused, measure_room

    name = f"broker {config.mqtt.host}:{config.mqtt.port}"
    try:
        room = measure_room(config.ingest_settings().mqtt)
    except BrokerRefused as why:
        return _Found(name, str(why))
    if room.arrived < room.sent:
        lost = f"of {room.sent} messages that it acknowledged {room.arrived} arrived"
        return _Found(name, f"loses messages: {lost}; let it queue more (max_queued_messages)")
    rate = round(room.in_flight / _COMMIT_S)
    return _Found(name, "", f"{room.in_flight} in flight: at most about {rate} messages/s")
