"""Sparkplug B payloads as an edge node would send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.payload.sparkplug_births import Table, table_of
from ingest.payload.sparkplug_wire import DOUBLE, STRING, Payload

NOW_MS = 1_795_608_000_000


def payload(
    *metrics: Mapping[str, Any], seq: int | None = 1, timestamp: int | None = NOW_MS
) -> bytes:
    """Bytes of a payload; a metric's keys are fields of the protocol, `unit` and `quality` too."""
    made = Payload()
    if seq is not None:
        made.seq = seq
    if timestamp is not None:
        made.timestamp = timestamp
    for metric in metrics:
        added = made.metrics.add()
        for name, value in metric.items():
            if name == "unit":
                added.properties.keys.append(b"engUnit")
                added.properties.values.add(type=STRING, string_value=str(value).encode())
            elif name == "quality":
                added.properties.keys.append(b"Quality")
                added.properties.values.add(type=3, int_value=value)
            else:
                setattr(added, name, value.encode() if isinstance(value, str) else value)
    encoded: bytes = made.SerializeToString()
    return encoded


def double(name: str, value: float, **fields: Any) -> Mapping[str, Any]:
    """A metric of type Double."""
    return {"name": name, "datatype": DOUBLE, "double_value": value} | fields


def by_alias(alias: int, value: float, **fields: Any) -> Mapping[str, Any]:
    """A metric of later data: no name, no type."""
    return {"alias": alias, "double_value": value} | fields


def declared(payload_of_birth: bytes) -> Table:
    """The table that a birth makes."""
    from ingest.payload.sparkplug import decode

    return table_of(decode(payload_of_birth, "BIRTH").declared)
