"""Bodies of the answers under /api/v1, and their schemas for /openapi.json.

Times out are epoch milliseconds or ISO-8601; NaN leaves as null. Fields may be added, these stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, Response

from ingest.instant import format_instant
from twin.care.forecasts import ForecastBody
from twin.care.judged import ChangeBody, ScoreBody, UsualBody
from twin.personal import Consistency

Numbers = Sequence[float | None]


class Coasting(msgspec.Struct, frozen=True):
    """The prediction without measurement that the page shows in place of the estimate."""

    mean: float
    std: float
    lo95: float
    hi95: float


class LatestEstimate(msgspec.Struct, frozen=True):
    """The newest estimate of one signal; as_of is ISO-8601, age_s = now − as_of, trend per minute.

    value, measured_at, received_at, device: the newest raw value. arrow −2…2, approximate: how the
    page shows it.
    """

    as_of: str
    mean: float
    std: float
    lo50: float
    hi50: float
    lo95: float
    hi95: float
    trend: float
    trend_std: float
    age_s: float
    status: str
    unit: str
    arrow: int
    approximate: bool
    value: float
    measured_at: str
    received_at: str
    device: str
    coasting: Coasting | None


class PatientBody(msgspec.Struct, frozen=True):
    """One patient: pseudonymous id, label for people, code → newest estimate, newest NEWS2.

    urgency: place in the ward, the less the sooner (docs/alarms.md); alarms: ids of those not over.
    """

    id: str
    label: str
    estimates: Mapping[str, LatestEstimate]
    news2: ScoreBody | None
    urgency: int
    alarms: Sequence[str]


class PatientsBody(msgspec.Struct, frozen=True):
    """time: the pipeline's clock. state: "live", or "ingest_down", "worker_down": then every status
    is as old as the last word of that part."""

    time: str
    state: str
    patients: Sequence[PatientBody]


class ConsistencyBody(msgspec.Struct, frozen=True):
    """Of the newest hundred readings or so of each device, as of `at` (docs/models.md).

    variance_ratio: of the innovations' variance to the expected one (1 is right); lag1: correlation
    of neighbouring innovations (0); coverage: band → share of readings inside that predicted for
    them; diverged: the signal's estimates are its readings.
    """

    at: str
    devices: Sequence[DeviceConsistencyBody]


class DeviceConsistencyBody(msgspec.Struct, frozen=True):
    """One device of one signal."""

    signal: str
    device: str
    variance_ratio: float
    lag1: float
    coverage: Mapping[str, float]
    diverged: bool


def consistency_body(said: Consistency) -> ConsistencyBody:
    """As the API says it."""
    devices = [
        DeviceConsistencyBody(
            one.signal,
            one.device,
            one.ratio,
            one.lag1,
            {"50": one.in50, "90": one.in90, "95": one.in95},
            one.diverged,
        )
        for one in said.of
    ]
    return ConsistencyBody(format_instant(said.at), devices)


class OnePatientBody(msgspec.Struct, frozen=True):
    """`PatientBody` with time and state; forecasts: code → the newest by horizon; change: how
    unusual the last day is, consistency: how well its models fit; null where nothing was said of it
    yet. usual: code → what is usual at this hour, of the signals of which something is known."""

    time: str
    state: str
    id: str
    label: str
    estimates: Mapping[str, LatestEstimate]
    news2: ScoreBody | None
    urgency: int
    alarms: Sequence[str]
    forecasts: Mapping[str, Sequence[ForecastBody]]
    change: ChangeBody | None = None
    consistency: ConsistencyBody | None = None
    usual: Mapping[str, UsualBody] = {}


class SignalForecastBody(msgspec.Struct, frozen=True):
    """The newest forecasts of one signal by horizon, none if it was not forecast yet. A forecast
    that is over stays the newest until the signal is measured again: look at its `time`."""

    time: str
    state: str
    unit: str
    forecasts: Sequence[ForecastBody]


class EstimateColumns(msgspec.Struct, frozen=True):
    """Oldest first, time in epoch ms. A row of nulls stands in each gap: never draw through it.

    min and max: extremes of a bucket's estimates (null when raw).
    """

    time: Sequence[int]
    mean: Numbers
    lo50: Numbers
    hi50: Numbers
    lo95: Numbers
    hi95: Numbers
    min: Numbers | None
    max: Numbers | None


class ObservationColumns(msgspec.Struct, frozen=True):
    """Raw values, oldest first, time in epoch ms."""

    time: Sequence[int]
    value: Numbers
    device: Sequence[str]


class SignalBody(msgspec.Struct, frozen=True):
    """History of one signal. next: path and query of the next page (raw only), or null.

    revised: [first, last] in epoch ms of what was filtered again because observations came belated.
    """

    unit: str
    resolution: str
    gap_s: float
    estimates: EstimateColumns
    observations: ObservationColumns
    next: str | None
    revised: Sequence[tuple[int, int]] = ()


class LedgerBody(msgspec.Struct, frozen=True):
    """received = refused by ingest + journalled; journalled = duplicate + conflict + belated +
    refused by the twin + estimated. stored: what the database has of it; difference: estimated or
    belated and not in it (yet); below 0: it has more than the twin's last report says. Of numbered
    messages: missing, open (not come yet), redelivered."""

    received: int
    duplicate: int
    conflict: int
    belated: int
    refused: Mapping[str, int]
    journalled: int
    estimated: int
    stored: int | None
    difference: int | None = None
    missing: int = 0
    open: int = 0
    redelivered: int = 0


class ClockBody(msgspec.Struct, frozen=True):
    """A device's clock: its stamps lead their receipt by offset_s ± offset_std_s (negative: it is
    slow, or its data are late) and drift_ppm ± drift_std_ppm; correction_s is taken from them."""

    offset_s: float | None
    offset_std_s: float | None
    drift_ppm: float | None
    drift_std_ppm: float | None
    correction_s: float


class StateBody(msgspec.Struct, frozen=True):
    """A device as the twin knows it; null: not said. silence: "" while it is heard, else why not:
    never_seen, late, body_off, battery, radio, gateway, broker, ingest, clock, unusable. reason: of
    `clock` and `unusable`, for what most of it was refused by ingest."""

    silence: str
    since: str | None
    expected_interval_s: float
    battery: float | None
    contact: bool | None
    online: bool | None
    restarts: int
    clock: ClockBody
    reason: str | None = None


class DeviceBody(msgspec.Struct, frozen=True):
    """A device, the patient it is bound to now (or null), its ledger, and what is registered of it:
    model, the model's regulatory status (ce, wellness, research), retired: since when."""

    id: str
    patient: str | None
    last_received: str | None
    ledger: LedgerBody
    model: str | None = None
    regulatory: str | None = None
    firmware: str | None = None
    serial: str | None = None
    retired: str | None = None
    state: StateBody | None = None


class PendingBody(msgspec.Struct, frozen=True):
    """A device that nobody registered: on which topic it was heard, from when to when, how many
    messages wait in quarantine, and what it announced (null: nothing)."""

    id: str
    topic: str
    since: str
    last: str
    messages: int
    model: str | None
    firmware: str | None
    serial: str | None


class SilenceBody(msgspec.Struct, frozen=True):
    """Many devices that are silent for one cause, which is one event: cause `gateway` (named by the
    part of its devices' ids before the last `/`), `broker` or `ingest`; how many devices and
    patients are behind it. It ends by itself."""

    cause: str
    gateway: str | None
    since: str
    devices: int
    patients: int


class DevicesBody(msgspec.Struct, frozen=True):
    """Every device that is registered, was heard, or was refused; pending: those to be approved;
    silences: what silences many of them now; next: address of the next page, or null."""

    devices: Sequence[DeviceBody]
    pending: Sequence[PendingBody] = ()
    silences: Sequence[SilenceBody] = ()
    next: str | None = None


class RefusedBody(msgspec.Struct, frozen=True):
    """One quarantined message or sample; bytes: size of its payload; count: how often it came."""

    id: str
    reason: str
    path: str
    expected: str
    got: str
    device: str
    received_at: str
    bytes: int
    count: int


class QuarantineBody(msgspec.Struct, frozen=True):
    """total and by_reason count all; items are the newest."""

    total: int
    by_reason: Mapping[str, int]
    items: Sequence[RefusedBody]


class HealthBody(msgspec.Struct, frozen=True):
    """status: ok, degraded (something outside is away), failed; parts: name → word."""

    status: str
    degraded: Sequence[str]
    parts: Mapping[str, str]


BODIES = (
    PatientsBody,
    OnePatientBody,
    SignalBody,
    SignalForecastBody,
    DevicesBody,
    SilenceBody,
    QuarantineBody,
    HealthBody,
)
_encoder = msgspec.json.Encoder()


def answer(body: msgspec.Struct, status: int = 200) -> Response:
    """The body as JSON."""
    return Response(_encoder.encode(body), status, media_type="application/json")


def answers(body: type[msgspec.Struct]) -> dict[int | str, dict[str, Any]]:
    """What a route tells OpenAPI about its answer (`responses=`)."""
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {
        200: {"description": body.__name__, "content": {"application/json": {"schema": schema}}},
        "default": {"description": "problem+json (RFC 9457)"},
    }


def describe(app: FastAPI, kinds: Iterable[type[msgspec.Struct]]) -> None:
    """Add the schemas of these bodies to the app's OpenAPI document."""
    described = tuple(kinds)
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = made()
            _schemas, components = msgspec.json.schema_components(
                described, ref_template="#/components/schemas/{name}"
            )
            document.setdefault("components", {}).setdefault("schemas", {}).update(components)
        return app.openapi_schema or made()

    app.openapi = openapi  # type: ignore[method-assign]
