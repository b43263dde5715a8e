"""Anchors as they go through the estimates journal into the stores, which do not look inside."""

from __future__ import annotations

import msgspec


class Anchor(msgspec.Struct, frozen=True, array_like=True):
    """The filter of one key (patient, signal) as of a stamp.

    at: ns UTC, the stamp of the newest measurement in it; body: for `twin.estimation.anchors`.
    """

    patient: str
    signal: str
    at: int
    body: bytes


class Anchors(msgspec.Struct, frozen=True, array_like=True):
    """A record of the estimates journal: anchors of one partition. model: the version in force."""

    model: str
    anchors: tuple[Anchor, ...]
