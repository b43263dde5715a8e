"""/api/v1/patients: the newest estimates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Response
from numpy.typing import NDArray

from ingest.catalogue import CODES, SIGNALS
from ingest.instant import SECOND, format_instant
from twin.bands import Z50, Z95
from twin.care.api.bodies import (
    Coasting,
    LatestEstimate,
    OnePatientBody,
    PatientBody,
    PatientsBody,
    answer,
    answers,
    consistency_body,
)
from twin.care.display import STATUS_WORDS, Shown, shown
from twin.care.judged import change_body, score_body, usual_bodies
from twin.care.parts import PartsOf
from twin.care.problem import Problem
from twin.care.rank import by_urgency, standing
from twin.care.reading import Reading
from twin.judgement import Alarm

router = APIRouter(prefix="/api/v1")
_DIGITS = re.compile(r"(\d+)")


@router.get("/patients", responses=answers(PatientsBody))
def patients(parts: PartsOf) -> Response:
    """Every patient with the newest estimate of each signal, in the order of labels."""
    reading = parts.feed.reading()
    devices = parts.feed.devices()
    body = PatientsBody(
        format_instant(reading.time), reading.state, list_patients(reading, devices)
    )
    return answer(body)


@router.get("/patients/{patient}", responses=answers(OnePatientBody))
def one_patient(patient: str, parts: PartsOf) -> Response:
    """One patient with the newest estimate of each signal."""
    reading = parts.feed.reading_of(patient)
    if patient not in reading.labels:
        raise Problem(404, "no such patient")
    estimates = estimates_of(reading, parts.feed.devices())
    one = _patient(patient, reading, estimates, reading.alarms)
    change = reading.changes.get(patient)
    consistency = parts.feed.consistency(patient)
    return answer(
        OnePatientBody(
            format_instant(reading.time),
            reading.state,
            one.id,
            one.label,
            one.estimates,
            one.news2,
            one.urgency,
            one.alarms,
            parts.feed.forecasts(patient),
            None if change is None else change_body(change),
            None if consistency is None else consistency_body(consistency),
            usual_bodies(change, reading.time),
        )
    )


def list_patients(reading: Reading, devices: list[str]) -> list[PatientBody]:
    """Everybody in a reading, by label and id."""
    estimates = estimates_of(reading, devices)
    by_name = sorted(reading.labels.items(), key=_natural)
    alarms: dict[str, list[Alarm]] = {}
    for alarm in reading.alarms:
        alarms.setdefault(alarm.patient, []).append(alarm)
    return [_patient(p, reading, estimates, alarms.get(p, ())) for p, _label in by_name]


def _patient(
    patient: str,
    reading: Reading,
    estimates: Mapping[str, Mapping[str, LatestEstimate]],
    alarms: Sequence[Alarm],
) -> PatientBody:
    score = reading.scores.get(patient)
    return PatientBody(
        patient,
        reading.labels[patient],
        estimates.get(patient, {}),
        None if score is None else score_body(score, reading.time),
        standing(alarms, score).urgency,
        [alarm.id for alarm in sorted(alarms, key=by_urgency)],
    )


def _natural(item: tuple[str, str]) -> tuple[bool, list[tuple[int, str]], str]:
    """Bed 2 before Bed 10; the unlabelled last."""
    patient, label = item
    parts = _DIGITS.split(label.casefold())
    return label == "", [(int(p), "") if p.isdecimal() else (0, p) for p in parts], patient


def estimates_of(
    reading: Reading, devices: list[str]
) -> Mapping[str, Mapping[str, LatestEstimate]]:
    """patient → code → newest estimate, codes in the catalogue's order."""
    rows = reading.rows
    made: dict[str, dict[str, LatestEstimate]] = {}
    looks = shown(rows)
    for i in rows["signal"].argsort(kind="stable").tolist():
        estimate = _estimate(rows[i], looks, i, reading.time, devices)
        made.setdefault(reading.patients[rows["patient"][i]], {})[CODES[rows["signal"][i]]] = (
            estimate
        )
    return made


def _estimate(
    row: NDArray[Any], looks: Shown, i: int, now: int, devices: list[str]
) -> LatestEstimate:
    mean, std = float(row["mean"]), float(row["std"])
    half50, half95 = Z50 * std * float(row["scale50"]), Z95 * std * float(row["scale95"])
    device = int(row["device"])
    return LatestEstimate(
        as_of=format_instant(int(row["as_of"])),
        mean=mean,
        std=std,
        lo50=mean - half50,
        hi50=mean + half50,
        lo95=mean - half95,
        hi95=mean + half95,
        trend=float(row["trend"]),
        trend_std=float(row["trend_std"]),
        age_s=max(0.0, (now - int(row["as_of"])) / SECOND),
        status=STATUS_WORDS[row["status"]],
        unit=SIGNALS[CODES[int(row["signal"])]].unit,
        arrow=int(looks.arrow[i]),
        approximate=bool(looks.approximate[i]),
        value=float(row["value"]),
        measured_at=format_instant(int(row["value_at"])),
        received_at=format_instant(int(row["received_at"])),
        device=devices[device] if device < len(devices) else "",
        coasting=_coasting(row) if row["coasting"] else None,
    )


def _coasting(row: NDArray[Any]) -> Coasting:
    mean, std = float(row["coast_mean"]), float(row["coast_std"])
    half95 = Z95 * std * float(row["coast_scale95"])
    return Coasting(mean, std, mean - half95, mean + half95)
