"""Is anybody still upstream? Judged by care's own clock, since the pipeline's may have stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Seconds without a beat after which a part counts as down.
SILENCE_S = 5.0
LIVE = "live"
#: The state while nothing comes from ingest.
INGEST_DOWN = "ingest_down"


@dataclass(slots=True)
class Pulses:
    """Numbers that grow while a part lives (positions, counts), watched for standing still."""

    silence_s: float = SILENCE_S
    _last: dict[str, tuple[int, float]] = field(default_factory=dict)

    def observe(self, beats: Mapping[str, int], at: float) -> str:
        """ "live", or "<part>_down" of the first part whose beat has not moved for `silence_s`.

        beats: part → its number now; at: seconds of a monotonic clock. A part that is seen for the
        first time counts as alive.
        """
        state = LIVE
        for part, beat in beats.items():
            last = self._last.get(part)
            if last is None or last[0] != beat:
                self._last[part] = (beat, at)
            elif at - last[1] >= self.silence_s and state == LIVE:
                state = f"{part}_down"
        return state
