"""The page of all devices: which of them are shown, in which order, a page at a time.

Chosen by the address (`/devices?silence=late&q=ward-2&sort=last`), so that it works without script,
can be kept as a bookmark, and a fleet of ten thousand sends a page of them and no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from twin.care.facts import DeviceFacts

AT_ONCE = 50
SORTS = ("silence", "device", "last", "battery")
VIEWS = ("state", "ledger")
#: What a device is, where no `Silence` says it: heard, of no report yet, out of use.
HEARD, UNHEARD, RETIRED = "heard", "unheard", "retired"
#: Groups in the order of the page: first what somebody must see to.
ORDER = (
    "clock", "unusable", "battery", "radio", "late", "never_seen", "gateway", "broker", "ingest",
    "body_off", UNHEARD, HEARD, RETIRED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listed:
    """One device of the list. name: its patient's, as people know it; group: one of `ORDER`."""

    device: str
    patient: str | None
    name: str
    model: str
    facts: DeviceFacts | None
    group: str

    @property
    def last_received(self) -> int:
        return 0 if self.facts is None else self.facts.last_received


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; silence "": all groups; page: from 1."""

    q: str = ""
    silence: str = ""
    sort: str = SORTS[0]
    view: str = VIEWS[0]
    page: int = 1

    def address(self, **other: str | int) -> str:
        """The address of this list with something else asked for."""
        said = replace(self, **other) if "page" in other else replace(self, page=1, **other)  # type: ignore[arg-type]
        words = {"q": said.q, "silence": said.silence, "sort": said.sort, "view": said.view}
        default = {"sort": SORTS[0], "view": VIEWS[0]}
        kept = {key: word for key, word in words.items() if word and word != default.get(key)}
        if said.page > 1:
            kept["page"] = str(said.page)
        return "/devices" + (f"?{urlencode(kept)}" if kept else "")


@dataclass(frozen=True, slots=True)
class DevicePage:
    """One page: groups of devices (one group "" where the order is another), how many the filter
    lets pass, how many pages they fill, and of all that match the words, devices by group."""

    asked: Asked
    groups: Sequence[tuple[str, Sequence[Listed]]]
    found: int
    pages: int
    counts: Mapping[str, int]


def asked_of(query: QueryParams) -> Asked:
    """What cannot be is as if it were not there."""
    page = query.get("page", "1")
    return Asked(
        query.get("q", "").strip(),
        _one_of(query.get("silence", ""), ORDER, ""),
        _one_of(query.get("sort", ""), SORTS, SORTS[0]),
        _one_of(query.get("view", ""), VIEWS, VIEWS[0]),
        max(int(page), 1) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
    )


def group_of(facts: DeviceFacts | None, retired: bool) -> str:
    """Which of `ORDER` a device is in."""
    if retired:
        return RETIRED
    if facts is None or not (facts.reported_at or facts.last_received):
        return UNHEARD
    return facts.silence or HEARD


def page_of(devices: Sequence[Listed], asked: Asked) -> DevicePage:
    """The page that is asked for; the last one, if there are fewer. devices: by id."""
    wanted = asked.q.casefold()
    match = [one for one in devices if wanted in _text(one)] if wanted else devices
    counts = Counter(one.group for one in match)
    chosen = [one for one in match if asked.silence in ("", one.group)]
    shown = _sorted(chosen, asked.sort)
    pages = max(1, -(-len(shown) // AT_ONCE))
    number = min(asked.page, pages)
    part = shown[(number - 1) * AT_ONCE : number * AT_ONCE]
    by_group = asked.sort == SORTS[0]
    groups = [(group, list(of)) for group, of in groupby(part, lambda one: one.group)]
    return DevicePage(
        replace(asked, page=number),
        groups if by_group else [("", part)] if part else [],
        len(shown),
        pages,
        {group: counts[group] for group in ORDER if counts[group]},
    )


def _sorted(devices: Sequence[Listed], sort: str) -> Sequence[Listed]:
    if sort == "silence":  # of each group who is silent longest first
        place = {group: n for n, group in enumerate(ORDER)}
        return sorted(devices, key=lambda one: (place[one.group], _since(one)))
    if sort == "last":
        return sorted(devices, key=lambda one: -one.last_received)
    if sort == "battery":
        return sorted(devices, key=_battery)
    return devices


def _since(one: Listed) -> int:
    return 0 if one.facts is None or one.group == HEARD else one.facts.since


def _battery(one: Listed) -> float:
    return 2.0 if one.facts is None or one.facts.battery is None else one.facts.battery


def _text(one: Listed) -> str:
    return f"{one.device}\n{one.patient}\n{one.name}\n{one.model}".casefold()


def _one_of(said: str, known: Sequence[str], otherwise: str) -> str:
    return said if said in known else otherwise
