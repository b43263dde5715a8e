"""/api/v1/devices and /api/v1/quarantine: what was received, and what became of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Query, Response

from ingest.instant import format_instant
from ingest.observation import Refused
from twin.care.api.bodies import (
    ClockBody,
    DeviceBody,
    DevicesBody,
    LedgerBody,
    PendingBody,
    QuarantineBody,
    RefusedBody,
    SilenceBody,
    StateBody,
    answer,
    answers,
)
from twin.care.facts import DeviceFacts
from twin.care.ledger import Account, account_of, ledger_of, main_reason
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem
from twin.estimate import HistoryUnavailable

router = APIRouter(prefix="/api/v1")
MOST_ITEMS, MOST_DEVICES = 1_000, 100_000


@router.get("/devices", responses=answers(DevicesBody))
def devices(
    parts: PartsOf,
    after: str | None = Query(None, description="only devices whose id comes after this one"),
    limit: int = Query(MOST_DEVICES, description="at most so many devices"),
) -> Response:
    """Each device's ledger; the differences between its columns are zero or explained."""
    if not 1 <= limit <= MOST_DEVICES:
        raise Problem(422, "limit", name="limit", got=str(limit), expected=f"1 to {MOST_DEVICES}")
    books = device_books(parts)
    names = books.devices
    begin = bisect_right(names, after) if after is not None else 0
    page = names[begin : begin + limit]
    following = None
    if begin + limit < len(names):
        following = "/api/v1/devices?" + urlencode({"after": page[-1], "limit": limit})
    listed = [books.body(device) for device in page]
    return answer(DevicesBody(listed, pending(parts), silences(parts), following))


@router.get("/quarantine", responses=answers(QuarantineBody))
def quarantine(
    parts: PartsOf,
    reason: str | None = Query(None, description="only items refused for this reason"),
    limit: int = Query(100, description=f"at most so many items, 0 to {MOST_ITEMS}"),
) -> Response:
    """What could not be used, with the reason; the newest first."""
    if not 0 <= limit <= MOST_ITEMS:
        raise Problem(422, "limit", name="limit", got=str(limit), expected=f"0 to {MOST_ITEMS}")
    return answer(refusals(parts, limit, reason))


@dataclass(frozen=True, slots=True)
class DeviceBooks:
    """What is known of all devices, bound, heard or refused. Bodies are made of those asked for."""

    parts: Parts
    facts: Mapping[str, Sequence[DeviceFacts]]
    bound: Mapping[str, str | None]
    refused: Mapping[str, Mapping[str, int]]
    stored: Mapping[str, int] | None

    @property
    def devices(self) -> list[str]:
        """All of them, in order of their ids."""
        return sorted({*self.facts, *self.bound, *self.refused} - {""})

    def newest(self, device: str) -> DeviceFacts | None:
        """Its facts on whom it was heard last; None: the twin knows nothing of it."""
        return max(self.facts.get(device, ()), key=lambda one: one.last_received, default=None)

    def body(self, device: str) -> DeviceBody:
        """Its ledger, its state and what is registered."""
        account = account_of(self.facts.get(device, ()))
        received = account.last_received if account else 0
        in_store = None if self.stored is None else self.stored.get(device, 0)
        ledger = _ledger(account, self.refused.get(device, {}), in_store)
        at = format_instant(received) if received else None
        state = _state(self.newest(device), self.refused.get(device, {}))
        body = DeviceBody(device, self.bound.get(device), at, ledger, state=state)
        return _with_registered(body, self.parts)


def device_books(parts: Parts, device: str | None = None) -> DeviceBooks:
    """Of all devices, or of one."""
    told = sorted(parts.feed.facts(device), key=attrgetter("device"))
    return DeviceBooks(
        parts,
        {name: list(of) for name, of in groupby(told, attrgetter("device"))},
        {b.device: b.patient for b in parts.people.devices() if device in (None, b.device)},
        parts.quarantine.by_device(),
        _stored(parts),
    )


def pending(parts: Parts) -> list[PendingBody]:
    """Devices that wait to be approved, by id."""
    return [
        PendingBody(
            each.device,
            each.topic,
            format_instant(each.since),
            format_instant(each.last_at),
            each.messages,
            each.model or None,
            each.firmware or None,
            each.serial or None,
        )
        for each in (parts.onboarding.pending() if parts.onboarding is not None else ())
    ]


def silences(parts: Parts) -> list[SilenceBody]:
    """What silences many devices now."""
    return [
        SilenceBody(
            each.cause,
            each.gateway or None,
            format_instant(each.since),
            each.devices,
            each.patients,
        )
        for each in parts.feed.silences()
    ]


def _with_registered(body: DeviceBody, parts: Parts) -> DeviceBody:
    content = None if parts.onboarding is None else parts.onboarding.registry.content
    device = None if content is None else content.devices.get(body.id)
    if content is None or device is None:
        return body
    model = content.models.get(device.model)
    return msgspec.structs.replace(
        body,
        model=device.model or None,
        regulatory=None if model is None else model.regulatory,
        firmware=device.firmware or None,
        serial=device.serial or None,
        retired=None if device.retired_at is None else format_instant(device.retired_at),
    )


def refusals(parts: Parts, limit: int, reason: str | None) -> QuarantineBody:
    """The quarantine's counts and newest items."""
    by_reason = dict(parts.quarantine.summary())
    items = [refused_body(item) for item in parts.quarantine.items(limit, reason)]
    return QuarantineBody(sum(by_reason.values()), by_reason, items)


def refused_body(item: Refused) -> RefusedBody:
    """One refusal, as it is listed."""
    return RefusedBody(
        item.id,
        item.reason,
        item.path,
        item.expected,
        item.got,
        item.device,
        format_instant(item.received_at),
        item.size,
        item.count,
    )


def _stored(parts: Parts) -> Mapping[str, int] | None:
    """None while the store is away: the rest of the ledger stands."""
    try:
        return parts.history.stored()
    except HistoryUnavailable:
        return None


def _state(told: DeviceFacts | None, refused: Mapping[str, int]) -> StateBody | None:
    if told is None or not told.reported_at:
        return None
    return StateBody(
        told.silence,
        format_instant(told.since) if told.since else None,
        told.expected_s,
        told.battery,
        told.contact,
        told.online,
        told.restarts,
        ClockBody(
            told.offset_s,
            told.offset_std_s,
            told.drift_ppm,
            told.drift_std_ppm,
            told.correction_s,
        ),
        main_reason(told.silence, refused),
    )


def _ledger(
    account: Account | None, by_ingest: Mapping[str, int], stored: int | None
) -> LedgerBody:
    ledger = ledger_of(account, by_ingest, stored)
    return LedgerBody(
        received=ledger.received,
        duplicate=ledger.duplicate,
        conflict=ledger.conflict,
        belated=ledger.belated,
        refused=ledger.refused,
        journalled=ledger.journalled,
        estimated=ledger.estimated,
        stored=ledger.stored,
        difference=ledger.difference,
        missing=account.missing if account else 0,
        open=account.still_open if account else 0,
        redelivered=account.redelivered if account else 0,
    )
