"""The pages. Each is useful as plain HTML; the script then keeps it live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastapi import APIRouter, Request, Response

from twin.care.alarm_views import listed, percent, reason_of
from twin.care.alarm_words import AlarmCell, Chip, alarm_cell, chip_of
from twin.care.api.bodies import PatientBody
from twin.care.api.devices import refusals
from twin.care.api.patients import estimates_of, list_patients
from twin.care.cells import Cell, band_of, cell_of
from twin.care.change_words import change_line, usual_line
from twin.care.journal_words import lines_of, not_used_of, worn_by
from twin.care.judged import ComponentBody, score_body
from twin.care.parts import PartsOf
from twin.care.rank import by_urgency, standing
from twin.care.reader import reader_of
from twin.care.reading import Reading
from twin.care.rendering import render
from twin.care.vitals import VITALS, ward_columns
from twin.care.words import Words
from twin.judgement import Alarm, Pause

router = APIRouter(include_in_schema=False)
RANGES = ("15m", "1h", "4h", "12h", "24h", "72h", "7d")
_SHOWN_ITEMS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One patient's row of the ward, in words; threes: signals whose sub-score is 3.

    own_limits: other limits hold than the ward's.
    """

    id: str
    label: str
    cells: Sequence[Cell]
    waiting: bool
    chip: Chip
    alarm: AlarmCell | None
    threes: Sequence[str]
    own_limits: bool = False


@router.get("/")
def ward(request: Request, parts: PartsOf) -> Response:
    """Everybody, a row each: who needs somebody first."""
    reading, reader = parts.feed.reading(), reader_of(request, parts.settings)
    patients = list_patients(reading, parts.feed.devices())
    codes = ward_columns(patient.estimates.keys() for patient in patients)
    return render(
        request,
        parts,
        reader,
        "ward.html",
        reading=reading,
        codes=codes,
        rows=ward_rows(reading, patients, codes, reader.words),
        no_score=chip_of(None, reader.words),
    )


@router.get("/wall")
def wall(request: Request, parts: PartsOf, mask: bool = True) -> Response:
    """The ward for a screen on a wall: no controls, names masked, digits to be read at 4 m."""
    reader = reader_of(request, parts.settings)
    if reader.theme == "auto":
        reader = replace(reader, theme="dark")
    return render(request, parts, reader, "wall.html", mask=mask)


def ward_rows(
    reading: Reading, patients: Sequence[PatientBody], codes: Sequence[str], words: Words
) -> list[Row]:
    """A row for each patient; patients by label, rows by urgency, of equal ones by label."""
    alarms: dict[str, list[Alarm]] = {}
    for alarm in reading.alarms:
        alarms.setdefault(alarm.patient, []).append(alarm)
    rows = []
    for patient in sorted(patients, key=lambda patient: patient.urgency):
        score = reading.scores.get(patient.id)
        own = alarms.get(patient.id, [])
        rows.append(
            Row(
                patient.id,
                patient.label,
                [cell_of(code, patient.estimates.get(code), words) for code in codes],
                not patient.estimates,
                chip_of(score, words),
                alarm_cell(own, reading.time, words),
                standing(own, score).threes,
                patient.id in reading.own_limits,
            )
        )
    return rows


@router.get("/p/{patient}")
def patient(patient: str, request: Request, parts: PartsOf) -> Response:
    """One patient's charts."""
    reading, reader = parts.feed.reading_of(patient), reader_of(request, parts.settings)
    if patient not in reading.labels:
        return render(request, parts, reader, "absent.html", status=404)
    found = dict(estimates_of(reading, parts.feed.devices()).get(patient, {}))
    words, score = reader.words, reading.scores.get(patient)
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
        alarms=[listed(a, parts, words) for a in sorted(reading.alarms, key=by_urgency)],
        pauses=[_paused(pause, words) for pause in parts.feed.pauses(patient)],
        score=None if score is None else score_body(score, reading.time),
        score_chip=chip_of(score, words),
        change=change_line(reading.changes.get(patient), words),
        usual=usual_line(reading.changes.get(patient), reading.time, words),
        score_percent=lambda share: percent(share, words),
        scored=lambda part: _scored(part, words),
        lines=lines_of(parts, patient, reading.time, words),
        worn=worn_by(parts, patient, words),
        not_used=not_used_of(parts, patient, reading.time, words),
    )


def _paused(pause: Pause, words: Words) -> tuple[str, str]:
    """What is paused until when; by whom and why."""
    name = words(f"signal.{pause.signal}") if pause.signal in VITALS else words("news2.name")
    until = words("alarm.paused", time=words.clock(pause.until)[:5])
    return f"{name}: {until}", " · ".join([pause.actor, reason_of(pause.reason, words)])


def _scored(part: ComponentBody, words: Words) -> str:
    """What was scored, how old it is and where it comes from."""
    if part.age_s is None:
        return words("score.missing")
    if isinstance(part.value, str):
        said = words(f"scored.{part.value}")
    else:
        said = words.number(part.value, 1 if part.parameter == "temperature" else 0)
    by = [part.actor] if part.actor else [words("score.entry")] if part.source == "entry" else []
    old = [words("score.old")] if part.points is None else []
    return " · ".join([said, words.age(part.age_s), *by, *old])


@router.get("/quarantine")
def quarantine(request: Request, parts: PartsOf, reason: str | None = None) -> Response:
    """What could not be used."""
    reader = reader_of(request, parts.settings)
    body = refusals(parts, _SHOWN_ITEMS, reason)
    return render(
        request, parts, reader, "quarantine.html", body=body, reason=reason, shown=_SHOWN_ITEMS
    )
