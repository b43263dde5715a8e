"""Pages as plain HTML: useful before, and without, their script."""

import asyncio
import re

import httpx2 as httpx
import pytest

from tests.support.care import feed_of
from tests.support.ward import MemoryHistory, MemoryPeople, MemoryQuarantine, Said
from twin.care.app import create_app
from twin.care.settings import CareSettings
from twin.estimate import Status

PAGES = ("/", "/p/p1", "/devices", "/devices/watch-1", "/quarantine")


def page(path: str, *said: Said, simulated: bool = True, **headers: str) -> httpx.Response:
    settings = CareSettings(simulated, token=None, zone="Europe/Paris")
    people = MemoryPeople({"p1": "<b>Bed</b> 1", "p8": "Bed 8"})
    app = create_app(
        settings, feed_of(*said, people=people), MemoryHistory(), people, MemoryQuarantine()
    )

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            return await client.get(path, headers=named)

    return asyncio.run(get())


def cells(html: str) -> list[tuple[str, str, str]]:
    """(status, value, line below) of each cell of the ward."""
    pattern = r'data-status="(\w+)">.*?class="value">(.*?)</span>.*?class="sub">(.*?)</span>'
    return re.findall(pattern, html.split("<template")[0], re.S)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_what_it_is_not(path: str) -> None:
    html = page(path, Said()).text
    assert "No alarms: do not rely on this page to be called" in html
    assert "Not a medical device" in html
    assert "SIMULATED DATA – NOT FOR CARE" in html
    assert "SIMULATED" not in page(path, Said(), simulated=False).text
    french = page(path, Said(), accept_language="fr").text
    assert "Pas d’alarme\u202f: cette page n’appelle personne" in french
    assert "DONNÉES SIMULÉES – NE PAS UTILISER POUR LE SOIN" in french


def test_the_ward_shows_value_band_age_and_status_without_any_script() -> None:
    html = page(
        "/",
        Said(at=25, std=1),
        Said(at=0, signal="respiratory_rate", mean=15, status=Status.LATE),
        Said(at=0, signal="spo2", mean=97, status=Status.STALE),
        Said(at=28, signal="body_temperature", mean=36.84, std=0.4),
    ).text
    first = cells(html)[:4]
    assert first == [
        ("fresh", "72", "70–74"),
        ("late", "15", "13–17 · 30\u00a0s"),
        ("stale", "97", "stale · 30\u00a0s"),
        ("fresh", "≈\u202f36.8", "36.1–37.6 · 2\u00a0s"),
    ]
    assert "Waiting for the first measurement" in html


def test_a_band_never_leaves_what_the_signal_can_be() -> None:
    html = page("/", Said(at=28, signal="spo2", mean=99, std=2)).text
    assert ("fresh", "≈\u202f99", "95–100") in cells(html)


def test_french_numbers_have_a_comma() -> None:
    html = page("/?lang=fr", Said(at=28, signal="body_temperature", mean=36.84, std=0.1)).text
    assert ("fresh", "36,8", "36,6–37,0 · 2\u00a0s") in cells(html)


def test_labels_are_text() -> None:
    html = page("/", Said()).text
    assert "<b>Bed" not in html
    assert "&lt;b&gt;Bed&lt;/b&gt; 1" in html


def test_language_and_theme_are_remembered() -> None:
    answer = page("/?lang=fr&theme=dark")
    cookies = answer.headers.get_list("set-cookie")
    assert any(cookie.startswith("twin_lang=fr;") for cookie in cookies)
    assert 'data-theme="dark"' in answer.text
    again = page("/", cookie="twin_lang=fr; twin_theme=contrast")
    assert '<html lang="fr" data-theme="contrast">' in again.text
    wild = page('/?lang=xx&theme="><script>')
    assert '<html lang="en" data-theme="auto">' in wild.text
    assert wild.headers.get("set-cookie") is None


def test_a_patient_nobody_knows_is_a_page_of_its_own() -> None:
    answer = page("/p/nobody")
    assert answer.status_code == 404
    assert "no such page or patient" in answer.text


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nowhere", 404, "There is no such page or patient."),
        ("/nowhere?lang=fr", 404, "Cette page ou ce patient n’existe pas."),
        ("/p/p1/limits/deeper", 404, "There is no such page"),
        ("/sign-out", 405, "wrong with this request, or with the service now (405)"),
        ("/wall?mask=perhaps", 422, '<span lang="en">a parameter is wrong</span>'),
    ],
)
def test_an_error_is_a_small_page_in_a_browser_and_json_for_programs(
    path: str, status: int, said: str
) -> None:
    shown = page(path, Said(), accept=BROWSER)
    assert shown.status_code == status
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert said in shown.text
    assert '<a href="/">' in shown.text
    assert ("N’est pas un dispositif" if "fr" in path else "Not a medical device") in shown.text
    assert "Bed" not in shown.text
    for accept in ("TEXT/HTML", "text/html; q=0.5", "text/*"):
        assert page(path, Said(), accept=accept).headers["content-type"].startswith("text/html")
    for accept in ("*/*", "application/json", "text/html;q=0", "text/html;q=0.1, */*"):
        told = page(path, Said(), accept=accept)
        assert told.status_code == told.json()["status"] == status
        assert told.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/api/v1/patients/nobody", "/api/nowhere", "/static/nowhere.js"])
def test_what_is_no_page_stays_json_in_a_browser(path: str) -> None:
    assert page(path, accept=BROWSER).headers["content-type"] == "application/problem+json"


def test_a_patient_without_measurement_waits() -> None:
    assert '<p class="empty" id="waiting" >' in page("/p/p8").text


def test_no_page_holds_script_or_style_of_its_own() -> None:
    for path in PAGES:
        html = page(path, Said()).text
        assert not re.search(r"<style|\sstyle=|\son\w+=", html)
        scripts = re.findall(r"<script([^>]*)>", html)
        assert all('type="application/json"' in s or "src=" in s for s in scripts)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
