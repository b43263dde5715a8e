"""What devices say of themselves, on its way to the journal: battery, contact, online."""

from __future__ import annotations

import msgspec

from ingest.instant import MINUTE, SECOND
from ingest.observation import DeviceState, DeviceStates, encode_record
from ingest.payload.native import Said

#: An unchanged state is told again after so long (ns): whoever started later learns it too.
AGAIN_NS = 5 * MINUTE
#: That a device is refused whole is told so often at most (ns).
REFUSED_NS = 10 * SECOND
_REMEMBERED = 1 << 17

#: battery, contact, online
_Said = tuple[float | None, bool | None, bool | None]


class StateTeller:
    """Lets a state pass when it changed or is due again; gathers those that passed, for records.

    What it remembers only spares the journal: a second process, or one that was started anew, tells
    a state once more, and that changes nothing. Not safe for several threads.
    """

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], tuple[_Said, int]] = {}
        self._last: dict[str, tuple[str, Said, int]] = {}
        self._refused: dict[tuple[str, str], int] = {}
        self._waiting: dict[int, list[DeviceState]] = {}

    def repeats(self, device: str, patient: str, said: Said, received_at: int) -> bool:
        """Whether the device said the very same just before: then `say` would let nothing pass.

        Nearly every message that says something; this asks at a tenth of the cost of `say`.
        """
        last = self._last.get(device)
        return (
            last is not None
            and last[0] == patient
            and last[1] == said
            and abs(received_at - last[2]) < AGAIN_NS
        )

    def say(self, partition: int, state: DeviceState) -> None:
        """Take in one message's word. battery counts in hundredths; a number always passes."""
        battery = None if state.battery is None else round(state.battery, 2)
        key = (state.device, state.patient)
        known, told_at = self._told.get(key, ((None, None, None), 0))
        now: _Said = (
            known[0] if battery is None else battery,
            known[1] if state.contact is None else state.contact,
            known[2] if state.online is None else state.online,
        )
        new = state.sequence >= 0 or now != known or (state.refused and self._due(key, state))
        passes = new or abs(state.received_at - told_at) >= AGAIN_NS
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
            self._last.clear()
            self._refused.clear()
        at = state.received_at if passes else told_at
        self._told[key] = now, at
        self._last[state.device] = state.patient, (state.battery, state.contact), at
        if not passes:
            return
        self._waiting.setdefault(partition, []).append(
            msgspec.structs.replace(state, battery=battery)
        )

    def _due(self, key: tuple[str, str], state: DeviceState) -> bool:
        """Whether it is to be told (again) that nothing of the device's can be used."""
        told_at = self._refused.get(key)
        if told_at is not None and abs(state.received_at - told_at) < REFUSED_NS:
            return False
        self._refused[key] = state.received_at
        return True

    def take(self) -> list[tuple[int, bytes]]:
        """(partition, record) pairs of what passed since the last time."""
        waiting, self._waiting = self._waiting, {}
        return [
            (partition, encode_record(DeviceStates(tuple(states))))
            for partition, states in waiting.items()
        ]
