"""A simulated fleet: bodies and their devices, as one endless stream of messages in order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

from ingest.fleet.device import Device, device_name, kinds_of
from ingest.fleet.message import Message
from ingest.fleet.physiology import Physiology
from ingest.fleet.settings import FleetSettings
from ingest.instant import SECOND


def bindings(settings: FleetSettings) -> list[tuple[str, int, str]]:
    """(device, patient number from 0, label) of every device, for a registry to know beforehand."""
    return [
        (device_name(settings, kind, patient), patient, f"Bed {patient + 1}")
        for patient in range(settings.patients)
        for kind in kinds_of(patient)
    ]


def messages(settings: FleetSettings) -> Iterator[Message]:
    """The fleet's messages by sending time, without end. The same settings give the same ones."""
    bodies = Physiology(settings)
    devices = [
        Device(settings, kind, patient)
        for patient in range(settings.patients)
        for kind in kinds_of(patient)
    ]
    if not devices:
        return
    order = count()
    heap: list[tuple[int, int, Message]] = []
    for second in count():
        vitals = bodies.step()
        for device in devices:
            for message in device.second(second, vitals):
                heapq.heappush(heap, (message.at, next(order), message))
        while heap and heap[0][0] < (second + 1) * SECOND:
            yield heapq.heappop(heap)[2]
