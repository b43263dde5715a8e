"""A batch's trace over four processes, as a collector gets it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ingest.trace import STAGES
from tests.support.commands import eventually
from tests.support.contents import embedded_count
from tests.support.processes import free_port
from tests.support.publisher import publish_all, reading
from tests.support.runs import Tables, TwinRun
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

ROLES = ("ingest", "worker", "store", "care")
#: Of the flow's stages, as spans are called where there is one store.
NAMES = {f"twin.{'store.embedded' if stage == 'store' else stage}" for stage in STAGES}


class Collector:
    """A tiny OTLP endpoint: keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def traces(self) -> dict[bytes, dict[str, Span]]:
        """Trace → name → span."""
        found: dict[bytes, dict[str, Span]] = {}
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        found.setdefault(span.trace_id, {})[span.name] = span
        return found

    def whole(self) -> list[dict[str, Span]]:
        """Traces with every stage."""
        return [spans for spans in self.traces().values() if spans.keys() == NAMES]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def tables(broker: MosquittoServer, endpoint: str) -> Tables:
    return {
        "mqtt": {"port": broker.port},
        "devices": {"unknown": "register"},
        "tracing": {"endpoint": endpoint, "every_records": 1},
    }


def test_a_batch_is_one_trace_over_all_processes_and_says_nothing_of_anybody(
    mosquitto_server: MosquittoServer, collector: Collector, tmp_path: Path
) -> None:
    with ExitStack() as running:
        runs = {
            role: TwinRun(
                tmp_path / role, tables(mosquitto_server, collector.url), (role,), tmp_path / "data"
            )
            for role in ROLES
        }
        for run in runs.values():
            running.callback(run.close)
            run.launch()
        for role, run in runs.items():
            eventually(run.answers, f"{role} started; its log ends: {run.log()}", 120.0)
        runs["ingest"].wait_until_connected()
        patients: set[str] = set()

        def published() -> bool:
            stamp = time.time_ns()
            messages = [reading(f"wristband-{i}", stamp, {"heart_rate": 61.5}) for i in range(5)]
            assert publish_all(mosquitto_server.port, messages) == 5
            return bool(collector.whole())

        eventually(published, "one trace with every stage", 120.0)
        patients.update(each["patient"] for each in runs["care"].get("/api/v1/devices")["devices"])
        assert [run.stop() for run in runs.values()] == [0, 0, 0, 0]

    spans = collector.whole()[0]
    for stage, above in STAGES.items():
        span = spans[f"twin.{'store.embedded' if stage == 'store' else stage}"]
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.parent_span_id == (spans[f"twin.{above}"].span_id if above else b"")
        assert all(each.value.HasField("int_value") for each in span.attributes)
    order = [spans[f"twin.{stage}"].end_time_unix_nano for stage in ("journal", "step", "commit")]
    assert order == sorted(order)
    assert len(patients) == 5
    for body in collector.bodies:
        assert b"wristband" not in body
        assert b"heart_rate" not in body
        assert not any(patient.encode() in body for patient in patients)


def test_a_collector_that_is_away_holds_up_nothing(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    with TwinRun(tmp_path, tables(mosquitto_server, away)) as run:
        run.wait_until_connected()
        stamp = time.time_ns()
        messages = [
            reading("watch-1", stamp - i * 1_000_000_000, {"heart_rate": 60.0 + i})
            for i in range(20)
        ]
        assert publish_all(mosquitto_server.port, messages) == 20
        eventually(lambda: embedded_count(run.store) == 20, "all stored", 120.0)
        eventually(lambda: "takes no traces" in run.log(), "the log says it", 120.0)
        assert run.stop() == 0
    assert run.log().count("takes no traces") == 1
    assert "Traceback" not in run.log()
