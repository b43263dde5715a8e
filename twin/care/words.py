"""Catalogues of words, and how numbers, times and ages are written in each language.

static/words/<language>.json holds every text of the pages; the browser reads the same file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from ingest.catalogue import BUILT_IN, CODES, SIGNALS
from ingest.instant import SECOND
from twin.care.refusal_words import in_french
from twin.care.settings import LANGUAGES

#: Two words with a space between: what a voice must know the language of.
_SENTENCE = re.compile(r"\b[a-z]{2,}\b.*\s.*\b[a-z]{2,}\b")
STATIC = Path(__file__).parent / "static"


def catalogue(language: str) -> Mapping[str, str]:
    """key → text. Raises FileNotFoundError for a language that there is not."""
    return _catalogue(language, len(SIGNALS))


@cache
def _catalogue(language: str, signals: int) -> Mapping[str, str]:
    """With the names of the first so many signals; a declared one may have none but its code."""
    file = STATIC / "words" / f"{language}.json"
    texts = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    for code in CODES[len(BUILT_IN) : signals]:
        names = SIGNALS[code].names
        name = names.get(language) or next(iter(names.values()), code.replace("_", " "))
        texts.setdefault(f"signal.{code}", name)
        texts.setdefault(f"short.{code}", name)
        texts.setdefault(f"unit.{code}", "")
    return texts


@dataclass(frozen=True, slots=True)
class Words:
    """One language and the site's time zone."""

    language: str
    zone: ZoneInfo

    def __call__(self, key: str, **parts: object) -> str:
        """The text of a key with its {parts} filled in. Raises KeyError: a text is missing."""
        text = catalogue(self.language)[key]
        return text.format(**parts) if parts else text

    def refusal(self, reason: str) -> str:
        """Why something was refused, in words; the code of a reason that has none."""
        return catalogue(self.language).get(f"refused.{reason}", reason)

    def technical(self, text: str) -> tuple[str, str]:
        """What a decoder says of a refusal, and the language it is in then, "" where that is the
        page's own, or a number, a sign, a name."""
        if self.language == "en":
            return text, ""
        french = in_french(text)
        if french is not None:
            return french, ""
        return text, "en" if _SENTENCE.search(text) else ""

    def number(self, number: float | None, decimals: int) -> str:
        """A dash for no number; halves go up, as in browsers; a decimal comma in French."""
        if number is None or number != number:
            return "—"
        exact = Decimal(number).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
        text = str(abs(exact) if exact == 0 else exact)
        return text.replace(".", ",") if self.language == "fr" else text

    def age(self, seconds: float) -> str:
        """Whole seconds to 120, minutes to 120, hours to 48, days: never said half as old."""
        s = max(0, int(seconds))
        for unit, length, up_to in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
            if s < up_to:
                return self(f"age.{unit}", n=s // length)
        return self("age.d", n=s // 86_400)

    def clock(self, instant: int) -> str:
        """HH:MM:SS on site of an int64 ns UTC."""
        return f"{self._on_site(instant):%H:%M:%S}"

    def moment(self, instant: int, now: int | None = None) -> str:
        """Date and time on site, ISO order, with the zone's offset.

        With now: as people read it, the date only where it is not today's, the offset only in the
        hour that a change of clocks repeats.
        """
        at = self._on_site(instant)
        if now is None:
            return f"{at:%Y-%m-%d %H:%M:%S %z}"
        today = at.date() == self._on_site(now).date()
        twice = at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
        return f"{'' if today else f'{at:%Y-%m-%d} '}{at:%H:%M:%S}{f'{at: %z}' if twice else ''}"

    def plural(self, key: str, n: int) -> str:
        """`key`_one or _other; French counts 0 as one."""
        one = n == 1 or (n == 0 and self.language == "fr")
        return self(f"{key}_{'one' if one else 'other'}", n=n)

    def _on_site(self, instant: int) -> datetime:
        return datetime.fromtimestamp(instant // SECOND, UTC).astimezone(self.zone)


def preferred_language(accept: str, default: str) -> str:
    """The best of our languages for an Accept-Language header, else `default`."""
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            ranked.append((-float(weight or 1), place, tag.split("-")[0].lower()))
        except ValueError:
            continue
    return next(
        (tag for weight, _, tag in sorted(ranked) if tag in LANGUAGES and weight < 0), default
    )
