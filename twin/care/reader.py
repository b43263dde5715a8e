"""How one reader wants pages: language and theme, from the address, a cookie or the browser."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from twin.care.settings import LANGUAGES, CareSettings
from twin.care.words import Words, preferred_language

THEMES = ("auto", "light", "dark", "contrast")
_YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Reader:
    """Words in the reader's language, and one of THEMES."""

    words: Words
    theme: str


def reader_of(request: Request, settings: CareSettings) -> Reader:
    """?lang= and ?theme= first, then cookies, then the browser's languages, then the default."""
    accepted = preferred_language(request.headers.get("accept-language", ""), settings.language)
    language = _chosen(request, "lang", LANGUAGES) or accepted
    theme = _chosen(request, "theme", THEMES) or "auto"
    return Reader(Words(language, ZoneInfo(settings.zone)), theme)


def remember(request: Request, response: Response) -> None:
    """Keep in cookies what the address asked for."""
    for name, allowed in (("lang", LANGUAGES), ("theme", THEMES)):
        asked = request.query_params.get(name)
        if asked is not None and asked in allowed:
            response.set_cookie(
                f"twin_{name}", asked, max_age=_YEAR_S, samesite="strict", httponly=True
            )


def _chosen(request: Request, name: str, allowed: tuple[str, ...]) -> str | None:
    for asked in (request.query_params.get(name), request.cookies.get(f"twin_{name}")):
        if asked is not None and asked in allowed:
            return asked
    return None
