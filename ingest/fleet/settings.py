"""What can be set about a simulated fleet: a TOML file, every key optional."""

from __future__ import annotations

from pathlib import Path
from ssl import create_default_context
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from ingest.toml_text import toml_of

if TYPE_CHECKING:
    from paho.mqtt.client import Client

Positive = Annotated[float, Meta(gt=0)]
Rate = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Natural = Annotated[int, Meta(ge=1)]
DeviceKind = Literal["watch", "patch", "cgm", "cuff", "thermometer"]
EpisodeKind = Literal[
    "deterioration", "fever", "exercise", "desaturation", "artefact", "body_off", "offline"
]

DEVICE_KINDS: tuple[DeviceKind, ...] = ("watch", "patch", "cgm", "cuff", "thermometer")


class FleetSettingsError(Exception):
    """A fleet file that cannot be used: file, key (like `rates.watch_s`) and what is wrong."""

    def __init__(self, path: str, key: str, why: str) -> None:
        super().__init__(f"{path}: {key}: {why}" if key else f"{path}: {why}")
        self.path, self.key, self.why = path, key, why


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a fleet file: every key is optional, an unknown one is wrong."""


class Rates(Table, frozen=True):
    """Seconds between two samples of a device."""

    #: Watch: heart rate. Steps and activity come every minute, heart rate variability every five.
    watch_s: Positive = 1.0
    #: Patch: respiratory rate, SpO2, skin temperature, with some patients also heart rate.
    patch_s: Positive = 2.0
    #: Continuous glucose monitor.
    cgm_s: Positive = 300.0
    #: Blood pressure cuff; each patient's own plan lies between this and four times this.
    cuff_s: Positive = 1_800.0
    #: Thermometer: body temperature.
    thermometer_s: Positive = 7_200.0


class Faults(Table, frozen=True):
    """What goes wrong by itself, for each device; the seed decides when."""

    #: Bursts of wrong values with low quality, 5–30 s each.
    artefacts_per_hour: Rate = 0.5
    #: Device not worn, 1–8 min each: it says so once and is silent.
    body_off_per_day: Rate = 3.0
    #: Radio gone, 20–240 s each: what was measured comes late, in one burst.
    offline_per_day: Rate = 4.0
    #: The device starts again and counts its messages anew.
    reboots_per_day: Rate = 0.5
    #: Share of messages that are sent twice, and that are lost before the broker.
    duplicated: Share = 0.001
    lost: Share = 0.0
    #: Clocks are set up to this much behind at the start …
    clock_behind_s: Rate = 0.5
    #: … and lose up to this many seconds in a million.
    clock_drift_ppm: Rate = 20.0
    #: … or run ahead by as much, for this share of the devices.
    clock_ahead: Share = 0.0


class Connection(Table, frozen=True):
    """How the fleet, a gateway for all its devices, speaks to the broker."""

    #: "5" or "3.1.1"; NATS speaks only the latter.
    protocol: Literal["5", "3.1.1"] = "3.1.1"
    #: MQTT connections over which the devices are spread; a device keeps to one.
    connections: Annotated[int, Meta(ge=1, le=1000)] = 1
    #: Messages of one connection that may wait for their PUBACK.
    in_flight: Annotated[int, Meta(ge=1, le=65_535)] = 100
    client_id: str = "twin-fleet"
    username: str | None = None
    password: str | None = None
    #: Each device on a connection of its own, with NAME.pem and NAME.key of this folder; the
    #: broker's certificate is held against `authority` (a file of certificates).
    certificates: str | None = None
    authority: str | None = None

    def sign_in(self, client: Client, name: str) -> None:
        """Give the client what it signs in with. Raises OSError: no such pair, or not a pair."""
        if self.username is not None:
            client.username_pw_set(self.username, self.password)
        if self.certificates is not None:
            context = create_default_context(cafile=self.authority)
            pair = Path(self.certificates, f"{name}.pem"), Path(self.certificates, f"{name}.key")
            context.load_cert_chain(*pair)
            client.tls_set_context(context)


class Episode(Table, frozen=True):
    """Something that is scripted: to a patient's body, or to one or all of their devices."""

    kind: EpisodeKind
    #: Counted from 1, as in the label "Bed 1".
    patient: Natural
    #: Which of the patient's devices a device fault concerns; without it, all.
    device: DeviceKind | None = None
    #: Begin, in seconds of the fleet's time from its start.
    at_s: Rate = 0.0
    #: For a deterioration and a fever, the time of the rise; they stay.
    duration_s: Positive = 600.0
    #: 1 is typical: +35 beats/min, +12 breaths/min, +1.8 °C, −7 % for a deterioration.
    severity: Annotated[float, Meta(gt=0, le=2)] = 1.0


class FleetSettings(Table, frozen=True):
    """The whole fleet. The same settings give the same messages, relative to the start."""

    patients: Annotated[int, Meta(ge=0, le=10_000)] = 12
    seed: Annotated[int, Meta(ge=0)] = 1
    #: How many times faster than the wall clock. The fleet follows the clock it is given.
    speed: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    #: Before each device name: keeps two fleets on one broker apart.
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,32}$")] = ""
    #: Hour of the day (0–24) at the start, for circadian rhythm and meals.
    start_hour: Annotated[float, Meta(ge=0, lt=24)] = 9.0
    rates: Rates = Rates()
    faults: Faults = Faults()
    connection: Connection = Connection()
    #: What happens to whom. Without it one of four or more deteriorates and one has fever.
    episodes: tuple[Episode, ...] | None = None

    def script(self) -> tuple[Episode, ...]:
        """The episodes, or the usual ones."""
        if self.episodes is not None:
            return self.episodes
        if self.patients < 4:
            return ()
        return (
            Episode(kind="fever", patient=2, at_s=300, duration_s=5_400),
            Episode(kind="deterioration", patient=self.patients, at_s=600, duration_s=7_200),
        )


def checked(settings: FleetSettings, path: str = "fleet settings") -> FleetSettings:
    """The same settings, every range and name checked. Raises FleetSettingsError."""
    return _converted(msgspec.to_builtins(settings), path, type(settings))


Kind = TypeVar("Kind", bound=FleetSettings)


def read_fleet_settings(path: Path, kind: type[Kind]) -> Kind:
    """The settings of a TOML file, of this kind. Raises FleetSettingsError."""
    try:
        tables = toml_of(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetSettingsError(str(path), "", f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FleetSettingsError(str(path), "", f"is no TOML: {error}") from error
    if "episode" in tables:
        tables["episodes"] = tables.pop("episode")
    return _converted(tables, str(path), kind)


def _converted(tables: object, path: str, kind: type[Kind]) -> Kind:
    try:
        settings = msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        why, _, key = str(error).partition(" - at `")
        raise FleetSettingsError(path, key.strip("`").removeprefix("$").lstrip("."), why) from error
    for number, episode in enumerate(settings.episodes or ()):
        if episode.patient > settings.patients:
            why = f"expected a patient of 1 to {settings.patients}, got {episode.patient}"
            raise FleetSettingsError(path, f"episode[{number}].patient", why)
    return settings
