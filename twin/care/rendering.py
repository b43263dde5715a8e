"""Pages out of templates, with what all of them show: link, alarms that wait, purpose, notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND, parse_instant
from twin.care.alarm_words import SYMBOLS, AlarmCell, one_cell
from twin.care.api.alarms import OUTCOMES, PAUSE_MINUTES, PAUSE_REASONS
from twin.care.api.signals import gap_ns
from twin.care.cells import unit_of
from twin.care.parts import Parts
from twin.care.purpose_words import hours_words, uncovered_words
from twin.care.rank import by_urgency, is_unanswered
from twin.care.reader import THEMES, Reader, remember
from twin.care.reading import Reading
from twin.care.settings import LANGUAGES
from twin.care.silences import lines_of
from twin.care.templates import TEMPLATES
from twin.care.vitals import VITALS
from twin.care.words import Words, catalogue
from twin.judgement import Alarm

#: Families of words that the script writes; the others stand in the page already.
_LIVE_WORDS = {
    *("act", "age", "alarm", "band", "cause", "chart", "counts", "escalation", "link", "news2"),
    *("outcome", "parameter", "patient", "priority", "reason", "short", "signal", "sound", "state"),
    *("status", "strip", "trend", "trial", "wall", "ward", "who", "forecast", "smooth", "whatif"),
}

#: What is said of the system in a banner (`twin.runtime.watchdogs`), where a page is made.
FAULTS = frozenset(
    {
        "quiet",
        "worker_behind",
        "store_behind",
        "journal_filling",
        "disk_low",
        "clock_stepped",
        "outward_behind",
    }
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
    name = parts.names.of(request.headers)
    alarms = parts.feed.open_alarms()
    settings = parts.settings
    html = TEMPLATES.get_template(page).render(
        t=reader.words,
        reader=reader,
        settings=settings,
        languages=LANGUAGES,
        themes=THEMES,
        address=request.url.path,
        now=reader.words.clock(now),
        state=parts.feed.state,
        faults=[each for each in parts.health().degraded if each in FAULTS],
        about=_about(parts, reader, now, names.get("patient"), name),
        unit_of=lambda code: unit_of(code, reader.words),
        moment=lambda iso: reader.words.moment(parse_instant(iso), now),
        name=name,
        alarms_on=parts.feed.alarms_on,
        counts=counts_of(alarms),
        symbols=SYMBOLS,
        strip=_strip(alarms, parts, now, reader.words),
        silences=lines_of(parts.feed.silences(), reader.words, now),
        covered=settings.purpose.covered(now, ZoneInfo(settings.zone)),
        uncovered=uncovered_words(settings.purpose, reader.words),
        watching=hours_words(settings.purpose, reader.words),
        **names,
    )
    response = HTMLResponse(html, status)
    remember(request, response)
    return response


def counts_of(alarms: Sequence[Alarm]) -> Counter[str]:
    """Priority → alarms of it that nobody has."""
    return Counter(alarm.priority.value for alarm in alarms if is_unanswered(alarm))


def _strip(
    alarms: Sequence[Alarm], parts: Parts, now: int, words: Words
) -> tuple[str, AlarmCell] | None:
    """Whom the first alarm that nobody has is about, and its words."""
    waiting = [alarm for alarm in alarms if is_unanswered(alarm)]
    if not waiting:
        return None
    first = min(waiting, key=by_urgency)
    who = parts.feed.labels.get(first.patient) or first.patient
    return who, one_cell(first, now, words, len(waiting) - 1)


def _about(parts: Parts, reader: Reader, now: int, patient: str | None, name: str | None) -> str:
    """What the script is told, as JSON that may stand in a page."""
    settings, language = parts.settings, reader.words.language
    about = {
        "language": language,
        "zone": settings.zone,
        "speed": settings.speed,
        "build": settings.build,
        "time": now / SECOND * 1000,
        "patient": patient,
        "name": name,
        "alarms_on": parts.feed.alarms_on,
        "reasons": PAUSE_REASONS,
        "minutes": PAUSE_MINUTES,
        "outcomes": OUTCOMES,
        "signals": [_signal(code, reader.words) for code in VITALS],
        "words": {
            key: text
            for key, text in catalogue(language).items()
            if key.partition(".")[0] in _LIVE_WORDS
        },
    }
    return msgspec.json.encode(about).decode().replace("<", "\\u003c")


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
