"""InfluxDB 2 through influxdb-client: the only module that knows it.

The client's batching mode logs and drops a batch after five retries and loses its buffer when the
process is killed, so bodies are written synchronously and what failed stays in the journal.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import time_ns  # noqa: TID251, a default of the constructor
from typing import Literal
from urllib.parse import urlencode

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.rest import ApiException

from ingest.closing import Closing
from twin.estimate import EstimateBatch, Written
from twin.judgement import Judgements
from twin.store import merged_kernel
from twin.store.judged_lines import judged_lines
from twin.store.line_protocol import lines, refiltered
from twin.store.line_text import Lines, lines_of
from twin.store.progress_file import ProgressFile
from twin.store.protocol import Storable, StoreUnavailable
from twin.text import line_kernel, series_kernel

#: Of more the database has no gain, we have little, and one bad point would cost more to find.
LINES_PER_BODY = 10_000
_SPLIT = frozenset((400, 413, 422))
_DROPPED = re.compile(r"dropped=(\d+)")
_EXPIRED = re.compile(r"retention policy")
_WHY = {
    401: "the token is not accepted",
    403: "the token may not write to the bucket",
    404: "the organisation or the bucket does not exist",
    429: "asks to wait",
}


_NOT_FOUND = 404


class BucketMissing(StoreUnavailable):
    """There is no such bucket, or the token may not see it."""


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """Where the database is. fields "full": all that an estimate has (30 instead of 12 µs of
    influxd's CPU a point). retention_s: of a bucket that `prepare` has to make; 0 keeps for ever.
    timeout_s: of one request."""

    url: str
    token: str = field(repr=False)
    org: str
    bucket: str
    fields: Literal["default", "full"] = "default"
    retention_s: int = 0
    timeout_s: float = 10.0


def connected(settings: InfluxSettings) -> InfluxDBClient:
    """A client; connects when it is first used."""
    return InfluxDBClient(
        url=settings.url,
        token=settings.token,
        org=settings.org,
        timeout=int(settings.timeout_s * 1000),
        retries=False,
    )


def _writer(client: InfluxDBClient, settings: InfluxSettings) -> Callable[[bytes], object]:
    """What writes a body as the client's write API does, whose own part of a request takes as long
    as all the rest of it."""
    api = client.api_client
    asked = {"org": settings.org, "bucket": settings.bucket, "precision": "ns"}
    headers = {"Content-Type": "text/plain", "Accept": "application/json"} | api.default_headers
    url = f"{api.configuration.host}/api/v2/write?{urlencode(asked)}"
    return lambda body: api.request("POST", url, headers=headers, body=body)  # type: ignore[no-untyped-call]


def answer(client: InfluxDBClient, flux: str) -> str:
    """What the database answers to a Flux query, as annotated CSV. Raises StoreUnavailable."""
    try:
        return str(client.query_api().query_raw(flux).data.decode())
    except ApiException as error:
        raise unavailable(error) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailable(f"no answer: {type(error).__name__}") from error


def examine(settings: InfluxSettings) -> str:
    """Why the bucket cannot be written and read with this token, or "". Writes nothing."""
    client = connected(settings)
    try:
        api = client.write_api(write_options=SYNCHRONOUS)
        api.write(settings.bucket, record=b"\n")  # no points: 204 if the token may write
        bucket = json.dumps(settings.bucket)
        answer(client, f"from(bucket: {bucket}) |> range(start: -1s) |> limit(n: 1)")
    except ApiException as error:
        return unavailable(error).reason
    except StoreUnavailable as error:
        return f"read: {error.reason}"
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return f"no answer: {type(error).__name__}"
    finally:
        client.close()  # type: ignore[no-untyped-call]
    return ""


@dataclass(slots=True)
class _Outcome:
    """rejected: (row, line, reason); expired: points older than the bucket's retention."""

    rejected: list[tuple[int, str, str]] = field(default_factory=list)
    expired: int = 0


class InfluxSink(Closing):
    """Sink that writes to a bucket, which it makes if it is missing. progress: its own small file
    (position, rejected points).

    Writing is safe from several threads: they take turns. Nothing is ever dropped: what the
    database will never take is in the progress file's `rejected`, all else is tried again by the
    caller.
    """

    def __init__(
        self,
        settings: InfluxSettings,
        progress: Path,
        now: Callable[[], int] = time_ns,
    ) -> None:
        self._settings = settings
        self._now = now
        self._progress = ProgressFile(progress)
        self._lock = threading.Lock()
        self._client = connected(settings)
        self._write_body = _writer(self._client, settings)
        line_kernel.warm_up()
        series_kernel.warm_up()
        merged_kernel.warm_up()

    @property
    def position(self) -> int:
        """Position in the estimates journal up to which everything was taken by the database."""
        return self._progress.position

    @property
    def rejected(self) -> int:
        """Points that the database will never take, ever."""
        return self._progress.rejected

    @property
    def expired(self) -> int:
        """Points that were older than the bucket keeps anything, ever."""
        return self._progress.expired

    @property
    def progress(self) -> ProgressFile:
        """Position and rejected points."""
        return self._progress

    def prepare(self) -> bool:
        """Make the bucket if it is missing; True if it was. Raises StoreUnavailable."""
        try:
            buckets = self._client.buckets_api()
            found = buckets.find_bucket_by_name(self._settings.bucket)  # type: ignore[no-untyped-call]
            if found is not None:
                return False
            rules = BucketRetentionRules(  # type: ignore[no-untyped-call]
                type="expire", every_seconds=self._settings.retention_s
            )
            buckets.create_bucket(
                bucket_name=self._settings.bucket, org=self._settings.org, retention_rules=rules
            )
        except ApiException as error:
            raise unavailable(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"no answer: {type(error).__name__}") from error
        return True

    def write(self, batch: EstimateBatch) -> Written:
        """Store one batch. An unavailable database keeps all of its rows."""
        try:
            return self.write_all([batch], None)
        except StoreUnavailable:
            return Written(0, (), range(len(batch.rows)))

    def write_all(self, batches: Sequence[Storable], position: int | None) -> Written:
        """See `twin.store.protocol.Store`; anchors are not kept here (`recorded_influx.py`). Blocks
        for one request per 10 000 points, or more of them where points are refused. Raises
        StoreUnavailable."""
        estimates = [each for each in batches if isinstance(each, EstimateBatch)]
        said = [each for each in batches if isinstance(each, Judgements)]
        with self._lock:
            return self._write(estimates, self._send_all(judged_lines(said)), position)

    def say_refiltered(self, patient: str, signal: str, first: int, until: int) -> None:
        """Say that the estimates of [first, until] (ns) were written anew, because observations
        came belated. Raises StoreUnavailable."""
        made = refiltered(patient, signal, first, until)
        with self._lock:
            outcome = _Outcome()
            self._send(made, range(len(made)), outcome)

    def _write(
        self, batches: Sequence[EstimateBatch], judged: _Outcome, position: int | None
    ) -> Written:
        made = lines(batches, self._settings.fields == "full", self._now())
        outcome = self._send_all(made)
        refused = [(line, reason) for _, line, reason in (*outcome.rejected, *judged.rejected)]
        self._progress.commit(position, refused, outcome.expired + judged.expired)
        rejected = tuple({row: reason for row, _, reason in outcome.rejected}.items())
        return Written(made.total - len(rejected), rejected, (), outcome.expired)

    def _send_all(self, made: Lines) -> _Outcome:
        outcome = _Outcome([(row, "", reason) for row, reason in made.rejected])
        for start in range(0, len(made), LINES_PER_BODY):
            self._send(made, range(start, min(start + LINES_PER_BODY, len(made))), outcome)
        return outcome

    def replay_rejected(self) -> tuple[int, int]:
        """Offer the rejected points again: (taken, still rejected). Raises StoreUnavailable."""
        found = self._progress.lines()
        made = lines_of([line for _, line in found], [n for n, _ in found], (), len(found))
        taken: list[int] = []
        for start in range(0, len(found), LINES_PER_BODY):
            outcome, part = _Outcome(), range(start, min(start + LINES_PER_BODY, len(found)))
            self._send(made, part, outcome)
            refused = {row for row, _, _ in outcome.rejected}
            taken += [found[i][0] for i in part if found[i][0] not in refused]
        self._progress.taken(taken)
        return len(taken), len(found) - len(taken)

    def _send(self, made: Lines, part: range, outcome: _Outcome) -> None:
        """Write a part of the lines; one that is refused is halved until the bad points are
        alone. Writing good points again on the way changes nothing."""
        status, why = self._post(made.body(part))
        if status not in _SPLIT:
            return
        said = _DROPPED.search(why) if status == 422 else None
        dropped = int(said[1]) if said else 0
        if status == 422 and _EXPIRED.search(why):
            outcome.expired += dropped or len(part)
        elif len(part) in (1, dropped):
            outcome.rejected += [(int(made.rows[i]), made.line(i), why) for i in part]
        else:
            middle = part.start + len(part) // 2
            self._send(made, range(part.start, middle), outcome)
            self._send(made, range(middle, part.stop), outcome)

    def _post(self, body: bytes) -> tuple[int, str]:
        """(204, "") or a status that says the body is wrong, and why. Raises StoreUnavailable."""
        try:
            self._write_body(body)
        except ApiException as error:
            if error.status in _SPLIT:
                return error.status, str(error.message)
            if error.status == _NOT_FOUND and self.prepare():
                raise StoreUnavailable("the bucket was missing and is made", 0.0) from error
            raise unavailable(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"no answer: {type(error).__name__}") from error
        return 204, ""

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]
        self._progress.close()


def unavailable(error: ApiException) -> StoreUnavailable:
    """What the database refused, in words of ours."""
    status = int(error.status or 0)
    asked = str(error.retry_after or "")
    kind = BucketMissing if status in (403, _NOT_FOUND) else StoreUnavailable
    return kind(
        f"status {status}: {_WHY.get(status, 'cannot serve')}",
        float(asked) if asked.isdecimal() else None,
    )
