"""The pages of devices: all of them with state and ledger, who waits, one with its refusals.

The forms are plain ones: they work without script, and answer with the page and what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import RedirectResponse

from ingest.instant import SECOND, parse_instant
from twin.care.api.bodies import DeviceBody
from twin.care.api.devices import DeviceBooks, device_books, pending
from twin.care.api.onboarding import desk_of, one_device, refusing
from twin.care.device_list import AT_ONCE, SORTS, VIEWS, Listed, asked_of, group_of, page_of
from twin.care.forms import form_of, is_secure
from twin.care.names import name_of
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem
from twin.care.reader import reader_of
from twin.care.rendering import render
from twin.care.words import Words

router = APIRouter(include_in_schema=False)
Form = Annotated[dict[str, str], Depends(form_of)]


@router.get("/devices")
def devices(request: Request, parts: PartsOf) -> Response:
    """Everybody's state and ledger, and who waits to be approved."""
    return _all(request, parts)


@router.get("/devices/{device:path}")
def device(device: str, request: Request, parts: PartsOf) -> Response:
    """One device."""
    return _one(request, parts, device)


@router.post("/devices/{device:path}/approve")
def approve(device: str, request: Request, parts: PartsOf, form: Form) -> Response:
    """Register, bind, and use what waited; then its page."""
    desk = desk_of(parts)
    patient, model = _patient(parts, form), form.get("model") or None
    return _act(
        request,
        parts,
        device,
        form,
        lambda actor: desk.approve(device, patient, model, None, actor),
        _all,
    )


@router.post("/devices/{device:path}/bind")
def bind(device: str, request: Request, parts: PartsOf, form: Form) -> Response:
    """From now on the device is on this patient."""
    desk, patient = desk_of(parts), _patient(parts, form)
    start = parts.feed.now() if desk.bindings(device) else None
    return _act(
        request,
        parts,
        device,
        form,
        lambda actor: desk.bind(device, patient, start, None, actor),
    )


@router.post("/devices/{device:path}/unbind")
def unbind(device: str, request: Request, parts: PartsOf, form: Form) -> Response:
    """From now on the device is on nobody."""
    desk, now = desk_of(parts), parts.feed.now()
    return _act(request, parts, device, form, lambda actor: desk.unbind(device, now, actor))


@router.post("/devices/{device:path}/retire")
def retire(device: str, request: Request, parts: PartsOf, form: Form) -> Response:
    """Take the device out of use."""
    desk = desk_of(parts)
    return _act(request, parts, device, form, lambda actor: desk.retire(device, actor))


def _act(
    request: Request,
    parts: Parts,
    device: str,
    form: Mapping[str, str],
    change: Callable[[str], object],
    page: Callable[..., Response] | None = None,
) -> Response:
    """Make the change in the name of whoever acts; then the device's page, or what was wrong."""
    actor = parts.names.of(request.headers) or name_of(form.get("actor", ""))
    words = reader_of(request, parts.settings).words
    status, fault = 422, words("devices.who")
    if actor is not None:
        try:
            refusing(lambda: change(actor))
        except Problem as problem:
            status, fault = problem.body.status, problem.body.detail
        else:
            # An address of this site, whatever the device is called.
            response = RedirectResponse(request.url_for("device", device=device).path, 303)
            parts.names.remember(response, actor, secure=is_secure(request))
            return response
    if page is not None:
        return page(request, parts, fault, status)
    return _one(request, parts, device, fault, status)


def _all(request: Request, parts: Parts, fault: str = "", status: int = 200) -> Response:
    reader, labels = reader_of(request, parts.settings), parts.feed.labels
    books = device_books(parts)
    listing = page_of(_listed(books, labels), asked_of(request.query_params))
    return render(
        request,
        parts,
        reader,
        "devices.html",
        status=status,
        listing=listing,
        asked=listing.asked,
        sorts=SORTS,
        views=VIEWS,
        groups=[(g, [books.body(one.device) for one in of]) for g, of in listing.groups],
        pending=pending(parts),
        pending_at_once=AT_ONCE,
        labels=labels,
        fault=fault,
        clock_of=lambda body: clock_of(body, reader.words),
        percent=lambda share: (
            "—" if share is None else reader.words("percent", n=round(share * 100))
        ),
        since=lambda iso: reader.words.age((parts.feed.now() - parse_instant(iso)) / SECOND),
    )


def _listed(books: DeviceBooks, labels: Mapping[str, str]) -> list[Listed]:
    """Every device as the list orders and filters it."""
    registered = {} if (desk := books.parts.onboarding) is None else desk.registry.content.devices
    found = []
    for device in books.devices:
        facts, patient, known = (
            books.newest(device),
            books.bound.get(device),
            registered.get(device),
        )
        group = group_of(facts, known is not None and known.retired_at is not None)
        name, model = labels.get(patient or "", ""), "" if known is None else known.model
        found.append(Listed(device, patient, name, model or "", facts, group))
    return found


def _one(
    request: Request, parts: Parts, device: str, fault: str = "", status: int = 200
) -> Response:
    reader = reader_of(request, parts.settings)
    try:
        body = one_device(parts, device)
    except Problem:
        return render(request, parts, reader, "absent.html", status=404)
    waits = any(each.id == device for each in pending(parts))
    return render(
        request,
        parts,
        reader,
        "device.html",
        status=status,
        body=body,
        d=body.device,
        waits=waits,
        labels=parts.feed.labels,
        fault=fault,
        clock=clock_of(body.device, reader.words),
        percent=lambda share: (
            "—" if share is None else reader.words("percent", n=round(share * 100))
        ),
    )


def clock_of(device: DeviceBody, words: Words) -> str:
    """By how much the device's clock is off, "—" where nobody knows."""
    clock = None if device.state is None else device.state.clock
    if clock is None or clock.offset_s is None:
        return "—"
    if clock.offset_std_s is None:
        return words("devices.offset", offset=words.number(clock.offset_s, 1))
    decimals = 1 if clock.offset_std_s >= 0.05 else 2
    offset, std = (words.number(each, decimals) for each in (clock.offset_s, clock.offset_std_s))
    return words("devices.offset_std", offset=offset, std=std)


def _patient(parts: Parts, form: Mapping[str, str]) -> str:
    """The id of what was typed: an id, or a label that only one patient has."""
    typed = form.get("patient", "")
    labels = parts.feed.labels
    named = [patient for patient, label in labels.items() if typed and label == typed]
    return named[0] if len(named) == 1 and typed not in labels else typed
