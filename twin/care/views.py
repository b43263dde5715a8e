"""The pages. Each is useful as plain HTML; the script then keeps it live."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND, parse_instant
from twin.care.api.bodies import PatientBody
from twin.care.api.devices import ledgers, refusals
from twin.care.api.patients import estimates_of, list_patients
from twin.care.api.signals import gap_ns
from twin.care.cells import band_of, cell_of, unit_of
from twin.care.feed import Reading
from twin.care.parts import Parts, PartsOf
from twin.care.reader import THEMES, Reader, reader_of, remember
from twin.care.settings import LANGUAGES
from twin.care.vitals import VITALS, ward_columns
from twin.care.words import Words, catalogue

router = APIRouter(include_in_schema=False)
RANGES = ("15m", "1h", "4h", "12h", "24h", "7d")
_SHOWN_ITEMS = 200
#: Families of words that the script writes; the others stand in the page already.
_LIVE_WORDS = {
    *("age", "band", "chart", "link", "patient", "short", "signal", "state", "status", "trend"),
    "ward",
}

_pages = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.filters["path"] = lambda text: quote(text, safe="")


@router.get("/")
def ward(request: Request, parts: PartsOf) -> Response:
    """Everybody, a row each."""
    reading, reader = parts.feed.reading(), reader_of(request, parts.settings)
    patients = list_patients(reading, parts.feed.devices())
    codes = ward_columns(patient.estimates.keys() for patient in patients)
    rows = [(patient, _cells(patient, codes, reader.words)) for patient in patients]
    return render(request, parts, reader, "ward.html", reading=reading, codes=codes, rows=rows)


@router.get("/p/{patient}")
def patient(patient: str, request: Request, parts: PartsOf) -> Response:
    """One patient's charts."""
    reading, reader = parts.feed.reading_of(patient), reader_of(request, parts.settings)
    if patient not in reading.labels:
        return render(request, parts, reader, "absent.html", status=404)
    found = dict(estimates_of(reading, parts.feed.devices()).get(patient, {}))
    words = reader.words
    vitals = [
        (cell_of(code, e, words), band_of(code, e.lo95, e.hi95, words), words.age(e.age_s))
        for code, e in found.items()
    ]
    return render(
        request,
        parts,
        reader,
        "patient.html",
        reading=reading,
        patient=patient,
        label=reading.labels[patient] or patient,
        vitals=vitals,
        ranges=RANGES,
    )


@router.get("/devices")
def devices(request: Request, parts: PartsOf) -> Response:
    """The ledger."""
    reader = reader_of(request, parts.settings)
    labels = parts.feed.labels
    return render(request, parts, reader, "devices.html", devices=ledgers(parts), labels=labels)


@router.get("/quarantine")
def quarantine(request: Request, parts: PartsOf, reason: str | None = None) -> Response:
    """What could not be used."""
    reader = reader_of(request, parts.settings)
    body = refusals(parts, _SHOWN_ITEMS, reason)
    return render(
        request, parts, reader, "quarantine.html", body=body, reason=reason, shown=_SHOWN_ITEMS
    )


def render(
    request: Request,
    parts: Parts,
    reader: Reader,
    page: str,
    *,
    status: int = 200,
    reading: Reading | None = None,
    **names: Any,
) -> Response:
    """A page, with what all pages show and know."""
    now = reading.time if reading else parts.feed.now()
    about = {
        "language": reader.words.language,
        "zone": parts.settings.zone,
        "speed": parts.settings.speed,
        "build": parts.settings.build,
        "time": now / SECOND * 1000,
        "patient": names.get("patient"),
        "signals": [_signal(code, reader.words) for code in VITALS],
        "words": {
            key: text
            for key, text in catalogue(reader.words.language).items()
            if key.partition(".")[0] in _LIVE_WORDS
        },
    }
    html = _pages.get_template(page).render(
        t=reader.words,
        reader=reader,
        settings=parts.settings,
        languages=LANGUAGES,
        themes=THEMES,
        address=request.url.path,
        now=reader.words.clock(now),
        state=parts.feed.state,
        about=msgspec.json.encode(about).decode().replace("<", "\\u003c"),
        unit_of=lambda code: unit_of(code, reader.words),
        moment=lambda iso: reader.words.moment(parse_instant(iso)),
        **names,
    )
    response = HTMLResponse(html, status)
    remember(request, response)
    return response


def _cells(patient: PatientBody, codes: list[str], words: Words) -> list[Any]:
    return [cell_of(code, patient.estimates.get(code), words) for code in codes]


def _signal(code: str, words: Words) -> dict[str, Any]:
    signal, vital = SIGNALS[code], VITALS[code]
    return {
        "code": code,
        "unit": unit_of(code, words),
        "decimals": vital.decimals,
        "lower": signal.lower,
        "upper": signal.upper,
        "spot": signal.spot,
        "ward": vital.ward,
        "gap_s": gap_ns(signal) / SECOND,
        "least": 4 * (vital.uncertain * 100 if vital.relative else vital.uncertain),
    }
