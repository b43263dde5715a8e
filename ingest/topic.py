"""The topic grammar: which device a message is from, what kind of message it is, in which format.

`twin/v1/<device>/telemetry|status|announce|<format>`, and for declared gateways one level deeper,
`twin/v1/<gateway>/<device>/…`. The device id of the latter is `<gateway>/<device>`, so that nobody
can be taken for another by publishing one level deeper. Of Sparkplug's
`spBv1.0/<group>/<type>/<edge node>[/<device>]` the device is `<group>/<edge node>/<device>`, an
edge node itself `<group>/<edge node>`.
"""

from __future__ import annotations

import re
from collections.abc import Set
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from ingest.observation import DeviceId

ROOT = "twin/v1"
EXPECTED = f"{ROOT}/<device>/telemetry, <device> = 1–64 of A–Z a–z 0–9 . _ -, not . or .."

#: No name is `.` or `..`: in an address these are steps, which every browser takes by itself, so
#: that such a device could not be opened.
_NO_STEP = r"(?!\.\.?(?:/|\Z))"
NAME = _NO_STEP + r"[A-Za-z0-9._-]{1,64}"
#: A level of Sparkplug's topics, where spaces and colons are usual.
FOREIGN_NAME = _NO_STEP + r"[A-Za-z0-9._:-](?:[A-Za-z0-9._: -]{0,62}[A-Za-z0-9._:-])?"
#: Any device id: a device, one behind a gateway, or Sparkplug's.
DEVICE_ID = re.compile(rf"(?:{NAME}/)?{NAME}|(?:{FOREIGN_NAME}/){{1,2}}{FOREIGN_NAME}", re.ASCII)

#: Formats that a device of ours may speak under its own name: twin/v1/<device>/<format>.
FORMS = ("senml", "senml-cbor", "ieee1752", "fhir")
_TOPIC = re.compile(
    rf"twin/v1/(?:({NAME})/)?({NAME})/(telemetry|status|announce|{'|'.join(FORMS)})", re.ASCII
)
_REFUSED = re.compile(rf"twin/v1/({DEVICE_ID.pattern})/refused", re.ASCII)
_SPARKPLUG = re.compile(
    rf"spBv1\.0/({FOREIGN_NAME})/(?:N(BIRTH|DATA|DEATH|CMD)/({FOREIGN_NAME})"
    rf"|D(BIRTH|DATA|DEATH|CMD)/({FOREIGN_NAME})/({FOREIGN_NAME}))",
    re.ASCII,
)
_NAME = re.compile(NAME, re.ASCII)
_STATE = re.compile(r"spBv1\.0/STATE/[^/+#]+")

_LONGEST = len("spBv1.0/NDEATH////") + 4 * 64


class Kind(Enum):
    """What a message under a well-formed topic is."""

    TELEMETRY = "telemetry"
    STATUS = "status"
    ANNOUNCE = "announce"  # what the device is, for who registers it
    REFUSED = "refused"  # what ingest itself publishes for the device's engineer: not read
    COMMAND = "command"  # what hosts say to Sparkplug's edge nodes, or of themselves: not read


class Address(NamedTuple):
    """A well-formed topic: the device, the gateway that speaks for it (or None), the kind.

    form: the format that is spoken there. part: Sparkplug's BIRTH, DATA or DEATH; of a declared
    mapping its name.
    """

    device: DeviceId
    gateway: str | None
    kind: Kind
    form: str = "native"
    part: str = ""


def parse_topic(topic: str) -> Address | None:
    """The address in a topic, or None if it does not follow the grammar."""
    return None if len(topic) > _LONGEST else _parsed(topic)


@lru_cache(maxsize=1 << 16)  # a device says the same topic all its life
def _parsed(topic: str) -> Address | None:
    match = _TOPIC.fullmatch(topic)
    if match is not None:
        gateway, device, last = match.groups()
        name = DeviceId(f"{gateway}/{device}" if gateway else device)
        if last in FORMS:
            return Address(name, gateway, Kind.TELEMETRY, last)
        return Address(name, gateway, Kind(last))
    if topic.startswith("spBv1.0/"):
        return _sparkplug(topic)
    refused = _REFUSED.fullmatch(topic)
    return None if refused is None else Address(DeviceId(refused[1]), None, Kind.REFUSED)


def _sparkplug(topic: str) -> Address | None:
    match = _SPARKPLUG.fullmatch(topic)
    if match is None:
        host = _STATE.fullmatch(topic)
        return None if host is None else Address(DeviceId(""), None, Kind.COMMAND, "sparkplug")
    group, of_node, only_node, of_device, node, device = match.groups()
    name = f"{group}/{only_node}" if of_node else f"{group}/{node}/{device}"
    part = of_node or of_device
    kind = Kind.COMMAND if part == "CMD" else Kind.TELEMETRY
    return Address(DeviceId(name), None, kind, "sparkplug", part)


def is_device_id(name: str) -> bool:
    """Whether a name has the form of a device's id."""
    return DEVICE_ID.fullmatch(name) is not None


def is_declared(address: Address, gateways: Set[str]) -> bool:
    """Whether the address is a device of its own, or one of a declared gateway."""
    return address.gateway is None or address.gateway in gateways


def is_name(text: str) -> bool:
    """Whether a text can be one level of a device id."""
    return _NAME.fullmatch(text) is not None


def telemetry_topic(device: str) -> str:
    """Where the device publishes; the inverse of `parse_topic` for telemetry."""
    return f"{ROOT}/{device}/telemetry"


def refused_topic(device: str) -> str:
    """Where its refusals are published."""
    return f"{ROOT}/{device}/refused"


def edge_node_of(device: str) -> str:
    """The edge node that speaks for a Sparkplug device; an edge node's own is itself."""
    return "/".join(device.split("/")[:2])


def command_topic(device: str) -> str:
    """Where a Sparkplug device's edge node takes commands."""
    group, node = device.split("/")[:2]
    return f"spBv1.0/{group}/NCMD/{node}"
