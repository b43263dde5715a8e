"""The page on a real socket with a real journal: streams, restart, stopping."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from ingest.instant import SECOND
from ingest.journal.sqlite import SqliteJournal
from tests.support.commands import eventually
from tests.support.stopwatch import Stopwatch
from tests.support.ward import T0, MemoryHistory, MemoryPeople, MemoryQuarantine, Said, batch_of
from twin.care import feed
from twin.care.app import create_app
from twin.care.feed import Feed
from twin.care.server import PageServer
from twin.care.settings import CareSettings
from twin.estimate import Outcome, encode_output

pytestmark = pytest.mark.integration


class Care:
    """A page on a folder's journal; `start` and `stop` as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 20)

    def start(self) -> PageServer:
        self.feed = Feed(
            self.journal,
            MemoryPeople(),
            lambda: T0 + 60 * SECOND,
            saved=self.folder / "care" / "latest.bin",
        )
        app = create_app(
            CareSettings(simulated=True, token=None),
            self.feed,
            MemoryHistory(),
            MemoryPeople(),
            MemoryQuarantine(),
        )
        self.page = PageServer(app)
        self.page.start()
        return self.page

    def say(self, *said: Said) -> None:
        self.journal.append("estimates", [(0, encode_output(batch_of(*said)))])


@pytest.fixture
def care(tmp_path: Path) -> Iterator[Care]:
    care = Care(tmp_path)
    yield care
    care.page.stop()
    care.journal.close()


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict, str]]:
    """(event, body, id) as they come."""
    fields: dict[str, str] = {}
    for line in lines:
        if ": " in line:
            name, _, text = line.partition(": ")
            fields[name] = text
        elif "event" in fields:
            yield fields["event"], json.loads(fields["data"]), fields.get("id", "")
            fields = {}


def test_an_estimate_in_the_journal_is_on_the_stream_within_a_second(care: Care) -> None:
    page = care.start()
    with httpx.stream("GET", f"{page.address}/api/v1/stream", timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        stream = events(answer.iter_lines())
        assert [next(stream)[0], next(stream)[0]] == ["hello", "snap"]
        watch = Stopwatch()
        care.say(Said(mean=81))
        delta = next(body for name, body, _ in stream if name == "d")
        assert watch.unhindered < 1
        assert delta["keys"] == [[0, "p1", "heart_rate"]]
        assert delta["cells"][0][1] == 81
        assert next(name for name, *_ in stream if name == "hb") == "hb"
    care.say(Said(patient="p2"))
    eventually(lambda: care.feed.hub.clients == 0, "gone")


def test_the_last_events_id_resumes_the_stream(care: Care) -> None:
    url = f"{care.start().address}/api/v1/stream"
    with httpx.stream("GET", url, timeout=60) as staying:
        kept = (each for each in events(staying.iter_lines()) if each[0] != "hb")
        assert [next(kept)[0], next(kept)[0]] == ["hello", "snap"]
        with httpx.stream("GET", url, timeout=60) as answer:
            stream = events(answer.iter_lines())
            assert [next(stream)[0], next(stream)[0]] == ["hello", "snap"]
            care.say(Said(mean=81))
            seen = next(cursor for name, _, cursor in stream if name == "d")
        care.say(Said(at=1, mean=82))
        assert [body["cells"][0][1] for _, body, _ in (next(kept), next(kept))] == [81, 82]
        with httpx.stream("GET", url, headers={"last-event-id": seen}, timeout=60) as again:
            stream = events(again.iter_lines())
            assert next(stream)[0] == "hello"
            name, body, _ = next(stream)
            assert (name, body["cells"][0][1]) == ("d", 82)


def test_a_restart_shows_at_once_what_was_shown_and_counts_nothing_twice(care: Care) -> None:
    page = care.start()
    care.say(Said(mean=81), Said(at=1, mean=82))
    eventually(lambda: care.feed.position == care.journal.end("estimates"), "shown")
    page.stop()
    page = care.start()
    body = httpx.get(f"{page.address}/api/v1/patients/p1", timeout=60).json()
    assert body["estimates"]["heart_rate"]["mean"] == 82
    (device,) = httpx.get(f"{page.address}/api/v1/devices", timeout=60).json()["devices"]
    assert device["ledger"]["journalled"] == 2
    page.stop()
    (care.folder / "care" / "latest.bin").write_bytes(b"torn")
    page = care.start()
    eventually(lambda: care.feed.position, "shown")
    (device,) = httpx.get(f"{page.address}/api/v1/devices", timeout=60).json()["devices"]
    assert device["ledger"]["journalled"] == 2


def test_stopping_takes_a_moment_though_streams_are_open(care: Care) -> None:
    page = care.start()
    with httpx.stream("GET", f"{page.address}/api/v1/stream", timeout=60) as answer:
        stream = events(answer.iter_lines())
        assert next(stream)[0] == "hello"
        watch = Stopwatch()
        page.stop()
        assert watch.unhindered < 3
    with pytest.raises(httpx.ConnectError):
        httpx.get(page.address, timeout=1)


def test_a_viewer_that_reads_nothing_delays_nobody(care: Care) -> None:
    page = care.start()
    care.say(*(Said(f"p{i:03}", at=0) for i in range(400)))
    with socket.create_connection(("127.0.0.1", page.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with httpx.stream("GET", f"{page.address}/api/v1/stream", timeout=60) as answer:
            stream = events(answer.iter_lines())
            for second in range(1, 15):
                watch = Stopwatch()
                care.say(*(Said(f"p{i:03}", at=second, mean=70 + second) for i in range(400)))
                means = {70.0 + second}
                while not any(
                    {cell[1] for cell in body.get("cells", ())} == means
                    for _, body, _ in (next(stream),)
                ):
                    pass
                assert watch.unhindered < 2


def test_a_reader_that_knows_no_chunks_gets_none(care: Care) -> None:
    page = care.start()
    care.say(Said(mean=80))
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as old:
        old.sendall(b"GET /api/v1/stream HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        stream = old.makefile("rb")
        lines = iter(lambda: stream.readline().decode().rstrip("\n"), "")
        while next(lines) != "\r":
            pass
        assert next(lines) == "retry: 2000"
        told: list[str] = []
        for at in range(1, 40):
            care.say(Said(at=at, mean=80 + at))
            told += iter(lambda: stream.readline().decode().rstrip("\n"), "")
            if "event: d" in told:
                break
        assert "event: d" in told
        assert all(line.partition(": ")[0] in ("id", "event", "data") for line in told)


def test_in_a_large_ward_an_outcome_and_the_end_do_not_wait_for_the_next_frame(
    care: Care, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LARGE", 1)
    monkeypatch.setattr(feed, "LARGE_FRAME_S", 600.0)
    page = care.start()
    with httpx.stream("GET", f"{page.address}/api/v1/stream", timeout=60) as answer:
        stream = events(answer.iter_lines())
        assert [next(stream)[0], next(stream)[0]] == ["hello", "snap"]
        care.say(Said(mean=81))
        assert next(body for name, body, _ in stream if name == "d")["cells"][0][1] == 81
        care.say(Said(at=1, mean=82))  # it waits: the next frame is due in ten minutes
        position = care.feed.position
        wait = care.feed.commands.outcomes.expect("once", 7)
        outcome = Outcome("once", True, "", 7)
        care.journal.append("estimates", [(0, encode_output(outcome))])
        assert wait.told.wait(60)
        assert (wait.outcome, care.feed.position > position) == (outcome, True)
        care.feed.commands.outcomes.forget("once", wait)
        watch = Stopwatch()
        page.stop()
        assert watch.unhindered < 3
