"""/api/v1/devices/…: registering, approving, binding, retiring a device, by name.

The registry decides; its command is in the journal when the answer is given. 404: no such device or
patient; 409: it does not fit what holds now; 422: the request is wrong in itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, TypeVar

import apsw
import msgspec
from fastapi import APIRouter, Depends, Request, Response

from ingest.binding import Binding
from ingest.decide import Replayed
from ingest.instant import format_instant
from ingest.journal.protocol import JournalFull
from ingest.observation import Refused
from ingest.onboarding import Onboarding
from ingest.registry import RegistryRefused
from twin.care.api.asked import Asked, actor_of, body_of, body_schema
from twin.care.api.bodies import DeviceBody, RefusedBody, answer, answers
from twin.care.api.devices import device_books, refused_body
from twin.care.api.signals import instant_of
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem

router = APIRouter(prefix="/api/v1/devices")
_NEWEST = 20
T = TypeVar("T")


class BindingBody(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """Whose the device is, by its own stamps; null: without beginning, without end."""

    device: str
    patient: str
    start: str | None
    end: str | None


class ModelBody(msgspec.Struct, frozen=True):
    """A device model as it was declared, by signal in the signal's unit.

    stamp_unit ("s", "ms", "us", "ns") and stamp_zone: what is declared wrong with its times; null
    and "" where nothing is.
    """

    name: str
    maker: str
    regulatory: str | None
    live: bool
    delay_s: float
    expected_interval_s: Mapping[str, float]
    noise_std: Mapping[str, float]
    bias_std: Mapping[str, float]
    stamp_unit: str | None = None
    stamp_zone: str = ""


class OneDeviceBody(msgspec.Struct, frozen=True):
    """A device with its bindings in order, its model as declared, and its newest refusals."""

    device: DeviceBody
    declared: ModelBody | None
    bindings: Sequence[BindingBody]
    refused: Sequence[RefusedBody]


class ReplayedBody(msgspec.Struct, frozen=True):
    """Messages that waited: used whole, refused again, cut (not kept whole), dropped (no basis)."""

    used: int
    refused: int
    cut: int
    dropped: int
    observations: int


class ApprovedBody(msgspec.Struct, frozen=True):
    """The binding, and what became of what waited in quarantine."""

    binding: BindingBody
    replayed: ReplayedBody


class Register(Asked, frozen=True, kw_only=True):
    """What is not given stays as it is; of a new device it is what it announced."""

    id: str
    model: str | None = None
    firmware: str | None = None
    serial: str | None = None


class Approve(Asked, frozen=True, kw_only=True, rename={"start": "from"}):
    """from: first stamp that is the patient's, ISO-8601 or epoch ms; null: the beginning."""

    patient: str
    model: str | None = None
    start: str | int | None = None


class Bind(Asked, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """from, to: ISO-8601 or epoch ms; from null: now, of a device never bound the beginning."""

    patient: str
    start: str | int | None = None
    end: str | int | None = None


class Unbind(Asked, frozen=True, kw_only=True):
    """at: ISO-8601 or epoch ms; null: now."""

    at: str | int | None = None


class Retire(Asked, frozen=True, kw_only=True):
    """Take out of use."""


BODIES = (OneDeviceBody, BindingBody, ApprovedBody, Register, Approve, Bind, Unbind, Retire)


@router.post("", responses=answers(OneDeviceBody), openapi_extra=body_schema(Register))
def register(
    request: Request, parts: PartsOf, asked: Annotated[Register, Depends(body_of(Register))]
) -> Response:
    """Register a device, or change what is known of it."""
    actor = actor_of(request, parts, asked)
    change = desk_of(parts).add
    refusing(lambda: change(asked.id, asked.model, asked.firmware, asked.serial, actor))
    return answer(one_device(parts, asked.id))


@router.post(
    "/{device:path}/approve", responses=answers(ApprovedBody), openapi_extra=body_schema(Approve)
)
def approve(
    device: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Approve, Depends(body_of(Approve))],
) -> Response:
    """Register and bind a device that waits, and use what waits of it in quarantine."""
    actor, start = actor_of(request, parts, asked), _instant("from", asked.start)
    desk = desk_of(parts)
    done = refusing(lambda: desk.approve(device, asked.patient, asked.model, start, actor))
    return answer(ApprovedBody(binding_body(done.binding), replayed_body(done.replayed)))


@router.put(
    "/{device:path}/binding", responses=answers(BindingBody), openapi_extra=body_schema(Bind)
)
def bind(
    device: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Bind, Depends(body_of(Bind))],
) -> Response:
    """Say whose the device is; an open binding to another patient ends."""
    desk, actor = desk_of(parts), actor_of(request, parts, asked)
    start, end = _instant("from", asked.start), _instant("to", asked.end)
    if start is None and desk.bindings(device):
        start = parts.feed.now()
    return answer(
        binding_body(refusing(lambda: desk.bind(device, asked.patient, start, end, actor)))
    )


@router.post(
    "/{device:path}/unbind", responses=answers(BindingBody), openapi_extra=body_schema(Unbind)
)
def unbind(
    device: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Unbind, Depends(body_of(Unbind))],
) -> Response:
    """End the binding: what the device measures from then on is nobody's."""
    desk, actor, at = desk_of(parts), actor_of(request, parts, asked), _instant("at", asked.at)
    ending = parts.feed.now() if at is None else at
    return answer(binding_body(refusing(lambda: desk.unbind(device, ending, actor))))


@router.post(
    "/{device:path}/retire", responses=answers(OneDeviceBody), openapi_extra=body_schema(Retire)
)
def retire(
    device: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Retire, Depends(body_of(Retire))],
) -> Response:
    """Its binding ends now, and it is bound to nobody until it is registered again."""
    desk, actor = desk_of(parts), actor_of(request, parts, asked)
    refusing(lambda: desk.retire(device, actor))
    return answer(one_device(parts, device))


@router.get("/{device:path}", responses=answers(OneDeviceBody))
def one(device: str, parts: PartsOf) -> Response:
    """One device: state, ledger, bindings, newest refusals."""
    return answer(one_device(parts, device))


def desk_of(parts: Parts) -> Onboarding:
    """Raises Problem 503 where this process has no registry to write to."""
    if parts.onboarding is None:
        raise Problem(503, "devices are not registered here")
    return parts.onboarding


def refusing(change: Callable[[], T]) -> T:
    """Make the change. Raises Problem with the registry's words where it refuses."""
    try:
        return change()
    except RegistryRefused as refused:
        raise Problem(_status_of(refused.why), str(refused)) from refused
    except (JournalFull, apsw.Error, OSError) as error:
        raise Problem(503, "nothing can be recorded now") from error


def one_device(parts: Parts, device: str) -> OneDeviceBody:
    """Raises Problem 404: nobody knows it."""
    books = device_books(parts, device)
    if device not in books.devices:
        raise Problem(404, "no such device")
    desk, declared = parts.onboarding, None
    if desk is not None:
        model = desk.registry.content.model_of(device)
        declared = None if model is None else ModelBody(**msgspec.structs.asdict(model))
    bindings = [] if desk is None else [binding_body(each) for each in desk.bindings(device)]
    refused: Sequence[Refused] = parts.quarantine.items(_NEWEST, None, device)
    return OneDeviceBody(
        books.body(device), declared, bindings, [refused_body(each) for each in refused]
    )


def binding_body(binding: Binding) -> BindingBody:
    """A binding, its times as ISO-8601."""
    start, end = (
        None if each is None else format_instant(each) for each in (binding.start, binding.end)
    )
    return BindingBody(binding.device, binding.patient, start, end)


def replayed_body(replayed: Replayed) -> ReplayedBody:
    """A replay's counts."""
    used, refused, cut, dropped = map(replayed.count, ("used", "refused", "cut", "dropped"))
    return ReplayedBody(used, refused, cut, dropped, replayed.observations)


def _instant(name: str, said: str | int | None) -> int | None:
    return None if said is None else instant_of(name, str(said))


def _status_of(why: str) -> int:
    if "is not a registered" in why or "is bound to nobody" in why:
        return 404
    if "during that time" in why or "is retired" in why:
        return 409
    return 422
