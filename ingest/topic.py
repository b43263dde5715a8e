"""The topic grammar: which device a message is from, and what kind of message it is.

`twin/v1/<device>/telemetry|status|announce`, and for declared gateways
`twin/v1/<gateway>/<device>/…`. The device id of the latter is `<gateway>/<device>`, so that nobody
can be taken for another by publishing one level deeper.
"""

from __future__ import annotations

import re
from collections.abc import Set
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from ingest.observation import DeviceId

ROOT = "twin/v1"
EXPECTED = f"{ROOT}/<device>/telemetry, <device> = 1–64 of A–Z a–z 0–9 . _ -"

_NAME = r"[A-Za-z0-9._-]{1,64}"
_KINDS = "telemetry|status|announce|refused"
_TOPIC = re.compile(rf"twin/v1/(?:({_NAME})/)?({_NAME})/({_KINDS})", re.ASCII)

_DEVICE = re.compile(rf"(?:{_NAME}/)?{_NAME}", re.ASCII)
_LONGEST = len(f"{ROOT}///telemetry") + 2 * 64


class Kind(Enum):
    """What a message under a well-formed topic is."""

    TELEMETRY = "telemetry"
    STATUS = "status"
    ANNOUNCE = "announce"  # what the device is, for who registers it
    REFUSED = "refused"  # what ingest itself publishes for the device's engineer: not read


class Address(NamedTuple):
    """A well-formed topic: the device, the gateway that speaks for it (or None), the kind."""

    device: DeviceId
    gateway: str | None
    kind: Kind


def parse_topic(topic: str) -> Address | None:
    """The address in a topic, or None if it does not follow the grammar."""
    return None if len(topic) > _LONGEST else _parsed(topic)


@lru_cache(maxsize=1 << 16)  # a device says the same topic all its life
def _parsed(topic: str) -> Address | None:
    match = _TOPIC.fullmatch(topic)
    if match is None:
        return None
    gateway, device, kind = match.groups()
    return Address(DeviceId(f"{gateway}/{device}" if gateway else device), gateway, Kind(kind))


def is_device_id(name: str) -> bool:
    """Whether a name has the form of a device's id, alone or behind a gateway."""
    return _DEVICE.fullmatch(name) is not None


def is_declared(address: Address, gateways: Set[str]) -> bool:
    """Whether the address is a device of its own, or one of a declared gateway."""
    return address.gateway is None or address.gateway in gateways


def telemetry_topic(device: str) -> str:
    """Where the device publishes; the inverse of `parse_topic` for telemetry."""
    return f"{ROOT}/{device}/telemetry"


def refused_topic(device: str) -> str:
    """Where its refusals are published."""
    return f"{ROOT}/{device}/refused"
