"""Data of Sparkplug devices whose birth is not known: the edge node is asked for it, and once it
came, what waited for it in quarantine is used by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ingest.decide import Decision
from ingest.instant import MILLISECOND, SECOND
from ingest.payload.decoded import Reason
from ingest.payload.sparkplug_wire import rebirth_request
from ingest.plain import Message
from ingest.quarantine import Quarantine
from ingest.topic import command_topic, edge_node_of

#: An edge node is asked again after so long, ns of the messages' receipt.
_PATIENCE = 10 * SECOND
#: Without an alias nothing is lost, only a unit that the birth would say may be missing.
_PATIENCE_BY_NAME = 600 * SECOND
_NODES_KEPT = 1 << 16
_COUNT = 256


class Rebirths:
    """Remembers whom it asked when; two processes ask twice, which does no harm."""

    def __init__(self, publish: Callable[[str, bytes], None]) -> None:
        self._publish = publish
        self._asked: dict[str, int] = {}
        self._newest: dict[str, int] = {}  # edge node → its last sequence number

    def ask(self, decisions: Iterable[tuple[Message, Decision]]) -> int:
        """Ask the edge nodes of data that needs a birth; returns how many were asked."""
        wanted: dict[str, int] = {}
        for message, decision in decisions:
            spoken, device = decision.reading.spoken, decision.reading.device
            if spoken is None or spoken.part != "DATA":
                continue
            unknown = any(r.reason is Reason.ALIAS_UNKNOWN for r in decision.rejections)
            if unknown or not spoken.born:
                patience = _PATIENCE if unknown else _PATIENCE_BY_NAME
                node, at = edge_node_of(device), message.received_at
                if at - self._asked.get(node, at - patience) >= patience:
                    wanted[node] = self._asked[node] = at
        for node, at in wanted.items():
            self._publish(command_topic(node), rebirth_request(at // MILLISECOND))
        if len(self._asked) > _NODES_KEPT:
            self._asked.clear()
        return len(wanted)

    def missing(self, decisions: Iterable[tuple[Message, Decision]]) -> int:
        """How many messages the edge nodes' sequence numbers (0–255) say that never came.

        A number that came before, or goes back, is a redelivery and says nothing.
        """
        count = 0
        for _, decision in decisions:
            reading = decision.reading
            if reading.spoken is None or reading.spoken.seq < 0:
                continue
            node, seq = edge_node_of(reading.device), reading.spoken.seq
            starts = reading.spoken.part == "BIRTH" and node == reading.device
            step = (seq - self._newest.get(node, seq - 1)) % _COUNT
            if starts or 0 < step <= _COUNT // 2:
                self._newest[node] = seq
                count += 0 if starts else step - 1
        if len(self._newest) > _NODES_KEPT:
            self._newest.clear()
        return count


def waiting_for(
    decisions: Iterable[tuple[Message, Decision]], quarantine: Quarantine
) -> Sequence[str]:
    """Ids of quarantined messages that wait for a birth which is among these messages."""
    born = {
        decision.reading.device
        for _, decision in decisions
        if decision.reading.spoken is not None and decision.reading.spoken.part == "BIRTH"
    }
    if not born:
        return ()
    waiting = quarantine.devices_with(Reason.ALIAS_UNKNOWN)
    return [
        message
        for device in sorted(born)
        if device in waiting
        for message in quarantine.messages(Reason.ALIAS_UNKNOWN, device)
    ]
