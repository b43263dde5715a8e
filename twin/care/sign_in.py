"""The sign-in page: exchanges the token for a cookie, since pages and streams send no header.

It asks for a name too; where no token is needed, the page asks at the first act (POST /name).
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from twin.care.access import SESSION_COOKIE, SESSION_S, session_of
from twin.care.forms import form_of, is_secure, own_path
from twin.care.names import LONGEST, NAME_COOKIE, name_of
from twin.care.parts import PartsOf
from twin.care.problem import Problem
from twin.care.reader import reader_of
from twin.care.rendering import render

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
def sign_in_page(request: Request, parts: PartsOf, next: str = "/") -> Response:  # noqa: A002
    """The form; straight on where no token is needed."""
    if parts.access.admits(request.headers):
        return RedirectResponse(own_path(next), 303)
    reader = reader_of(request, parts.settings)
    return render(request, parts, reader, "sign_in.html", next=own_path(next), error="")


@router.post("/sign-in")
async def sign_in(request: Request, parts: PartsOf) -> Response:
    """The cookie and the page that was asked for, or the form again with what was wrong."""
    form = await form_of(request)
    following = own_path(form.get("next", "/"))
    reader = reader_of(request, parts.settings)
    access, address = parts.access, request.client.host if request.client else ""
    wait = access.attempts.wait(address, access.clock())
    if wait == 0 and access.token_matches(form.get("token", "")):
        response: Response = RedirectResponse(following, 303)
        response.set_cookie(
            SESSION_COOKIE,
            access.open_session(),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=is_secure(request),
        )
        name = name_of(form.get("name", ""))
        if name is not None:
            parts.names.remember(response, name, secure=is_secure(request))
        return response
    if wait == 0:
        access.attempts.fail(address, access.clock())
    error = reader.words("sign_in.wait", n=wait) if wait else reader.words("sign_in.wrong")
    response = render(
        request,
        parts,
        reader,
        "sign_in.html",
        status=429 if wait else 403,
        next=following,
        error=error,
    )
    if wait:
        response.headers["retry-after"] = str(wait)
    return response


@router.post("/sign-out")
def sign_out(request: Request, parts: PartsOf) -> Response:
    """Ends the session and forgets the cookie."""
    parts.access.close_session(session_of(request.headers))
    response = RedirectResponse("/sign-in", 303)
    for cookie in (SESSION_COOKIE, NAME_COOKIE):
        response.delete_cookie(cookie, httponly=True, samesite="strict")
    return response


@router.post("/name")
async def give_name(request: Request, parts: PartsOf) -> Response:
    """Who acts from now on in this browser. Raises Problem 422 for what is no name."""
    form = await form_of(request)
    name = name_of(form.get("name", ""))
    if name is None:
        raise Problem(422, "no name", name="name", expected=f"2 to {LONGEST} characters, one line")
    response = Response(status_code=204)
    parts.names.remember(response, name, secure=is_secure(request))
    return response
