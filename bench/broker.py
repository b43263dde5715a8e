"""The demo's broker, killed in a flood: what was acknowledged and is gone, what out of order.

    python -m bench.broker [--broker nats|mosquitto] [--runs 10] [--kill parent|broker]

A parent process runs the broker and an ingest-like subscriber (writes down, then acknowledges,
every 10 ms). A publisher floods at QoS 1. Then SIGKILL to the parent (the broker ends with it) or
to the broker itself, a new broker on the same folder, 3 000 newer messages, and a count. One line
of JSON for each run.
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil

from ingest.fleet.publish import Publisher
from ingest.fleet.settings import Connection
from twin.broker import BrokerChild, Kind, broker_program

TOPIC = "twin/v1/flood/telemetry"
NEWER = 3_000


def live(kind: Kind, folder: Path) -> None:
    """Be the parent: broker and subscriber, until killed."""
    begun = time.monotonic()
    broker = BrokerChild(kind, folder)
    port = broker.start()
    up = time.monotonic() - begun
    held: list[tuple[bytes, int]] = []
    client = session(manual=True)
    client.on_message = lambda _c, _u, m: held.append((m.payload, m.mid))
    client.connect("127.0.0.1", port)
    client.subscribe("twin/v1/#", 1)
    client.loop_start()
    time.sleep(0.3)
    print(port, broker.pid, round(up * 1000), flush=True)
    with (folder / "received").open("a") as written:
        while True:
            time.sleep(0.01)
            count = len(held)
            written.writelines(f"{payload.decode()}\n" for payload, _ in held[:count])
            written.flush()
            for _, mid in held[:count]:
                client.ack(mid, 1)
            del held[:count]


def session(manual: bool) -> mqtt.Client:
    return mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id="ingest",
        clean_session=False,
        manual_ack=manual,
    )


def flood(port: int, numbers: range, seconds: float, acked: set[int]) -> tuple[Publisher, int]:
    """Publish for so long; the publisher and the next number."""
    publisher = Publisher(
        Connection(in_flight=500, client_id=f"p{numbers.start}"), "127.0.0.1", port
    )
    publisher.start()
    stop = threading.Event()
    deadline = time.monotonic() + seconds
    for number in numbers:
        if time.monotonic() > deadline:
            return publisher, number
        publisher.publish("flood", TOPIC, b"%d" % number, lambda n=number: acked.add(n), stop)
    return publisher, numbers.stop


def displaced(arrived: list[int]) -> int:
    """Most messages that came before an older one."""
    most, ordered = 0, list[int]()
    for number in dict.fromkeys(arrived):
        most = max(most, len(ordered) - bisect.bisect(ordered, number))
        bisect.insort(ordered, number)
    return most


def run(kind: Kind, victim: str, folder: Path) -> dict[str, object]:
    parent = subprocess.Popen(
        [sys.executable, "-m", "bench.broker", "--broker", kind, "--live", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    port, pid, up = map(int, parent.stdout.readline().split())
    broker = psutil.Process(pid)
    rest, before = broker.memory_info().rss, sum(broker.cpu_times()[:2])
    acked: set[int] = set()
    seconds = random.uniform(2, 5)
    publisher, count = flood(port, range(10**9), seconds, acked)
    cpu, busy = sum(broker.cpu_times()[:2]) - before, broker.memory_info().rss
    os.kill(pid if victim == "broker" else parent.pid, signal.SIGKILL)
    time.sleep(0.05)
    parent.kill()
    parent.communicate()
    publisher.wait(0.2, threading.Event())
    publisher.close()
    again = BrokerChild(kind, folder)
    again.start()
    arrived, resumed = afterwards(port, count, acked)
    again.stop()
    earlier = [int(line) for line in (folder / "received").read_text().split()]
    lost = acked - set(earlier) - set(arrived)
    return {
        "broker": kind, "killed": victim, "up_ms": up, "rest_mb": round(rest / 1e6),
        "busy_mb": round(busy / 1e6), "per_s": round(count / seconds),
        "cpu_us": round(cpu / count * 1e6), "acknowledged": len(acked), "lost": len(lost),
        "displaced": displaced(arrived), "session_kept": resumed,
    }  # fmt: skip


def afterwards(port: int, count: int, acked: set[int]) -> tuple[list[int], bool]:
    """What the resumed session brings, while newer messages come, until it is quiet for 5 s."""
    arrived: list[int] = []
    kept: list[bool] = []
    client = session(manual=False)
    client.on_message = lambda _c, _u, m: arrived.append(int(m.payload))
    client.on_connect = lambda _c, _u, flags, _r, _p: kept.append(flags.session_present)
    client.connect("127.0.0.1", port)
    client.subscribe("twin/v1/#", 1)
    client.loop_start()
    time.sleep(0.5)
    publisher, _ = flood(port, range(count, count + NEWER), 60, acked)
    publisher.settle(20)
    publisher.close()
    seen = -1
    while seen != len(arrived):
        seen = len(arrived)
        time.sleep(5)
    client.loop_stop()
    return arrived, kept == [True]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=["nats", "mosquitto"], help="default: both")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--kill", choices=["parent", "broker"], default="parent")
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    kinds: list[Kind] = [chosen.broker] if chosen.broker else ["nats", "mosquitto"]
    if chosen.live is not None:
        live(kinds[0], chosen.live)
    for kind in kinds:
        if broker_program(kind) is None:
            print(f"no {kind} on this machine", file=sys.stderr)
            continue
        for _ in range(chosen.runs):
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(run(kind, chosen.kill, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
