"""Frames, the ring, returning and slow clients, without thread or socket."""

import asyncio
import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

from ingest.journal.protocol import Entry
from ingest.journal.sqlite import SqliteJournal
from tests.support.care import NOW, feed_of, parts_of, told
from tests.support.streams import Line, frame, next_events, parsed, tell
from tests.support.ward import MemoryPeople, Said, batch_of
from twin.care.api.stream import events
from twin.care.feed import Feed
from twin.care.frames import Frame
from twin.care.hub import RING_S, Client, Hub
from twin.estimate import encode_output


def test_a_new_viewer_gets_hello_then_everything_then_only_what_changes() -> None:
    async def scene() -> None:
        feed = feed_of(Said(), Said(patient="p2", signal="spo2", mean=97.004))
        stream = events(parts_of(feed), "", "")
        ((name, hello, _),) = await next_events(stream)
        assert (name, hello["speed"]) == ("hello", 1.0)
        ((name, snap, _),) = await next_events(stream)
        assert name == "snap"
        assert [key[1:] for key in snap["keys"]] == [["p1", "heart_rate"], ["p2", "spo2"]]
        assert [cell[1] for cell in snap["cells"]] == [72.0, 97.0]
        tell(feed, Said(patient="p2", signal="spo2", at=1, mean=96))
        ((name, delta, _),) = await next_events(stream)
        assert name == "d"
        assert [cell[:2] for cell in delta["cells"]] == [[1, 96.0]]
        assert "labels" not in delta
        await stream.aclose()
        assert feed.hub.clients == 0

    asyncio.run(scene())


def test_a_viewer_that_comes_back_gets_what_it_missed_and_nothing_twice() -> None:
    async def scene() -> None:
        feed = feed_of(Said())
        watching = feed.hub.subscribe("")
        tell(feed, Said(at=1, mean=73))
        cursor = feed.cursor()
        tell(feed, Said(at=2, mean=74))
        tell(feed, Said(at=3, mean=75))
        stream = events(parts_of(feed), "", cursor)
        assert [name for name, *_ in await next_events(stream)] == ["hello"]
        missed = await next_events(stream)
        assert [body["cells"][0][1] for _name, body, _ in missed] == [74.0, 75.0]
        tell(feed, Said(at=4, mean=76))
        assert [body["cells"][0][1] for _n, body, _ in await next_events(stream)] == [76.0]
        assert len(await watching.take()) == 4
        await stream.aclose()

    asyncio.run(scene())


def test_the_cursor_of_another_start_or_no_cursor_at_all_gives_a_snap() -> None:
    async def scene() -> None:
        for cursor in (feed_of(Said()).cursor(), "rubbish", "0-0-zz", "-"):
            stream = events(parts_of(feed_of(Said())), "", cursor)
            await next_events(stream)
            assert [name for name, *_ in await next_events(stream)] == ["snap"]
            await stream.aclose()

    asyncio.run(scene())


def test_a_viewer_who_was_there_alone_gets_a_snap_for_what_nobody_read() -> None:
    async def scene() -> None:
        feed = feed_of(Said())
        cursor = feed.cursor()
        tell(feed, Said(at=1, mean=90))
        stream = events(parts_of(feed), "", cursor)
        await next_events(stream)
        ((name, snap, _),) = await next_events(stream)
        assert (name, snap["cells"][0][1]) == ("snap", 90.0)
        await stream.aclose()

    asyncio.run(scene())


def test_a_patients_stream_holds_that_patient_alone_with_points_for_its_charts() -> None:
    async def scene() -> None:
        feed = feed_of(Said(), Said(patient="p2", mean=60))
        stream = events(parts_of(feed), "p2", "")
        await next_events(stream)
        ((_, snap, _id),) = await next_events(stream)
        assert [key[1] for key in snap["keys"]] == ["p2"]
        tell(feed, Said(at=1), Said(patient="p2", at=1, mean=61, std=2, value=63))
        ((_, delta, _id),) = await next_events(stream)
        assert [cell[1] for cell in delta["cells"]] == [61.0]
        ((at, mean, lo50, hi50, lo95, hi95),) = delta["estimates"]["heart_rate"]
        assert lo95 < lo50 < mean < hi50 < hi95
        assert round(hi95 - mean, 3) == 3.92
        assert delta["observations"] == {"heart_rate": [[at, 63.0, "watch-1"]]}
        await stream.aclose()
        assert feed.hub.watched == frozenset()

    asyncio.run(scene())


def test_a_backlog_too_long_for_a_frame_says_reload() -> None:
    async def scene() -> None:
        feed = feed_of(Said())
        stream = events(parts_of(feed), "p1", "")
        await next_events(stream)
        await next_events(stream)
        tell(feed, *(Said(at=i) for i in range(1, 1_200)))
        ((_, delta, _id),) = await next_events(stream)
        assert delta["reload"]
        assert "estimates" not in delta
        await stream.aclose()

    asyncio.run(scene())


def test_a_slow_client_loses_frames_gets_a_snap_and_delays_nobody() -> None:
    async def scene() -> None:
        feed = feed_of(Said())
        slow, quick = events(parts_of(feed), "", ""), feed.hub.subscribe("")
        await next_events(slow)
        await next_events(slow)
        for i in range(1, Client.BOUND + 3):
            tell(feed, Said(at=i, mean=70 + i))
            assert len(await quick.take()) == 1
        ((name, snap, _),) = await next_events(slow)
        assert (name, snap["cells"][0][1]) == ("snap", 70.0 + Client.BOUND + 2)
        tell(feed, Said(at=99, mean=99))
        assert [(n, b["cells"][0][1]) for n, b, _ in await next_events(slow)] == [("d", 99.0)]
        await slow.aclose()

    asyncio.run(scene())


def test_a_changed_label_is_told_once() -> None:
    async def scene() -> None:
        people = MemoryPeople({"p1": "Bed 1"})
        feed = feed_of(Said(), people=people)
        client = feed.hub.subscribe("")
        people.names["p1"] = "Bed 2"
        feed.read_labels()
        feed.hub.publish(feed.make_frames()[0], 0.0)
        assert [body["labels"] for body in await told(client)] == [{"p1": "Bed 2"}]
        feed.read_labels()
        assert feed.make_frames()[0] == []

    asyncio.run(scene())


def test_heartbeats_reach_everybody() -> None:
    hub = Hub()
    clients = [hub.subscribe(topic) for topic in (None, "", "p1")]
    hub.publish([frame(1, None)], 0.0)
    assert all(asyncio.run(client.take()) == [frame(1, None)] for client in clients)


def test_the_ring_forgets_by_age_and_says_so() -> None:
    hub = Hub()
    for number in range(1, 6):
        hub.publish([frame(number)], float(number))
    assert [f.number for f in hub.missed(2, 5) or []] == [3, 4, 5]
    hub.publish([frame(6)], RING_S + 4.5)
    assert hub.missed(2, 6) is None
    assert [f.number for f in hub.missed(4, 6) or []] == [5, 6]
    assert hub.missed(6, 6) == []


def test_the_ring_forgets_by_size() -> None:
    hub = Hub()
    for number in range(1, 5):
        hub.publish([frame(number, size=12_000_000)], 0.0)
    assert hub.missed(1, 4) is None
    assert [f.number for f in hub.missed(2, 4) or []] == [3, 4]


def test_a_closed_hub_ends_streams() -> None:
    async def scene() -> None:
        feed = feed_of(Said())
        stream = events(parts_of(feed), "", "")
        await next_events(stream)
        await next_events(stream)
        waiting = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0)
        feed.hub.close()
        assert await asyncio.wait_for(waiting, 60) is None
        assert [chunk async for chunk in events(parts_of(feed), None, "")][2:] == []

    asyncio.run(scene())


def test_a_damaged_record_is_counted_and_its_neighbours_are_folded() -> None:
    feed = feed_of()
    good = encode_output(batch_of(Said(mean=71)))
    torn = good[:-3]
    feed.take([Entry(0, 1, torn), Entry(0, 2, good)], 2)
    assert feed.damaged == 1
    assert feed.reading().rows["mean"].tolist() == [71.0]


def test_a_feed_that_cannot_save_goes_on(tmp_path: Path) -> None:
    (tmp_path / "care").write_text("in the place of the folder")
    journal = SqliteJournal(tmp_path / "journal", 1, reserve_bytes=1 << 16)
    feed = Feed(journal, MemoryPeople(), lambda: NOW, saved=tmp_path / "care" / "latest.bin")

    async def scene() -> None:
        feed.start()
        for position in (1, 2):  # the first is saved, or not, before the second is read
            journal.append("estimates", [(0, encode_output(batch_of(Said())))])
            async with asyncio.timeout(60):
                while feed.position < position:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
        assert feed.alive
        feed.stop()

    asyncio.run(scene())
    journal.close()
    assert feed.saved_position == 0  # the journal must keep what is nowhere else


def test_who_has_a_patient_open_is_told_to_all_who_have() -> None:
    feed = feed_of(Said())
    hub = feed.hub
    roux, other = hub.subscribe("p1", "I. Roux"), hub.subscribe("p1")
    hub.subscribe("p1", "I. Roux")  # the same person in a second window
    hub.subscribe("", "A. Blanc")  # looks at the ward
    assert hub.viewers == {"p1": ("", "I. Roux")}
    snap = json.loads(feed.snap("p1").payload.split(b"data: ", 1)[1])
    assert snap["viewers"] == ["", "I. Roux"]
    assert "viewers" not in json.loads(feed.snap("").payload.split(b"data: ", 1)[1])
    hub.unsubscribe(other)
    assert hub.viewers == {"p1": ("I. Roux",)}
    hub.unsubscribe(roux)
    assert hub.viewers == {"p1": ("I. Roux",)}


def test_the_ward_is_told_who_looks_at_whom_when_that_changes() -> None:
    async def scene() -> None:
        feed = feed_of(Said(), Said(patient="p2"))
        ward = events(parts_of(feed), "", "")
        await next_events(ward)
        ((_, snap, _),) = await next_events(ward)
        assert "watching" not in snap
        roux = feed.hub.subscribe("p1", "I. Roux")
        feed.hub.publish(feed.make_frames()[0], 0.0)
        ((name, delta, _),) = await next_events(ward)
        assert (name, delta["watching"]) == ("d", {"p1": ["I. Roux"]})
        tell(feed, Said(at=1, mean=73))
        ((_, delta, _),) = await next_events(ward)
        assert "watching" not in delta
        assert json.loads(feed.snap("").payload.split(b"data: ")[1])["watching"] == {
            "p1": ["I. Roux"]
        }
        feed.hub.unsubscribe(roux)
        feed.hub.publish(feed.make_frames()[0], 0.0)
        ((_, delta, _),) = await next_events(ward)
        assert delta["watching"] == {"p1": []}
        await ward.aclose()

    asyncio.run(scene())


@pytest.mark.parametrize("seed", range(20))
def test_what_goes_by_the_wire_and_what_waits_comes_in_order_and_once(seed: int) -> None:
    chance, line = random.Random(seed), Line()

    async def scene() -> None:
        feed = feed_of(Said())
        stream = events(parts_of(feed), "", "", "", line.wire)

        async def serve() -> None:
            async for chunk in stream:
                line.sent.append(chunk)
                while line.wire.full:  # as the server waits until there is room
                    await asyncio.sleep(0)

        serving = asyncio.ensure_future(serve())
        by_wire, last = 0, 0
        for number in range(1, 60):
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(chance.choice([0, 0, 0.002]))
            line.wire.full = chance.random() < 0.3
            before = len(line.sent)
            tell(feed, Said(at=number, mean=100 + number))
            by_wire, last = by_wire + len(line.sent) - before, 100 + number
        line.wire.full = False
        async with asyncio.timeout(60):
            while f"[0,{last}.0,".encode() not in line.sent[-1]:
                await asyncio.sleep(0.01)
        told = [each for chunk in line.sent for each in parsed(chunk)][1:]
        shown = [body["cells"][0][1] for _name, body, _cursor in told]
        assert told[0][0] == "snap"
        assert shown == sorted(shown)  # nothing out of order
        # A picture may come twice, to whom the queue overflowed while the first was made.
        for (before, one, _), (name, other, _) in pairwise(told):
            if name == "d" and one["cells"][0][1] > 100:
                further = other["cells"][0][1] - one["cells"][0][1]
                # A snap may show what is folded and in no frame yet: the next one says it again.
                assert further == 1 or (further == 0 and before == "snap")
        assert by_wire > 0
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert feed.hub.clients == 0

    asyncio.run(scene())


def test_a_connection_that_closes_is_written_to_no_more() -> None:
    async def scene() -> None:
        feed, line = feed_of(Said()), Line()
        stream = events(parts_of(feed), "", "", "", line.wire)
        await next_events(stream)
        await next_events(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        tell(feed, Said(at=1, mean=81))
        assert [body["cells"][0][1] for _, body, _ in parsed(line.sent[0])] == [81.0]
        line.closing = True
        tell(feed, Said(at=2, mean=82))
        assert len(line.sent) == 1
        ((_, body, _),) = parsed(await asyncio.wait_for(waiting, 60))
        assert body["cells"][0][1] == 82.0
        await stream.aclose()

    asyncio.run(scene())


def test_alarms_come_first_on_the_wire_too() -> None:
    async def scene() -> None:
        hub, line = Hub(), Line()
        client = hub.subscribe("", "", line.wire)
        waiting = asyncio.ensure_future(client.take())
        await asyncio.sleep(0)
        alarm = Frame(None, 1, b"event: al\n\n", kept=True)
        hub.publish([Frame("", 1, b"event: d\n\n"), alarm], 0.0)
        assert line.sent == [b"event: al\n\nevent: d\n\n"]
        client.close()
        assert await asyncio.wait_for(waiting, 60) == []

    asyncio.run(scene())
