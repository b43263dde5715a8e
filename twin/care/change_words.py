"""The change index and what is usual in words: what is said of them on a page."""

from __future__ import annotations

from twin.care.cells import band_of
from twin.care.judged import usual_bodies
from twin.care.vitals import VITALS
from twin.care.words import Words
from twin.personal import Change, Departure

#: A signal is named where it is so much (share) of what makes the day unusual, three at most.
_NAMED, _MOST = 0.15, 3


def change_line(change: Change | None, words: Words) -> str:
    """One sentence: not yet known, as usual, or unusual and which signals make it so."""
    if change is None or not change.known:
        return words("change.learning")
    index = {
        name: words.number(100 * getattr(change, name), 0) for name in ("index", "low", "high")
    }
    if not change.unusual:
        return words("change.usual", **index)
    parts = ", ".join(_part(part, change, words) for part in named(change))
    return words("change.unusual", parts=parts, **index)


def named(change: Change) -> list[Departure]:
    """The signals that make the day unusual, the largest contribution first."""
    least = _NAMED * change.statistic
    return [part for part in change.departures if part.contribution >= least][:_MOST]


def _part(part: Departure, change: Change, words: Words) -> str:
    way = "above" if part.departure > 0 else "below"
    share = words.number(100 * part.contribution / change.statistic, 0)
    return words(f"change.{way}", signal=words(f"signal.{part.signal}"), share=share)


def usual_line(change: Change | None, now: int, words: Words) -> str:
    """What is usual for the person at this hour, signal by signal; "" where nothing is known."""
    parts = [
        f"{words(f'signal.{code}')} {band_of(code, body.lo50, body.hi50, words)}"
        for code, body in usual_bodies(change, now).items()
        if code in VITALS and body.lo50 is not None and body.hi50 is not None
    ]
    return words("usual.line", parts=", ".join(parts)) if parts else ""
