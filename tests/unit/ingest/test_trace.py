"""Which records are traced, how their spans hang together, and what a collector gets of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ingest.journal.protocol import Progress
from ingest.journal.sqlite import SqliteJournal
from ingest.trace import STAGES, Follower, Span, Tracer, secret_of
from ingest.trace_otel import Spans

SECRET = b"of a folder"


@pytest.fixture
def told() -> list[Span]:
    return []


@pytest.fixture
def tracer(told: list[Span]) -> Tracer:
    return Tracer(10, SECRET, told.append, now=lambda: 1_000)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal", partitions=2, reserve_bytes=1 << 20)
    yield journal
    journal.close()


def test_each_position_that_is_a_multiple_is_sampled_once(tracer: Tracer) -> None:
    assert list(tracer.sampled(0, 9)) == []
    assert list(tracer.sampled(9, 10)) == [10]
    assert list(tracer.sampled(10, 19)) == []
    assert list(tracer.sampled(5, 40)) == [10, 20, 30, 40]


def test_processes_that_know_nothing_of_each_other_tell_one_trace(
    tracer: Tracer, told: list[Span]
) -> None:
    other: list[Span] = []
    tracer.span("journal", range(10, 11), 100, 200, records=3)
    Tracer(10, SECRET, other.append).span("step", range(10, 11), 300, 400)
    (journalled,), (stepped,) = told, other
    assert (stepped.trace, stepped.parent) == (journalled.trace, journalled.id)
    assert journalled.numbers == {"position": 10, "records": 3}


def test_other_records_and_other_installations_have_other_traces(
    tracer: Tracer, told: list[Span]
) -> None:
    tracer.span("step", range(10, 21, 10), 100, 200)
    Tracer(10, b"elsewhere", told.append).span("step", range(10, 11), 100, 200)
    assert len({each.trace for each in told}) == len({each.id for each in told}) == 3


def test_a_clock_that_was_set_back_makes_no_span_that_ends_before_it_began(
    tracer: Tracer, told: list[Span]
) -> None:
    tracer.span("store.embedded", range(10, 11), 2_000)
    assert (told[0].began, told[0].ended) == (1_000, 1_000)


def commit(journal: SqliteJournal, position: int, outputs: int) -> None:
    """As the worker does it: what was made of the observations up to the position."""
    worker = journal.join(_Nobody())
    try:
        made = [b"output"] * outputs
        worker.commit({0: Progress(position, made), 1: Progress(position)})
    finally:
        worker.close()


class _Nobody:
    def assigned(self, partitions: object) -> None: ...
    def revoked(self, partitions: object) -> None: ...


def test_a_reader_of_estimates_has_reached_a_record_when_it_has_all_that_was_made_of_it(
    journal: SqliteJournal, tracer: Tracer, told: list[Span]
) -> None:
    commit(journal, 12, 1)
    follower = Follower(tracer, journal, "store.embedded")  # what was before is not its work
    commit(journal, 25, 3)
    follower.look()
    follower.reached(3)
    assert told == []
    commit(journal, 30, 1)
    follower.reached(4, 700, rows=9)
    assert [(each.numbers["position"], each.began, each.ended) for each in told] == [
        (20, 700, 1_000)
    ]
    follower.look()
    follower.reached(5)
    assert [each.numbers["position"] for each in told] == [20, 30]
    assert [each.numbers["up_to"] for each in told] == [4, 5]


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    found: list[bytes] = []
    together = Barrier(8)

    def ask() -> None:
        together.wait()
        found.append(secret_of(tmp_path / "tracing.key"))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 16
    assert [each.name for each in tmp_path.iterdir()] == ["tracing.key"]


def test_spans_reach_an_exporter_with_their_parents_and_numbers() -> None:
    kept = InMemorySpanExporter()
    spans = Spans(kept, "ingest+worker")
    tracer = Tracer(10, SECRET, spans.tell)
    for stage in STAGES:
        tracer.span(stage, range(10, 11), 5_000, 6_000, records=2)
    spans.close()
    finished = {each.name: each for each in kept.get_finished_spans()}
    assert set(finished) == {f"twin.{stage}" for stage in STAGES}
    assert len({each.context.trace_id for each in finished.values() if each.context}) == 1
    for stage, above in STAGES.items():
        span = finished[f"twin.{stage}"]
        assert (span.start_time, span.end_time) == (5_000, 6_000)
        assert span.attributes == {"twin.position": 10, "twin.records": 2}
        assert span.resource.attributes["twin.roles"] == "ingest+worker"
        if above:
            parent, context = span.parent, finished[f"twin.{above}"].context
            assert parent is not None
            assert context is not None
            assert parent.span_id == context.span_id
        else:
            assert span.parent is None


class Failing(SpanExporter):
    """A collector that is away."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.FAILURE


def test_a_collector_that_takes_nothing_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    spans = Spans(Failing(), "care")
    tracer = Tracer(1, SECRET, spans.tell)
    tracer.span("feed", range(1, 2_001), 5_000, 6_000)  # several exports
    spans.close()
    assert [each.message for each in caplog.records] == [
        "the collector takes no traces; they are dropped until it does"
    ]


def test_without_a_collector_opentelemetry_is_not_loaded() -> None:
    look = "import sys, twin.runtime.pipeline; sys.exit('opentelemetry.sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
