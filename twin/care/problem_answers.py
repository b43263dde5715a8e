"""What an error is answered with: problem+json, or a small page where a person looks at it.

The page shows nothing of the system or of anybody: it is also for whoever is not let in.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from twin.care.accepts import prefers_html
from twin.care.problem import Problem, ProblemBody, problem_response
from twin.care.reader import reader_of
from twin.care.settings import CareSettings
from twin.care.templates import TEMPLATES
from twin.estimate import HistoryUnavailable

_log = logging.getLogger(__name__)
#: Addresses that are no pages; whoever opens one in a browser wants what programs get.
_OF_PROGRAMS = ("/api/", "/static/")
_OF_A_PROGRAM = frozenset({"/metrics", "/openapi.json", "/healthz", "/readyz"})
#: Errors that have words of their own.
_WORDS = {403: "problem.403", 404: "problem.404", 421: "problem.421"}


def answer(
    request: Request, body: ProblemBody, headers: Mapping[str, str] | None = None
) -> Response:
    """The error as a page in the reader's language, where the address is a page's and the request
    says that it takes HTML (`Accept: text/html`, as browsers do for what they show); else JSON."""
    path = request.scope["path"]
    programs = path.startswith(_OF_PROGRAMS) or path in _OF_A_PROGRAM
    if programs or not prefers_html(",".join(request.headers.getlist("accept"))):
        return problem_response(body, None if headers is None else dict(headers))
    settings = cast(CareSettings, request.app.state.parts.settings)
    reader = reader_of(request, settings)
    said = _WORDS.get(body.status)
    html = TEMPLATES.get_template("problem.html").render(
        t=reader.words,
        reader=reader,
        title=reader.words("problem.title" if body.status == 404 else "problem.not_shown"),
        said=reader.words("problem.any", status=body.status)
        if said is None
        else reader.words(said),
        detail="" if said else body.detail,
    )
    return HTMLResponse(html, body.status, None if headers is None else dict(headers))


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, problem: Problem) -> Response:
        return answer(request, problem.body)

    @app.exception_handler(HistoryUnavailable)
    async def _away(request: Request, _error: HistoryUnavailable) -> Response:
        return answer(request, Problem(503, "the history is away; live values go on").body)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first: dict[str, Any] = error.errors()[0]
        name, got, expected = str(first["loc"][-1]), str(first.get("input")), str(first["msg"])
        problem = Problem(422, "a parameter is wrong", name=name, got=got, expected=expected)
        return answer(request, problem.body)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return answer(request, Problem(error.status_code, "").body, error.headers or {})

    @app.exception_handler(ClientDisconnect)
    async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
        return problem_response(Problem(400, "the body ended before its end").body)  # nobody hears

    @app.exception_handler(Exception)
    async def _failed(request: Request, error: Exception) -> Response:
        route = getattr(request.scope.get("route"), "path", "?")
        _log.error("%s failed: %s", route, type(error).__name__)
        return answer(request, Problem(500, "this request failed; the log says where").body)
