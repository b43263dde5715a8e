"""/api/v1/stream: server-sent events, encoded once and shared by all readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Query, Request
from starlette.datastructures import Headers
from starlette.responses import StreamingResponse

from ingest.instant import MILLISECOND
from twin.care.frames import RETRY, Hello, event
from twin.care.hub import Client
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem
from twin.care.wire import Wire, wire_of

router = APIRouter(prefix="/api/v1")
_NO_HEADERS = Headers()
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@router.get("/stream", responses={200: {"content": {"text/event-stream": {}}}})
async def stream(
    request: Request,
    parts: PartsOf,
    patient: str | None = Query(None, description="only this patient, with points for charts"),
    quiet: bool = Query(False, description="heartbeats only"),
    after: str | None = Query(None, description="the last event's id, as the header Last-Event-ID"),
) -> StreamingResponse:
    """`hello`, each transition of an alarm since the last event's id as `al`, `snap` (or what else
    was missed since that id), then `d`, `al` and `hb`. Instead of `snap` a quiet one has `alarms`.
    """
    if patient is not None and patient not in parts.feed.labels:
        raise Problem(404, "no such patient")
    topic = None if quiet else (patient or "")
    cursor = request.headers.get("last-event-id") or after or ""
    who = parts.names.of(request.headers) or ""
    chunks = events(parts, topic, cursor, who, wire_of(request), request.headers)
    return StreamingResponse(chunks, 200, _HEADERS, "text/event-stream")


async def events(
    parts: Parts,
    topic: str | None,
    cursor: str,
    who: str = "",
    wire: Wire | None = None,
    headers: Headers = _NO_HEADERS,
) -> AsyncIterator[bytes]:
    """Chunks of the stream, without end until the hub closes or the session of its request is over,
    but for those that go out by its wire while the next one is waited for. topic, who, wire: see
    `Hub.subscribe`."""
    feed = parts.feed
    # Before the snap: what comes meanwhile waits in its queue.
    client = feed.hub.subscribe(topic, who, wire)
    try:
        with parts.access.following(headers, client.expel):
            async for payload in _from_the_start(parts, client, cursor):
                if client.expelled:
                    return
                yield payload
    finally:
        feed.hub.unsubscribe(client)


async def _from_the_start(parts: Parts, client: Client, cursor: str) -> AsyncIterator[bytes]:
    feed, settings, topic = parts.feed, parts.settings, client.topic
    time = feed.now() // MILLISECOND
    hello = Hello(time, settings.speed, settings.build, feed.cursor())
    yield RETRY + event("hello", hello)
    transitions = await asyncio.to_thread(feed.alarms_since, cursor)
    if transitions:
        yield transitions
    if topic is None:
        yield await asyncio.to_thread(feed.alarms_now)
    missed = feed.missed(cursor) if topic == "" else None
    if missed is None and topic is not None:
        client.behind = True
    elif missed:
        client.seen = missed[-1].number
        yield b"".join(frame.payload for frame in missed)
    async for payload in _following(parts, client):
        yield payload


async def _following(parts: Parts, client: Client) -> AsyncIterator[bytes]:
    while not client.closed:
        if client.behind and client.topic is not None:
            client.behind = False
            snap = await asyncio.to_thread(parts.feed.snap, client.topic)
            client.seen = snap.number
            yield snap.payload
        frames = await client.take()
        kept = [f for f in frames if f.kept]
        news = [f for f in frames if not f.kept and (f.topic != "" or f.number > client.seen)]
        payload = parts.feed.hub.together(kept if client.behind else kept + news)
        if payload:
            yield payload
