"""/api/v1/purpose: what this installation is for, and whether somebody watches now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Response

from ingest.instant import format_instant
from twin.care.api.bodies import answer, answers
from twin.care.parts import PartsOf
from twin.care.purpose_words import clock_of, uncovered_words
from twin.care.settings import LANGUAGES
from twin.care.words import Words

router = APIRouter(prefix="/api/v1")


class PurposeBody(msgspec.Struct, frozen=True):
    """The manifest of the intended purpose. It is not a medical device in any mode.

    alarms: whether the twin raises any. days: 0 = Monday; begins, ends: HH:MM in `zone` (ends may
    be 24:00, or before begins over midnight). covered: somebody watches now. notice: by language,
    what an application must show, to patients too, while covered is false; null while it is true.
    """

    time: str
    mode: str
    responsible: str
    alarms: bool
    zone: str
    days: Sequence[int]
    begins: str
    ends: str
    covered: bool
    emergency: str
    notice: Mapping[str, str] | None


BODIES = (PurposeBody,)


@router.get("/purpose", responses=answers(PurposeBody))
def purpose(parts: PartsOf) -> Response:
    """Mode, hours of watching, and the notice outside them."""
    settings, now = parts.settings, parts.feed.now()
    manifest, zone = settings.purpose, ZoneInfo(settings.zone)
    covered = manifest.covered(now, zone)
    notice = {language: uncovered_words(manifest, Words(language, zone)) for language in LANGUAGES}
    return answer(
        PurposeBody(
            format_instant(now),
            manifest.mode,
            manifest.responsible,
            parts.feed.alarms_on,
            settings.zone,
            sorted(manifest.days),
            clock_of(manifest.begins),
            clock_of(manifest.ends),
            covered,
            manifest.emergency,
            None if covered else notice,
        )
    )
