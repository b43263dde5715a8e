"""A stream is over with the session in which it was opened."""

import asyncio
from dataclasses import replace

import pytest
from starlette.datastructures import Headers

from tests.support.care import feed_of, parts_of
from tests.support.streams import Line, next_events, tell
from tests.support.ward import Said
from twin.care.access import SESSION_COOKIE, SESSION_S, Access
from twin.care.api.stream import events

TOKEN = "a-token-of-sixteen-characters"


@pytest.mark.parametrize("way", ["signed out", "pushed out by others", "over by itself"])
def test_a_stream_ends_with_its_session_and_says_nothing_more(way: str) -> None:
    """By its queue and by its wire; who bears the token goes on."""

    async def scene() -> None:
        clock, feed, line = [0.0], feed_of(Said()), Line()
        access = Access(TOKEN, lambda: clock[0])
        parts = replace(parts_of(feed), access=access)
        secret = access.open_session()
        if way == "over by itself":
            clock[0] = SESSION_S - 0.05
        mine = Headers({"cookie": f"{SESSION_COOKIE}={secret}"})
        bearer = Headers({"authorization": f"Bearer {TOKEN}"})
        stream = events(parts, "", "", "", line.wire, mine)
        other = events(parts, "", "", "", None, bearer)
        for each in (stream, other):
            assert [(await next_events(each))[0][0] for _ in range(2)] == ["hello", "snap"]
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        tell(feed, Said(at=1, mean=75))
        assert len(line.sent) == 1
        if way == "signed out":
            access.close_session(secret)
        elif way == "pushed out by others":
            for n in range(1_000):
                clock[0] = float(n)
                access.open_session()
        if way != "over by itself":
            tell(feed, Said(at=2, mean=76))
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(waiting, 5)
        tell(feed, Said(at=3, mean=77))
        assert len(line.sent) == 1
        assert (await next_events(other))[0][0] == "d"
        await other.aclose()
        assert feed.hub.clients == 0

    asyncio.run(scene())
