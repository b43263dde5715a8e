"""Who gets in, and what another site's page cannot do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping

import httpx2 as httpx
import pytest
from starlette.datastructures import Headers

from tests.support.care import feed_of
from tests.support.ward import MemoryHistory, MemoryPeople, MemoryQuarantine, Said
from twin.care.access import SESSION_S, Access, Attempts
from twin.care.app import create_app
from twin.care.server import PageServer
from twin.care.settings import CareSettings

TOKEN = "a-token-of-sixteen-characters"
WITH_TOKEN = CareSettings(simulated=False, token=TOKEN)
OPEN = CareSettings(simulated=True, token=None)
FORM = {"content-type": "application/x-www-form-urlencoded"}


def visit(
    steps: Callable[[httpx.AsyncClient], Awaitable[None]],
    settings: CareSettings = WITH_TOKEN,
    base: str = "https://ward.example",
) -> None:
    feed = feed_of(Said())
    app = create_app(settings, feed, MemoryHistory(), MemoryPeople(), MemoryQuarantine())

    async def run() -> None:
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 4000))
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            await steps(client)

    asyncio.run(run())


def test_without_the_token_nothing_of_a_patient_comes_out() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        for path in ("/api/v1/patients", "/api/v1/stream", "/metrics", "/openapi.json"):
            answer = await client.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"
        answer = await client.get("/p/p1")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/p/p1")
        for path in ("/healthz", "/readyz", "/static/app.css", "/sign-in"):
            assert (await client.get(path)).status_code == 200

    visit(steps)


def test_an_origin_that_is_no_address_is_another_site() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        for origin in ("http://[", "null", "http://[::1", "//"):
            answer = await client.post(
                "/name", data={"name": "I. Roux"}, headers={"origin": origin}
            )
            assert answer.status_code == 403, origin

    visit(steps, OPEN, "http://localhost")


def test_a_form_of_too_many_fields_is_refused() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        answer = await client.post("/name", content="a=1&" * 40, headers=FORM)
        assert answer.status_code == 413
        assert answer.json()["expected"] == "at most 10 fields"

    visit(steps, OPEN, "http://localhost")


def test_head_is_what_get_says_without_its_body() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        for path in ("/", "/healthz", "/api/v1/patients", "/static/app.css", "/p/nobody"):
            said, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (said.status_code, b""), path
            assert head.headers["content-type"] == said.headers["content-type"]
        assert (await client.head("/api/v1/stream")).status_code == 405
        assert (await client.head("/name")).status_code == 405

    visit(steps, OPEN, "http://localhost")


def test_head_gets_no_further_than_get_without_the_token() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.head("/api/v1/patients")).status_code == 401
        assert (await client.head("/p/p1")).status_code == 303

    visit(steps)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer é", 401),
    ],
)
def test_the_token_opens_the_interface(header: str, status: int) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        headers = {"authorization": header.encode()}
        assert (await client.get("/api/v1/patients", headers=headers)).status_code == status

    visit(steps)


def test_signing_in_gives_a_cookie_that_scripts_and_other_sites_never_see() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        answer = await client.post("/sign-in", data={"token": TOKEN, "next": "/p/p1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/p/p1")
        cookie = answer.headers["set-cookie"].lower()
        for part in ("httponly", "samesite=strict", "secure", "path=/"):
            assert part in cookie
        assert TOKEN not in cookie
        assert (await client.get("/api/v1/patients")).status_code == 200
        assert (await client.post("/sign-out")).status_code == 303
        assert (await client.get("/api/v1/patients")).status_code == 401

    visit(steps)


def test_a_session_ended_on_the_server_is_ended_for_a_kept_cookie_too() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        await client.post("/sign-in", data={"token": TOKEN})
        kept = client.cookies["twin_session"]
        await client.post("/sign-out")
        client.cookies.set("twin_session", kept, domain="ward.example")
        assert (await client.get("/api/v1/patients")).status_code == 401

    visit(steps)


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil", "x"])
def test_signing_in_leads_to_a_page_of_ours_alone(elsewhere: str) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        answer = await client.post("/sign-in", data={"token": TOKEN, "next": elsewhere})
        assert answer.headers["location"] == "/"

    visit(steps)


def test_guessing_is_slowed_down_and_the_right_token_waits_too() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        for _ in range(5):
            assert (await client.post("/sign-in", data={"token": "guess"})).status_code == 403
        answer = await client.post("/sign-in", data={"token": TOKEN})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 61

    visit(steps)


def test_attempts_are_forgotten_after_a_minute_and_bounded_over_all_addresses() -> None:
    attempts = Attempts()
    for second in range(5):
        attempts.fail("a", second)
    assert attempts.wait("a", 10) == 51
    assert attempts.wait("b", 10) == 0
    assert attempts.wait("a", 60.5) == 0
    for i in range(60):
        attempts.fail(f"address-{i}", 100)
    assert attempts.wait("new", 101) == 60


def test_a_session_ends_by_itself() -> None:
    clock = [0.0]
    access = Access(TOKEN, lambda: clock[0])
    headers = httpx.Headers({"cookie": f"twin_session={access.open_session()}"})
    offered = Headers(raw=headers.raw)
    assert access.admits(offered)
    clock[0] = SESSION_S + 1.0
    assert not access.admits(offered)


def test_a_form_of_another_site_is_refused() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = await client.post("/sign-in", data={"token": TOKEN}, headers=headers)
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
        own = {"origin": "https://ward.example"}
        assert (
            await client.post("/sign-in", data={"token": TOKEN}, headers=own)
        ).status_code == 303

    visit(steps)


def test_whoever_is_not_let_in_sees_a_page_not_json() -> None:
    person = {"accept": "text/html,*/*;q=0.8", "accept-language": "fr"}

    async def another_site(client: httpx.AsyncClient) -> None:
        headers = person | {"origin": "https://evil.example"}
        answer = await client.post("/sign-in", data={"token": TOKEN}, headers=headers)
        assert answer.status_code == 403
        assert "envoyé par la page d’un autre site" in answer.text
        assert "set-cookie" not in answer.headers
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")

    async def another_name(client: httpx.AsyncClient) -> None:
        answer = await client.get("/", headers=person | {"host": "evil.example"})
        assert answer.status_code == 421
        assert "sous localhost" in answer.text
        assert "p1" not in answer.text

    visit(another_site)
    visit(another_name, OPEN, "http://localhost:8000")


def test_a_form_without_end_is_refused() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.post("/sign-in", content=b"x" * 5_000)).status_code == 413

    visit(steps)


def test_without_a_token_only_this_machines_names_are_served() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/v1/patients")).status_code == 200
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80"):
            answer = await client.get("/api/v1/patients", headers={"host": host})
            assert answer.status_code == 421
        for host in ("127.0.0.1:8000", "[::1]:8000", "LOCALHOST"):
            answer = await client.get("/api/v1/patients", headers={"host": host})
            assert answer.status_code == 200

    visit(steps, OPEN, "http://localhost:8000")


def test_every_answer_carries_the_security_headers() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        for path in ("/sign-in", "/api/v1/patients", "/static/app.css", "/nowhere"):
            headers = (await client.get(path)).headers
            assert headers["content-security-policy"].startswith("default-src 'self'; style-src")
            assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"

    visit(steps)


def test_a_page_beyond_loopback_needs_a_token() -> None:
    app = create_app(OPEN, feed_of(), MemoryHistory(), MemoryPeople(), MemoryQuarantine())
    with pytest.raises(ValueError, match="without a token only loopback"):
        PageServer(app, "0.0.0.0")


def test_a_short_token_is_refused() -> None:
    with pytest.raises(ValueError, match="16 characters"):
        CareSettings(simulated=False, token="short")


def test_neither_token_nor_patient_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        await client.post("/sign-in", data={"token": "wrong-" + TOKEN})
        await client.post("/sign-in", data={"token": TOKEN})
        await client.get("/api/v1/patients/p1-secret")

    with caplog.at_level(logging.DEBUG, logger="twin"):
        visit(steps)
    assert TOKEN not in caplog.text
    assert "p1-secret" not in caplog.text


def test_signing_in_keeps_the_name_and_signing_out_forgets_it() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        form = {"token": TOKEN, "name": " I.  Roux "}
        answer = await client.post("/sign-in", data=form)
        assert answer.status_code == 303
        assert "twin_name" in client.cookies
        await client.post("/sign-out")
        assert "twin_name" not in client.cookies

    visit(steps)


def test_a_name_can_be_given_later_and_what_is_none_is_refused() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        answer = await client.post("/name", data={"name": "x"})
        assert (answer.status_code, answer.json()["name"]) == (422, "name")
        assert (await client.post("/name", data={"name": "I. Roux"})).status_code == 204
        assert "twin_name" in client.cookies

    visit(steps, OPEN, "http://localhost")


def test_nobody_names_himself_without_the_token() -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        answer = await client.post("/name", data={"name": "I. Roux"})
        assert answer.status_code == 303

    visit(steps)


@pytest.mark.parametrize("path", ["/name", "/sign-in", "/api/v1/patients/p1/entries"])
def test_whoever_leaves_in_mid_body_is_no_error_of_ours(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Or anybody could fill the log, a traceback for each connection that is dropped."""
    app = create_app(OPEN, feed_of(Said()), MemoryHistory(), MemoryPeople(), MemoryQuarantine())
    told: list[dict[str, object]] = []
    heard: list[dict[str, object]] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": b"name=I", "more_body": True},
    ]

    async def receive() -> dict[str, object]:
        return heard.pop()

    async def send(message: MutableMapping[str, object]) -> None:
        told.append(dict(message))

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-length", b"100")],
        "client": ("127.0.0.1", 4000),
        "server": ("127.0.0.1", 80),
    }
    asyncio.run(app(scope, receive, send))
    assert told[0]["status"] == 400
    assert caplog.records == []
