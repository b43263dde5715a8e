"""What `twin store init` makes in InfluxDB, and what the retention job removes there.

Buckets `<bucket>_1m` and `<bucket>_15m` hold windows of estimates and observations; a task of the
database fills each. Every run makes the windows anew from an hour before its last success, and all
of them from the earliest stamp on that came late since then: the writer marks it (`touched`). It
leaves a point `covered` when all is written (a run that fails leaves none), which says, in ms, from
when on it made windows and when it began: until then nothing is missing but what is marked, or
younger than `LATE`. (`tasks.lastSuccess` of Flux always says never: the database passes it on only
behind a feature flag.) Windows keep the tags of the rows, so that the storage engine makes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.task_create_request import TaskCreateRequest
from influxdb_client.rest import ApiException

from ingest.instant import MINUTE, SECOND, format_instant
from twin.store.aggregates import Limits
from twin.store.influx import InfluxSettings, answer, connected, unavailable
from twin.store.protocol import StoreUnavailable
from twin.store.retention import Kept, Report

#: Suffix of bucket and task, and length of its windows in Flux.
WINDOWS = ("1m", "15m")
#: Marks are read again from so long before, ns: the writer's clock set their time.
OVERLAP = 5 * MINUTE
#: Measurement in the windows' buckets by which a reader knows what they hold.
COVERED = "covered"
_WRONG = 400
#: Attempts of an erasure: deleted, read back.
_ERASURES = 5
#: Functions and fields of a window: of an estimate's mean, of its bands, of observations.
_OF_MEANS = (("mean", "mean"), ("min", "min"), ("max", "max"), ("count", "n"), ("sum", "sum"))
_OF_BANDS = (("max", "std"), ("min", "lo95"), ("max", "hi95"))
_OF_SEEN = (("mean", "mean"), ("min", "min"), ("max", "max"), ("count", "n"))
_MEASUREMENTS = {
    "observations": ("observation", "conflict"),
    "estimates": ("estimate", "forecast"),
    "logs": ("status",),
    "judgements": ("alarm", "score", "change"),
}
#: A field that every point of the measurement has, to count them by.
_COUNTED = {
    "observation": "value",
    "conflict": "value",
    "status": "status",
    "alarm": "count",
    "score": "score",
    "change": "known",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What was missing and is there now: names of buckets and tasks."""

    buckets: tuple[str, ...]
    tasks: tuple[str, ...]


@contextmanager
def asked(settings: InfluxSettings) -> Iterator[InfluxDBClient]:
    """A client for some requests, closed at the end. Raises StoreUnavailable."""
    client = connected(settings)
    try:
        yield client
    except ApiException as error:
        raise unavailable(error) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailable(f"no answer: {type(error).__name__}") from error
    finally:
        client.close()  # type: ignore[no-untyped-call]


def initialise(settings: InfluxSettings, kept: Kept, limits: Limits) -> Made:
    """Make buckets and tasks that are missing; a task that differs is given its new text.

    Raises StoreUnavailable.
    """
    with asked(settings) as client:
        try:
            buckets = [
                name
                for name, days in (
                    (settings.bucket, settings.retention_s),
                    (f"{settings.bucket}_1m", kept.minutes // SECOND),
                    (f"{settings.bucket}_15m", kept.quarters // SECOND),
                )
                if _make_bucket(client, settings.org, name, days)
            ]
            tasks = [
                f"{settings.bucket}-{length}"
                for length in WINDOWS
                if _make_task(client, settings, length, limits, kept)
            ]
            return Made(tuple(buckets), tuple(tasks))
        except ApiException as error:
            if error.status != _WRONG:
                raise
            raise StoreUnavailable(f"status 400: {error.message}") from error  # about our own text


def outdated(settings: InfluxSettings, kept: Kept, limits: Limits) -> tuple[str, ...]:
    """Buckets and tasks that `initialise` would make or give a new text. Changes nothing. Raises
    StoreUnavailable, also where the token may not see tasks."""
    with asked(settings) as client:
        buckets, tasks = client.buckets_api(), client.tasks_api()
        missing = [
            name
            for name in (f"{settings.bucket}_{length}" for length in WINDOWS)
            if buckets.find_bucket_by_name(name) is None  # type: ignore[no-untyped-call]
        ]
        for length in WINDOWS:
            name = f"{settings.bucket}-{length}"
            found = tasks.find_tasks(name=name)  # type: ignore[no-untyped-call]
            text = task_text(settings, length, limits, rows_kept(settings, kept))
            if not found or found[0].flux != text:
                missing.append(name)
        return tuple(missing)


def _make_bucket(client: InfluxDBClient, org: str, name: str, seconds: int) -> bool:
    buckets = client.buckets_api()
    if buckets.find_bucket_by_name(name) is not None:  # type: ignore[no-untyped-call]
        return False
    rules = BucketRetentionRules(type="expire", every_seconds=seconds)  # type: ignore[no-untyped-call]
    buckets.create_bucket(bucket_name=name, org=org, retention_rules=rules)
    return True


def _make_task(
    client: InfluxDBClient, settings: InfluxSettings, length: str, limits: Limits, kept: Kept
) -> bool:
    api, name = client.tasks_api(), f"{settings.bucket}-{length}"
    flux = task_text(settings, length, limits, rows_kept(settings, kept))
    found = api.find_tasks(name=name)  # type: ignore[no-untyped-call]
    if not found:
        request = TaskCreateRequest(org=settings.org, flux=flux, status="active")  # type: ignore[no-untyped-call]
        api.create_task(task_create_request=request)
        return True
    if found[0].flux != flux:
        found[0].flux = flux
        api.update_task(found[0])
        return True
    return False


def rows_kept(settings: InfluxSettings, kept: Kept) -> int:
    """How long rows are there to make windows of, ns; 0: for ever."""
    return min(
        (span for span in (kept.raw, kept.derived, settings.retention_s * SECOND) if span),
        default=0,
    )


def task_text(settings: InfluxSettings, length: str, limits: Limits, kept: int = 0) -> str:
    """The Flux of a task. kept: how long rows are kept, ns (0: for ever): a window of which rows
    may be gone already stays as it is. outside_s: seconds since the estimate before, 60 at most, of
    estimates outside the limits."""
    bucket, target = json.dumps(settings.bucket), json.dumps(f"{settings.bucket}_{length}")
    each = [
        f'write(tables: window(fn: {function}, of: {of}()), field: "{field}", of: "{measurement}")'
        for of, measurement, made in (
            ("estimates", "estimate", _OF_MEANS),
            ("seen", "observation", _OF_SEEN),
        )
        for function, field in made
    ] + [
        f'write(tables: window(fn: {function}, of: estimated(field: "{field}")), field: "{field}",'
        ' of: "estimate")'
        for function, field in _OF_BANDS
    ]
    if limits:
        each.append(
            'write(tables: window(fn: sum, of: outside()), field: "outside_s", of: "estimate")'
        )
    low, high = (_dictionary({k: pair[i] for k, pair in limits.items()}) for i in (0, 1))
    outside = f"""
low = {low}
high = {high}
outside = () => estimates() |> elapsed(unit: 1ms)
 |> filter(fn: (r) => r._value < dict.get(dict: low, key: r.signal, default: -1000000000.0)
    or r._value > dict.get(dict: high, key: r.signal, default: 1000000000.0))
 |> map(fn: (r) => ({{r with _value: if r.elapsed > 60000 then 60.0
    else float(v: r.elapsed) / 1000.0}}))
""" if limits else ""  # fmt: skip
    return f"""import "array"
import "date"
import "dict"
option task = {{name: "{settings.bucket}-{length}", every: 15m, offset: 2m}}
covered = from(bucket: {target}) |> range(start: 0)
 |> filter(fn: (r) => r._measurement == "{COVERED}" and r._field == "until") |> last()
 |> findRecord(fn: (key) => true, idx: 0)
before = if exists covered._value then time(v: int(v: covered._value) * 1000000) else now()
marked = if exists covered._value then date.sub(d: {OVERLAP // SECOND}s, from: before)
 else 1970-01-01T00:00:00Z
late = from(bucket: {bucket}) |> range(start: marked)
 |> filter(fn: (r) => r._measurement == "touched" and r._field == "since") |> group() |> min()
 |> findRecord(fn: (key) => true, idx: 0)
recent = int(v: date.sub(d: 1h, from: before))
earliest = if exists late._value then int(v: late._value) * 1000000 else recent
oldest = {f"int(v: date.sub(d: {kept}ns, from: now())) + 1800000000000" if kept else "0"}
wanted = if earliest < recent then earliest else recent
start = date.truncate(t: time(v: if wanted < oldest then oldest else wanted), unit: 15m)
stop = date.truncate(t: now(), unit: 15m)
points = () => from(bucket: {bucket}) |> range(start: start, stop: stop)
estimated = (field) => points()
 |> filter(fn: (r) => r._measurement == "estimate" and r._field == field)
estimates = () => estimated(field: "mean")
seen = () => points()
 |> filter(fn: (r) => r._measurement == "observation" and r._field == "value")
{outside}
window = (fn, of) => of
 |> aggregateWindow(every: {length}, fn: fn, createEmpty: false, timeSrc: "_start") |> toFloat()
write = (tables, field, of) => tables |> set(key: "_measurement", value: of)
 |> set(key: "_field", value: field) |> drop(columns: ["_start", "_stop", "elapsed"])
 |> to(bucket: {target}) |> keep(columns: ["_time", "_value"])
written = union(tables: [array.from(rows: [{{_time: now(), _value: 0.0}}]),
""" + ",\n".join(each) + f"""])
 |> group() |> count()
say = (field, of) => written |> map(fn: (r) => ({{_time: now(), _measurement: "{COVERED}",
 _field: field, _value: float(v: int(v: of) / 1000000)}})) |> to(bucket: {target})
say(field: "from", of: start)
say(field: "until", of: now())
"""  # fmt: skip


def _dictionary(numbers: Mapping[str, float]) -> str:
    pairs = ", ".join(
        f"{json.dumps(key)}: {float(min(max(n, -1e9), 1e9)):f}" for key, n in numbers.items()
    )
    return f"[{pairs or ':'}]"


def forget(
    settings: InfluxSettings, kept: Kept, now: int, stopping: Callable[[], bool] = lambda: False
) -> Report:
    """Delete what is older than it is kept; windows and the bucket's own retention are the
    database's to keep. Once it is `stopping` the rest stays due. Raises StoreUnavailable."""
    spans = {
        "observations": kept.raw,
        "estimates": kept.derived,
        "logs": kept.logs,
        "judgements": kept.judgements,
    }
    gone = dict.fromkeys(spans, 0)
    with asked(settings) as client:
        for name, span in spans.items():
            for measurement in _MEASUREMENTS[name]:
                if span and not stopping():
                    gone[name] += _delete(client, settings, measurement, now - span)
    return Report(now, **gone)


def erase(settings: InfluxSettings, patient: str) -> Mapping[str, int]:
    """Delete all points of a patient, rows and windows: bucket → how many there were.

    It reads back, and deletes again what a task made meanwhile of rows that it had read before.
    Raises StoreUnavailable, also where points are there after that: somebody writes them.
    """
    buckets = [settings.bucket, *(f"{settings.bucket}_{length}" for length in WINDOWS)]
    gone = dict.fromkeys(buckets, 0)
    with asked(settings) as client:
        there = [name for name in buckets if client.buckets_api().find_bucket_by_name(name)]  # type: ignore[no-untyped-call]
        for _ in range(_ERASURES):
            found = {name: _points_of(client, name, patient) for name in there}
            if not any(found.values()):
                return {name: gone[name] for name in there}
            for name in there:  # rows first: windows are made of them
                gone[name] += found[name]
                client.delete_api().delete(
                    "1677-09-22T00:00:00Z",
                    "2262-04-10T00:00:00Z",
                    f"patient={json.dumps(patient)}",
                    bucket=name,
                    org=settings.org,
                )
    raise StoreUnavailable("points of the patient come again as they are erased: stop what writes")


def _points_of(client: InfluxDBClient, bucket: str, patient: str) -> int:
    counted = answer(
        client,
        f"from(bucket: {json.dumps(bucket)}) |> range(start: 1677-09-22, stop: 2262-04-10)"
        f" |> filter(fn: (r) => r.patient == {json.dumps(patient)})"
        ' |> count() |> keep(columns: ["_value"]) |> group() |> sum()',
    )
    return _sum_of(counted)


def _sum_of(counted: str) -> int:
    numbers = [line.rpartition(",")[2] for line in counted.split() if not line.startswith("#")]
    return sum(int(number) for number in numbers if number.isdecimal())


def _delete(client: InfluxDBClient, settings: InfluxSettings, measurement: str, cut: int) -> int:
    """Points that were there before the cut, and are no more."""
    field = _COUNTED.get(measurement, "mean")
    bucket = json.dumps(settings.bucket)
    counted = answer(
        client,
        f"from(bucket: {bucket}) |> range(start: 0, stop: {format_instant(cut)})"
        f' |> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{field}")'
        ' |> group() |> count() |> keep(columns: ["_value"])',
    )
    count = _sum_of(counted)
    if count:
        client.delete_api().delete(
            "1970-01-01T00:00:00Z",
            format_instant(cut),
            f'_measurement="{measurement}"',
            bucket=settings.bucket,
            org=settings.org,
        )
    return count
