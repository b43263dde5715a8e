"""What `twin store init` makes in InfluxDB, and what the retention job removes there.

Buckets `<bucket>_1m` and `<bucket>_15m` hold windows of estimates and observations; a task of the
database fills each. Every run makes the windows of the last hour anew, and all of them from the
earliest stamp on that came late since its last success: the writer marks it (`touched`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.task_create_request import TaskCreateRequest
from influxdb_client.rest import ApiException

from ingest.instant import SECOND, format_instant
from twin.store.aggregates import Limits
from twin.store.influx import InfluxSettings, answer, connected, unavailable
from twin.store.protocol import StoreUnavailable
from twin.store.retention import Kept, Report

#: Suffix of bucket and task, and length of its windows in Flux.
WINDOWS = ("1m", "15m")
_WRONG = 400
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


def initialise(settings: InfluxSettings, kept: Kept, limits: Limits) -> Made:
    """Make buckets and tasks that are missing; a task that differs is given its new text.

    Raises StoreUnavailable.
    """
    client = connected(settings)
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
            if _make_task(client, settings, length, limits)
        ]
        return Made(tuple(buckets), tuple(tasks))
    except ApiException as error:
        if error.status == _WRONG:
            raise StoreUnavailable(f"status 400: {error.message}") from error  # about our own text
        raise unavailable(error) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailable(f"no answer: {type(error).__name__}") from error
    finally:
        client.close()  # type: ignore[no-untyped-call]


def _make_bucket(client: InfluxDBClient, org: str, name: str, seconds: int) -> bool:
    buckets = client.buckets_api()
    if buckets.find_bucket_by_name(name) is not None:  # type: ignore[no-untyped-call]
        return False
    rules = BucketRetentionRules(type="expire", every_seconds=seconds)  # type: ignore[no-untyped-call]
    buckets.create_bucket(bucket_name=name, org=org, retention_rules=rules)
    return True


def _make_task(
    client: InfluxDBClient, settings: InfluxSettings, length: str, limits: Limits
) -> bool:
    api, name = client.tasks_api(), f"{settings.bucket}-{length}"
    flux = task_text(settings, length, limits)
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


def task_text(settings: InfluxSettings, length: str, limits: Limits) -> str:
    """The Flux of a task. outside_s: seconds since the estimate before, 60 at most, of estimates
    outside the limits."""
    bucket, target = json.dumps(settings.bucket), json.dumps(f"{settings.bucket}_{length}")
    each = [
        f'write(tables: window(fn: {function}, of: estimates), field: "{field}", of: "estimate")'
        for function, field in (("mean", "mean"), ("min", "min"), ("max", "max"), ("count", "n"))
    ] + [
        f'write(tables: window(fn: {function}, of: seen), field: "{field}", of: "observation")'
        for function, field in (("mean", "mean"), ("min", "min"), ("max", "max"), ("count", "n"))
    ]
    if limits:
        each.append(
            'write(tables: window(fn: sum, of: outside), field: "outside_s", of: "estimate")'
        )
    low, high = (_dictionary({k: pair[i] for k, pair in limits.items()}) for i in (0, 1))
    outside = f"""
low = {low}
high = {high}
outside = estimates |> elapsed(unit: 1ms)
 |> filter(fn: (r) => r._value < dict.get(dict: low, key: r.signal, default: -1000000000.0)
    or r._value > dict.get(dict: high, key: r.signal, default: 1000000000.0))
 |> map(fn: (r) => ({{r with _value: if r.elapsed > 60000 then 60.0
    else float(v: r.elapsed) / 1000.0}}))
""" if limits else ""  # fmt: skip
    return f"""import "date"
import "dict"
import "influxdata/influxdb/tasks"
option task = {{name: "{settings.bucket}-{length}", every: 15m, offset: 2m}}
late = from(bucket: {bucket}) |> range(start: tasks.lastSuccess(orTime: 1970-01-01T00:00:00Z))
 |> filter(fn: (r) => r._measurement == "touched" and r._field == "since") |> group() |> min()
 |> findRecord(fn: (key) => true, idx: 0)
recent = int(v: date.truncate(t: date.sub(d: 1h, from: now()), unit: 15m))
earliest = if exists late._value then int(v: late._value) * 1000000 else recent
start = date.truncate(t: time(v: if earliest < recent then earliest else recent), unit: 15m)
stop = date.truncate(t: now(), unit: 15m)
points = from(bucket: {bucket}) |> range(start: start, stop: stop)
estimates = points
 |> filter(fn: (r) => r._measurement == "estimate" and r._field == "mean")
 |> group(columns: ["patient", "signal"]) |> sort(columns: ["_time"])
seen = points
 |> filter(fn: (r) => r._measurement == "observation" and r._field == "value")
 |> group(columns: ["patient", "signal", "device"]) |> sort(columns: ["_time"])
{outside}
window = (fn, of) => of
 |> aggregateWindow(every: {length}, fn: fn, createEmpty: false, timeSrc: "_start") |> toFloat()
write = (tables, field, of) => tables |> set(key: "_measurement", value: of)
 |> set(key: "_field", value: field) |> drop(columns: ["_start", "_stop", "elapsed"])
 |> to(bucket: {target})
""" + "\n".join(each) + "\n"  # fmt: skip


def _dictionary(numbers: Mapping[str, float]) -> str:
    pairs = ", ".join(
        f"{json.dumps(key)}: {float(min(max(n, -1e9), 1e9)):f}" for key, n in numbers.items()
    )
    return f"[{pairs or ':'}]"


def forget(settings: InfluxSettings, kept: Kept, now: int) -> Report:
    """Delete what is older than it is kept; windows and the bucket's own retention are the
    database's to keep. Raises StoreUnavailable."""
    client = connected(settings)
    gone: dict[str, int] = {}
    try:
        for name, span in (
            ("observations", kept.raw),
            ("estimates", kept.derived),
            ("logs", kept.logs),
            ("judgements", kept.judgements),
        ):
            gone[name] = sum(
                _delete(client, settings, measurement, now - span)
                for measurement in _MEASUREMENTS[name]
                if span
            )
    except ApiException as error:
        raise unavailable(error) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailable(f"no answer: {type(error).__name__}") from error
    finally:
        client.close()  # type: ignore[no-untyped-call]
    return Report(now, **gone)


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
    numbers = [line.rpartition(",")[2] for line in counted.split() if not line.startswith("#")]
    count = sum(int(number) for number in numbers if number.isdecimal())
    if count:
        client.delete_api().delete(
            "1970-01-01T00:00:00Z",
            format_instant(cut),
            f'_measurement="{measurement}"',
            bucket=settings.bucket,
            org=settings.org,
        )
    return count
