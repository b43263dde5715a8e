"""What a request says that it takes: Accept as RFC 9110 (12.5.1) has it, as far as pages need."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: A weight, 0 to 1 with at most three decimals.
_WEIGHT = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_HTML = "text/html"
#: What errors are answered with to programs.
_JSON = ("application/problem+json", "application/json")


def prefers_html(accept: str) -> bool:
    """Whether HTML is named (`text/html`, `text/*`) and wanted no less than JSON is.

    Who takes anything (`*/*`, or without the header) is a program. Pure.
    """
    weights = _weights(accept)
    html = weights.get(_HTML, weights.get("text/*", 0.0))
    return 0 < html >= max(_weight(weights, each) for each in _JSON)


def _weight(weights: Mapping[str, float], media: str) -> float:
    """Of the most particular range that it is in; 0: not taken."""
    kind = media.partition("/")[0]
    ranges = (media, f"{kind}/*", "*/*")
    return next((weights[each] for each in ranges if each in weights), 0.0)


def _weights(accept: str) -> dict[str, float]:
    """Weight by media range in lower case, what else stands beside a range left out."""
    found: dict[str, float] = {}
    for element in accept.lower().split(","):
        media, *parameters = (part.strip() for part in element.split(";"))
        said = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        if _WEIGHT.fullmatch(said):
            found[media] = max(float(said), found.get(media, 0.0))
    return found
