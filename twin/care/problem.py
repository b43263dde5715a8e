"""Errors as problem+json (RFC 9457): what was wrong, with the parameter, what came and what was
expected, and never anything of a patient."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from fastapi import Response

MEDIA_TYPE = "application/problem+json"


class ProblemBody(msgspec.Struct, frozen=True, omit_defaults=True, rename={"kind": "type"}):
    """Body of every error. name, got, expected: of the parameter that was wrong."""

    status: int
    title: str
    kind: str = "about:blank"
    detail: str = ""
    name: str = ""
    got: str = ""
    expected: str = ""


class Problem(Exception):
    """Raised by a request's function; becomes the answer."""

    def __init__(
        self, status: int, detail: str = "", *, name: str = "", got: str = "", expected: str = ""
    ) -> None:
        super().__init__(detail)
        self.body = ProblemBody(
            status,
            HTTPStatus(status).phrase,
            detail=detail,
            name=name,
            got=got[:100],
            expected=expected,
        )


def problem_response(body: ProblemBody, headers: dict[str, str] | None = None) -> Response:
    """The answer that says it."""
    return Response(msgspec.json.encode(body), body.status, headers, MEDIA_TYPE)
