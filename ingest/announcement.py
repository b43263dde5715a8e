"""What a device says it is, on twin/v1/<device>/announce: pure, bytes → Announced or Rejection."""

from __future__ import annotations

import msgspec

from ingest.payload.decoded import Reason, Rejection

_EXPECTED = 'a JSON object like {"model": "…", "firmware": "…", "serial": "…"}, each a text'
_LONGEST = 64
_MOST_BYTES = 4_096


class Announced(msgspec.Struct, frozen=True):
    """Model, firmware and serial number in the device's own words; empty: not said."""

    model: str = ""
    firmware: str = ""
    serial: str = ""


_read = msgspec.json.Decoder(Announced).decode


def read_announcement(payload: bytes) -> Announced | Rejection:
    """The announcement; a key that is not listed is not kept. Never raises."""
    if len(payload) > _MOST_BYTES:
        return _refused("", f"{len(payload)} bytes")
    try:
        said = _read(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _refused("", "something else")
    for key in ("model", "firmware", "serial"):
        text = getattr(said, key)
        if len(text) > _LONGEST or not text.isprintable():
            return _refused(key, f"{len(text)} characters")
    return said


def _refused(path: str, got: str) -> Rejection:
    expected = f"at most {_LONGEST} printable characters" if path else _EXPECTED
    return Rejection(Reason.ANNOUNCEMENT_UNREADABLE, path, expected, got)
