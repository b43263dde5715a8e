"""Fault: the connection to the broker is half open. Budget: 0 lost, 0 double."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ingest.instant import SECOND
from tests.fault.conftest import Account
from tests.support.commands import eventually
from tests.support.contents import embedded_content
from tests.support.proxy import Wire
from tests.support.publisher import publish_all, reading
from tests.support.runs import TwinRun
from tests.support.servers import MosquittoServer
from tests.support.stopwatch import Stopwatch

pytestmark = [pytest.mark.fault, pytest.mark.slow]

#: Long enough for a busy machine to answer within it.
KEEPALIVE_S = 4


def test_a_dead_wire_is_noticed_and_what_came_meanwhile_arrives(
    mosquitto_server: MosquittoServer, tmp_path: Path, account: Account
) -> None:
    start = time.time_ns() // SECOND * SECOND - 60 * SECOND
    sent = [reading("watch-1", start + n * SECOND // 4, {"heart_rate": 60 + n}) for n in range(100)]
    with Wire(mosquitto_server.port) as wire:
        mqtt = {"port": wire.port, "keepalive_s": KEEPALIVE_S, "reconnect_max_s": 1.0}
        tables = {"mqtt": mqtt, "devices": {"unknown": "register"}}
        with TwinRun(tmp_path, tables) as run:
            run.wait_until_connected()
            publish_all(mosquitto_server.port, sent[:50])
            eventually(lambda: stored(run) == 50, "stored")
            wire.go_dead()
            publish_all(mosquitto_server.port, sent[50:])
            watch = Stopwatch()
            stall = eventually(lambda: stored(run) == 100, "stored over another connection")
            to_spare = watch.unhindered
            assert wire.connections == 2
            ledger = run.ledgers()["watch-1"]
            assert (ledger["stored"], ledger["refused"]) == (100, {})
            assert run.stop() == 0
    values = sorted(embedded_content(run.store).observations.values())
    assert values == [60.0 + n for n in range(100)]
    assert to_spare < 3 * KEEPALIVE_S + 10
    account(runs=1, stall_s=stall)


def stored(run: TwinRun) -> int:
    return sum(ledger["stored"] for ledger in run.ledgers().values())
