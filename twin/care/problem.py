"""Errors as problem+json (RFC 9457): what was wrong, with the parameter, what came and what was
expected, and never anything of a patient."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from twin.estimate import HistoryUnavailable

_log = logging.getLogger(__name__)
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


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""

    @app.exception_handler(Problem)
    async def _problem(_request: Request, problem: Problem) -> Response:
        return problem_response(problem.body)

    @app.exception_handler(HistoryUnavailable)
    async def _away(_request: Request, _error: HistoryUnavailable) -> Response:
        return problem_response(Problem(503, "the history is away; live values go on").body)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        first: dict[str, Any] = error.errors()[0]
        name, got, expected = str(first["loc"][-1]), str(first.get("input")), str(first["msg"])
        return problem_response(
            Problem(422, "a parameter is wrong", name=name, got=got, expected=expected).body
        )

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        return problem_response(Problem(error.status_code, "").body, headers)

    @app.exception_handler(ClientDisconnect)
    async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
        return problem_response(Problem(400, "the body ended before its end").body)  # nobody hears

    @app.exception_handler(Exception)
    async def _failed(request: Request, error: Exception) -> Response:
        route = getattr(request.scope.get("route"), "path", "?")
        _log.error("%s failed: %s", route, type(error).__name__)
        return problem_response(Problem(500, "this request failed; the log says where").body)
