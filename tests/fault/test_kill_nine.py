"""Fault: `twin run` is killed with SIGKILL again and again. Budget: 0 lost, 0 double.

Two runs hang on one broker under different names and so are sent the same; one of them is killed.
TWIN_FAULT_KILLS says how often, 20 times without it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fault.conftest import Account
from tests.support.commands import wait_for
from tests.support.contents import (
    Content,
    EstimateKey,
    Numbers,
    ObservationKey,
    assert_same,
    by_device,
    embedded_content,
    embedded_count,
    influx_content,
    influx_count,
    replayed,
    rounded_estimates,
)
from tests.support.fleets import (
    FleetRun,
    fitting_speed,
    sent_observations,
    synthetic_registry,
    synthetic_samples,
    write_recording,
)
from tests.support.programs import influxd_path
from tests.support.runs import Tables, TwinRun, influx_tables
from tests.support.servers import InfluxServer, MosquittoServer

KILLS = int(os.environ.get("TWIN_FAULT_KILLS", "20"))
#: The fleet plays at least so long for each kill, so that it is sending during most of them: a kill
#: and the start after it take 2.1 s on an idle machine of two cores.
FLEET_S_PER_KILL = 2.5
DEVICES = 60
SPEED = 4.0

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(600 + 30 * KILLS)]


@dataclass(frozen=True, slots=True)
class Disturbed:
    """What was sent, and what the killed and the undisturbed run made of it."""

    sent: Mapping[ObservationKey, float]
    rows: int
    replayed: Mapping[EstimateKey, Numbers]
    undisturbed: Content
    killed: Content
    influx: Content | None
    ledgers: Mapping[str, Any]
    stall_s: float


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    folder = tmp_path_factory.mktemp("kill")
    seconds = round(KILLS * FLEET_S_PER_KILL * SPEED)
    recording = write_recording(
        folder / "recording.csv", synthetic_samples(DEVICES, seconds, seed=1)
    )
    registry = synthetic_registry(folder / "devices.csv", DEVICES)
    with ExitStack() as running:
        broker = running.enter_context(MosquittoServer())
        influx = influx_if_installed(running)

        def tables(name: str) -> Tables:
            mqtt = {"port": broker.port, "client_id": name}
            return {"mqtt": mqtt, "devices": {"file": str(registry)}}

        calm = running.enter_context(TwinRun(folder / "calm", tables("calm")))
        stores = influx_tables(influx) if influx else {}
        run = running.enter_context(TwinRun(folder / "killed", tables("killed") | stores))
        calm.wait_until_connected()
        run.wait_until_connected()
        # A machine that starts it slowly is killed more slowly, and may become busier still: the
        # fleet must be sending meanwhile.
        speed = fitting_speed(SPEED, run.connected_s)
        fleet = running.enter_context(FleetRun(folder, recording, broker.port, speed))
        stall_s = kill_again_and_again(run, fleet, run.connected_s)
        # It may be playing still, for as long as all of it takes; then its last redeliveries.
        sent = fleet.wait(240.0 + seconds / speed)
        observations = sent_observations(sent)
        wait_for(lambda: embedded_count(calm.store), len(observations))
        wait_for(lambda: embedded_count(run.store), len(observations))
        if influx:
            wait_for(lambda: influx_count(influx), len(observations))
        ledgers = run.ledgers()
        assert [calm.stop(), run.stop()] == [0, 0]
        yield Disturbed(
            observations,
            sent.read_bytes().count(b"\n") - 1,
            replayed(sent, folder / "replayed.parquet"),
            embedded_content(calm.store),
            embedded_content(run.store),
            influx_content(influx) if influx else None,
            ledgers,
            stall_s,
        )


def influx_if_installed(running: ExitStack) -> InfluxServer | None:
    try:
        influxd_path()
    except pytest.skip.Exception:
        return None
    return running.enter_context(InfluxServer())


def kill_again_and_again(run: TwinRun, fleet: FleetRun, start_s: float) -> float:
    """In turn: anywhere in its start, and while it works off what waited or keeps up. Returns the
    longest time without a connection to the broker, s, in which it was killed twice."""
    chance, in_the_flow = random.Random(9), 0
    stalls, down = [0.0], time.monotonic()
    for kill in range(KILLS):
        if kill % 2:
            run.wait_until_connected()
            stalls.append(time.monotonic() - down)
        time.sleep(chance.uniform(0, 1.0 if kill % 2 else max(start_s, 1.0)))
        in_the_flow += fleet.running
        run.kill()
        if kill % 2 or not kill:
            down = time.monotonic()
        run.launch()
    assert in_the_flow >= 0.25 * KILLS
    run.wait_until_connected()
    return max(*stalls, time.monotonic() - down)


def test_the_embedded_store_equals_that_of_an_undisturbed_run(
    disturbed: Disturbed, account: Account
) -> None:
    account(runs=KILLS, stall_s=disturbed.stall_s)
    killed, calm = disturbed.killed, disturbed.undisturbed
    assert_same(killed.observations, calm.observations, "observations")
    assert_same(killed.estimates, calm.estimates, "estimates")
    assert not calm.belated
    # What the broker sends again after a kill may be older than the ring by then (a backlog's last
    # commit, acknowledged no more): belated, so marked, and the same once more.
    again = {device: ledger["belated"] for device, ledger in disturbed.ledgers.items()}
    marked = by_device(killed.belated)
    assert all(count <= again[device] for device, count in marked.items())


def test_the_embedded_store_holds_what_was_acknowledged_and_what_a_replay_says(
    disturbed: Disturbed, account: Account
) -> None:
    account(runs=0)  # the same kills
    killed = disturbed.killed
    assert len(disturbed.sent) == 2 * DEVICES * round(KILLS * FLEET_S_PER_KILL * SPEED)
    assert_same(killed.observations, disturbed.sent, "observations")
    assert_same(killed.estimates, rounded_estimates(disturbed.replayed), "estimates")


def test_influx_holds_what_was_acknowledged_and_what_a_replay_says(
    disturbed: Disturbed, account: Account
) -> None:
    account(runs=0)
    if disturbed.influx is None:
        influxd_path()  # skips and says what is missing
    assert disturbed.influx is not None
    assert_same(disturbed.influx.observations, disturbed.sent, "observations in InfluxDB")
    assert_same(disturbed.influx.estimates, disturbed.replayed, "estimates in InfluxDB")


def test_every_observation_had_its_effect_once(disturbed: Disturbed, account: Account) -> None:
    account(runs=0)
    ledgers, sent = disturbed.ledgers, by_device(disturbed.sent)
    assert {device: ledger["estimated"] for device, ledger in ledgers.items()} == sent
    assert {device: ledger["stored"] for device, ledger in ledgers.items()} == sent
    for ledger in ledgers.values():
        again = ledger["duplicate"] + ledger["belated"]
        assert ledger["journalled"] == ledger["estimated"] + again
        assert (ledger["refused"], ledger["conflict"]) == ({}, 0)
        assert ledger["difference"] == ledger["belated"]  # each of them is stored once
    repeated = sum(ledger["duplicate"] + ledger["belated"] for ledger in ledgers.values())
    assert repeated >= disturbed.rows - len(disturbed.sent) > 0
