"""Forms that a page sends by itself, without script: their fields, and where they may lead."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import Request

from twin.care.problem import Problem

_MOST_BYTES = 4_096
_MOST_FIELDS = 10


async def form_of(request: Request) -> dict[str, str]:
    """An urlencoded body, fields stripped. Raises Problem 413 beyond 4 kB or ten fields."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise Problem(413, "form", expected=f"at most {_MOST_BYTES} bytes")
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Problem(413, "form", expected=f"at most {_MOST_FIELDS} fields") from None
    return {name: values[-1].strip() for name, values in fields.items()}


def own_path(path: str) -> str:
    """The path if it is one of ours, never another site's address."""
    own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if own else "/"


def is_secure(request: Request) -> bool:
    """Whether a cookie may be kept to HTTPS."""
    return request.url.scheme == "https"
