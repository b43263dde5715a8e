"""What people ask to be done: bodies of requests, who asks, and the answer to the command.

A command's refusal keeps the worker's words. 409: it does not fit what the alarm is now; 404: there
is no such thing; 422: the request is wrong in itself; 503: nothing was journalled; 504: journalled,
but not answered within 2 s (it will still act; ask again with the same idempotency key).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
from fastapi import Request

from twin.care.commands import NoOutcome, NotJournalled
from twin.care.names import LONGEST, name_of
from twin.care.parts import Parts
from twin.care.problem import Problem
from twin.estimate import Outcome

_MOST_BYTES = 16_384
T = TypeVar("T", bound=msgspec.Struct)


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request by a person. actor: who asks, where no name was given to this browser."""

    actor: str = ""


def body_of(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    """A dependency that reads the request's JSON (no body: defaults). Raises Problem 413, 422."""

    async def read(request: Request) -> T:
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > _MOST_BYTES:
                raise Problem(413, "body", expected=f"at most {_MOST_BYTES} bytes")
        try:
            return msgspec.json.decode(raw or b"{}", type=kind)
        except msgspec.ValidationError as error:
            words, _, place = str(error).partition(" - at `$")
            name = place.rstrip("`").removeprefix(".")
            raise Problem(422, "the body is wrong", name=name, expected=words) from error
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise Problem(422, "the body is no JSON", expected=str(error)) from error

    return read


def body_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """What a route tells OpenAPI about its body (`openapi_extra=`)."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def actor_of(request: Request, parts: Parts, asked: Asked) -> str:
    """Who acts: the name in the cookie, else the one in the body. Raises Problem 422: nobody."""
    known = parts.names.of(request.headers)
    if known is not None:
        return known
    name = name_of(asked.actor)
    if name is None:
        expected = f"who acts, 2 to {LONGEST} characters, or the cookie of POST /name"
        raise Problem(422, "nobody took responsibility", name="actor", expected=expected)
    return name


def command(
    request: Request,
    parts: Parts,
    asked: Asked,
    kind: str,
    body: Mapping[str, Any],
    patient: str | None,
) -> Outcome:
    """Give the command and wait for what became of it. Blocks. Raises Problem where not done.

    The request's `Idempotency-Key` is the command's id. As the IETF's draft of that header asks
    (draft-ietf-httpapi-idempotency-key-header, 2.7), a key that stood for another request is 422.
    """
    actor = actor_of(request, parts, asked)
    key = request.headers.get("idempotency-key", "")
    if len(key) > 100:
        raise Problem(422, "idempotency-key", name="idempotency-key", expected="100 characters")
    try:
        outcome = parts.commands.give(
            kind, actor, body, patient, key or None, _hash_of(request, asked, kind, actor, patient)
        )
    except NotJournalled as error:
        raise Problem(503, "nothing can be recorded now; it was not done") from error
    except NoOutcome as error:
        detail = f"recorded as {error.id}, but the twin has not answered yet; it will act on it"
        raise Problem(504, detail) from error
    if not outcome.done:
        raise Problem(status_of(outcome.reason), outcome.reason)
    return outcome


def _hash_of(request: Request, asked: Asked, kind: str, actor: str, patient: str | None) -> str:
    """What is asked for, of what and by whom: of the request, not of the command made of it, which
    has times that the server gave."""
    said = msgspec.json.encode([kind, actor, patient, request.path_params, asked])
    return blake2b(said, digest_size=16).hexdigest()


def status_of(reason: str) -> int:
    """HTTP status of a refusal, by the first word of its reason."""
    word = reason.partition(":")[0].partition(" ")[0]
    return {"unknown": 404, "no": 404, "expected": 422, "idempotency-key": 422}.get(word, 409)
