"""Devices that are silent for one cause are one event: a dead gateway, no broker, no ingest.

The worker says of each device why it is silent, and of no two that it is for the same reason
(`docs/architecture.md`: no state couples two patients); who reads puts them together. An event ends
by itself as soon as its devices are heard again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.care.words import Words
from twin.device_report import Silence

#: What a device of a silent gateway is, as far as it does not say itself why it is silent.
_UNEXPLAINED = (Silence.LATE, Silence.GATEWAY)
#: A device that is silent for one of these says nothing of its gateway.
_ITS_OWN = (Silence.NEVER_SEEN, Silence.BODY_OFF, Silence.BATTERY, Silence.RADIO, Silence.BROKER)


@dataclass(frozen=True, slots=True)
class SilentGroup:
    """One event: why, the gateway ("" where it is not about one), since when (ns UTC), and how many
    devices and patients wait behind it."""

    cause: str
    gateway: str
    since: int
    devices: int
    patients: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """n reports, one for each device on each patient.

    keys: device and patient; rows: DEVICE_ROW; gateway: number of the device's gateway in
    `gateways` (−1: it speaks for itself), each (n,).
    """

    keys: Sequence[tuple[str, str]]
    rows: NDArray[Any]
    gateway: NDArray[np.int64]
    gateways: Sequence[str]


def grouped(pairs: Pairs, ingest_since: int | None = None) -> list[SilentGroup]:
    """The events of now, gateways first, by name. ingest_since: ingest is down since then (ns UTC).

    A gateway is silent if the broker says so, or if two of its devices at least are late and none
    is heard, but for those that say themselves why: they are not worn, their battery is empty, ….
    """
    silence = pairs.rows["silence"]
    behind = pairs.gateway >= 0
    gateways = np.where(behind & np.isin(silence, _UNEXPLAINED), pairs.gateway, -1)
    told = behind & (silence == Silence.GATEWAY)
    lost = _lost(pairs, behind)
    found = []
    for number in np.unique(gateways[gateways >= 0]).tolist():
        places = np.flatnonzero((gateways == number) & (told | lost[number]))
        if len(places):
            found.append(_group(Silence.GATEWAY, pairs.gateways[number], places, pairs))
    found.sort(key=lambda group: group.gateway)
    without_broker = np.flatnonzero(silence == Silence.BROKER)
    if len(without_broker):
        found.append(_group(Silence.BROKER, "", without_broker, pairs))
    if ingest_since is not None and (silence == Silence.NONE).any():
        heard = np.flatnonzero(silence == Silence.NONE)
        found.append(_group(Silence.INGEST, "", heard, pairs, ingest_since))
    return found


def _lost(pairs: Pairs, behind: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(gateways,) which of them nothing is heard through."""
    newest: dict[str, int] = {}
    received, silence = pairs.rows["last_received"].tolist(), pairs.rows["silence"].tolist()
    for place in np.flatnonzero(behind).tolist():  # a device that changed patients speaks of one
        device = pairs.keys[place][0]
        if device not in newest or received[place] >= received[newest[device]]:
            newest[device] = place
    late, heard = np.zeros((2, len(pairs.gateways)), np.int64)
    for place in newest.values():
        number = pairs.gateway[place]
        late[number] += silence[place] in _UNEXPLAINED
        heard[number] += silence[place] not in (*_UNEXPLAINED, *_ITS_OWN)
    return np.asarray((late > 1) & (heard == 0), np.bool_)


def _group(
    cause: Silence,
    gateway: str,
    places: NDArray[np.int64],
    pairs: Pairs,
    since: int | None = None,
) -> SilentGroup:
    of = [pairs.keys[place] for place in places.tolist()]
    return SilentGroup(
        cause.word,
        gateway,
        int(pairs.rows["since"][places].min()) if since is None else since,
        len({device for device, _ in of}),
        len({patient for _, patient in of}),
    )


def lines_of(groups: Sequence[SilentGroup], words: Words, now: int) -> list[str]:
    """A sentence for each event, but for ingest: every page says that by itself."""
    shown = [group for group in groups if group.cause != Silence.INGEST.word]
    return [_line(group, words, now) for group in shown]


def _line(group: SilentGroup, words: Words, now: int) -> str:
    return words(
        f"silences.{group.cause}",
        gateway=group.gateway,
        since=words.moment(group.since, now),
        devices=words.plural("devices.silent", group.devices),
        patients=words.plural("ward.count", group.patients),
    )
