"""/api/v1/devices and /api/v1/quarantine: what was received, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping

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
    StateBody,
    answer,
    answers,
)
from twin.care.ledger import Account
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem
from twin.care.told import DeviceFacts, by_device
from twin.estimate import HistoryUnavailable

router = APIRouter(prefix="/api/v1")
MOST_ITEMS = 1_000


@router.get("/devices", responses=answers(DevicesBody))
def devices(parts: PartsOf) -> Response:
    """Each device's ledger; the differences between its columns are zero or explained."""
    return answer(DevicesBody(ledgers(parts), pending(parts)))


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


def ledgers(parts: Parts) -> list[DeviceBody]:
    """Every device that is bound, was heard or was refused, by id."""
    accounts = {account.device: account for account in parts.feed.accounts()}
    facts = by_device(parts.feed.facts())
    bound = {b.device: b.patient for b in parts.people.devices()}
    refused, stored = parts.quarantine.by_device(), _stored(parts)
    known = sorted({*accounts, *bound, *refused, *facts} - {""})
    made = []
    for device in known:
        account = accounts.get(device)
        received = account.last_received if account else 0
        in_store = None if stored is None else stored.get(device, 0)
        told = facts.get(device)
        ledger = _ledger(account, dict(refused.get(device, {})), in_store, told)
        at = format_instant(received) if received else None
        body = DeviceBody(device, bound.get(device), at, ledger, state=_state(told))
        made.append(_with_registered(body, parts))
    return made


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


def _state(told: DeviceFacts | None) -> StateBody | None:
    if told is None:
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
    )


def _ledger(
    account: Account | None, refused: dict[str, int], stored: int | None, told: DeviceFacts | None
) -> LedgerBody:
    journalled = account.journalled if account else 0
    received = journalled + sum(refused.values())
    for reason, count in (account.refused if account else {}).items():
        refused[reason] = refused.get(reason, 0) + count
    return LedgerBody(
        received=received,
        duplicate=account.duplicate if account else 0,
        conflict=account.conflict if account else 0,
        belated=account.belated if account else 0,
        refused=refused,
        journalled=journalled,
        estimated=account.accepted if account else 0,
        stored=stored,
        missing=told.missing if told else 0,
        open=told.still_open if told else 0,
        redelivered=told.redelivered if told else 0,
    )
