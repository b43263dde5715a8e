"""`twin fleet`: simulated or recorded devices that publish over real MQTT."""

from __future__ import annotations

import csv
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, cast

import typer

from twin.commands.failure import Failed, WrongInput, failing, wrong_input
from twin.commands.options import (
    LONGEST,
    Columns,
    Json,
    TimeColumn,
    columns,
    file_to_make,
    not_an_input,
)
from twin.commands.printing import print_json, print_line, say

if TYPE_CHECKING:
    from ingest.fleet.message import Message
    from ingest.fleet.publish import Counts
    from ingest.fleet.settings import FleetSettings
    from ingest.recording import Recording


@dataclass(frozen=True, slots=True)
class _Run:
    """Where a fleet publishes, for how long (s, None: until told), what it writes down."""

    host: str
    port: int
    duration: float | None
    record: Path | None
    stop: threading.Event
    acknowledged: Callable[[Message], None] | None = None


def run_devices(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FLEET.TOML", help="Settings of the fleet."),
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(
            metavar="FAULTS.TOML", help="Settings and a fault script; says what ledgers must show."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Broker.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Its port.")] = 1883,
    patients: Annotated[int | None, typer.Option(min=0, help="Simulated patients.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="How many times faster than the clock.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End after so long.")
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Play this recording (CSV, Parquet), re-stamped, once."),
    ] = None,
    wide: Columns = None,
    time_column: TimeColumn = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what was acknowledged, in the columns of replay."),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Only write the fleet's devices, as `devices.file` of `twin run` reads them.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish as a fleet of devices until Ctrl-C, the duration, or the recording's end."""
    if script is not None and (config is not None or recording is not None):
        raise WrongInput("--script: has its own settings, and simulates its devices")
    settings = _settings(config, script, patients=patients, seed=seed, speed=speed)
    _check(
        host, duration, [recording, config, script], {"--record": record, "--registry": registry}
    )
    played = None if recording is None else _recording(recording, wide, time_column)
    if registry is not None:
        _write_registry(registry, settings, played)
        return
    stop = _until_told(duration)
    sent: list[Message] = []
    run = _Run(host, port, duration, record, stop, None if script is None else sent.append)
    counts = _publish(settings, played, run)
    heard = counts.acknowledged or any(each.acknowledged for each in counts.connecting)
    if not heard and (played or settings.patients):
        raise Failed(f"nothing was acknowledged: is there a broker at {host}:{port}?")
    told = {} if script is None else _told(sent, settings)
    if as_json:
        whole = asdict(counts)
        if script is None:
            del whole["stolen"], whole["connecting"]
        print_json(whole | ({"ledgers": told} if script is not None else {}))
        return
    print_line(
        f"{counts.published} messages published, {counts.acknowledged} acknowledged, "
        f"{counts.reconnects} reconnects"
    )
    for theft in counts.stolen:
        print_line(
            f"{theft.owner}'s certificate, topic of {theft.device}: {theft.acknowledged} taken, "
            f"{theft.refused} refused by the broker, {theft.no_connection} without connection"
        )
    for crowd in counts.connecting:
        print_line(
            f"{crowd.devices} devices at once: {crowd.connected} connected, "
            f"{crowd.acknowledged} acknowledged in {crowd.seconds} s"
        )
    for device, ledger in told.items():
        refused = cast(Mapping[str, int], ledger.pop("refused"))
        said = ", ".join(
            f"{name} {value}" for name, value in [*ledger.items(), *refused.items()] if value
        )
        print_line(f"{device}: {said}")


def _check(
    host: str, duration: float | None, inputs: list[Path | None], outputs: Mapping[str, Path | None]
) -> None:
    """What nothing else looks at before the first message. Raises WrongInput."""
    try:
        named = bool(host.encode("idna"))
    except UnicodeError:
        named = False
    if not named:
        raise WrongInput(f"--host: got {host!r}, expected the name or address of a broker")
    if duration is not None and not 0 < duration <= LONGEST:
        expected = "more than 0" if not duration > 0 else "at most 366 days"
        raise WrongInput(f"--duration: got {duration:g}, expected {expected}")
    for option, path in outputs.items():
        if path is not None:
            not_an_input(file_to_make(path, option), inputs, option)


def _told(sent: Sequence[Message], settings: FleetSettings) -> dict[str, dict[str, object]]:
    """What the ledger of each device must say of what the broker has; of those that only connected
    at once and said one thing, nothing: they are counted together."""
    from ingest.fleet.script import FaultScript, crowd_names, told

    crowds = crowd_names(settings) if isinstance(settings, FaultScript) else []
    once = {name for names in crowds for name in names}
    return {
        device: {each.name: getattr(ledger, each.name) for each in fields(ledger)}
        for device, ledger in sorted(told(sent).items())
        if device not in once
    }


def _settings(config: Path | None, script: Path | None, **said: float | None) -> FleetSettings:
    import msgspec

    from ingest.fleet.script import FaultScript
    from ingest.fleet.settings import (
        FleetSettings,
        FleetSettingsError,
        checked,
        read_fleet_settings,
    )

    with wrong_input(FleetSettingsError):
        if script is not None:
            settings: FleetSettings = read_fleet_settings(script, FaultScript)
        elif config is not None:
            settings = read_fleet_settings(config, FleetSettings)
        else:
            settings = FleetSettings()
        given = {name: value for name, value in said.items() if value is not None}
        return checked(msgspec.structs.replace(settings, **given), "options")


def _recording(file: Path, wide: str | None, time_column: str | None) -> Recording:
    from ingest.recording import read_recording
    from ingest.sheet import RecordingError

    with wrong_input(RecordingError, OSError):
        return read_recording(file, columns(wide), time_column)


def _until_told(duration: float | None) -> threading.Event:
    stop = threading.Event()

    def told(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    if duration is not None:
        timer = threading.Timer(duration, stop.set)
        timer.daemon = True
        timer.start()
    return stop


def _publish(settings: FleetSettings, recording: Recording | None, run: _Run) -> Counts:
    from ingest.fleet.publish import BrokerUnreachable
    from ingest.fleet.run import Target, catching_up, play_recording, run_fleet

    say(f"publishing to {run.host}:{run.port}; Ctrl-C ends it")
    with failing(BrokerUnreachable, OSError):
        if recording is not None:
            target = Target(run.host, run.port, record=run.record)
            return play_recording(recording, settings, target, run.stop)
        now = catching_up(time.time_ns, settings.speed, run.duration)
        return run_fleet(
            settings,
            run.host,
            run.port,
            now,
            run.stop,
            record=run.record,
            acknowledged=run.acknowledged,
        )


def _write_registry(file: Path, settings: FleetSettings, recording: Recording | None) -> None:
    from ingest.fleet.playback import device_names
    from ingest.fleet.script import FaultScript, crowd_names
    from ingest.fleet.simulation import bindings

    if recording is None:
        rows = [(d, f"patient-{n + 1}", label) for d, n, label in bindings(settings)]
        if isinstance(settings, FaultScript):
            rows += [(d, f"patient-{d}", "") for names in crowd_names(settings) for d in names]
    else:
        rows = [(d, patient, "") for (patient, _), d in device_names(recording).items()]
    with failing(OSError), file.open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(("device", "patient", "label"))
        lines.writerows(rows)
    say(f"{len(rows)} devices in {file}")
