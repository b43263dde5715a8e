"""Why devices are silent: judged on ticks, in journal time, by what is known of each.

Silence itself is nothing for longer than three of its expected intervals, 60 s at least, and a
declared delay more. A device that says that it is off the body, or is said to be offline by the
broker, need not be silent for so long. After a gap in the ticks nobody is judged silent for 30 s:
what was sent meanwhile is still on its way. Who is heard again is no longer silent at once. The
rule for one device is `kernel.cause_of`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from ingest.observation import Tick
from twin.intake.gateways import Gateways
from twin.intake.kernel import watch
from twin.intake.table import DeviceTable
from twin.part import Moment

#: Counts alone are reported at most so often (ns of journal time), and of a partition's devices
#: about so many in a second: what a large fleet costs is bounded.
COUNTS_EVERY, COUNTS_AT_ONCE = 5 * SECOND, 64
#: After a gap in the ticks nobody falls silent for this long (ns of journal time).
RESPITE = 30 * SECOND


def judge(
    table: DeviceTable,
    gateways: Gateways,
    tick: Tick,
    moment: Moment,
    respite: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Change the silence of devices where it changed; the rows that are now to be reported.

    respite: (partitions,) journal time until which nobody falls silent.
    """
    chosen = np.empty(table.count, np.int64)
    off = gateways.offline(table.marks[: table.count])
    rows = np.bincount(table.of[: table.count] + 1, minlength=len(respite) + 1)[1:]
    written = watch(
        moment.partitions,
        moment.elapsed,
        int(moment.elapsed[moment.partitions].max()),
        respite,
        np.maximum(rows * SECOND // COUNTS_AT_ONCE, COUNTS_EVERY),
        tick.at,
        tick.broker_connected,
        off,
        table.marks,
        table.clock,
        table.look,
        chosen,
    )
    return chosen[:written]
