"""The same load to our pipeline and to Telegraf, both into the same real InfluxDB.

    python -m bench.peers [--messages 60000] [--connections 100] [--only flood,disturbed]

Telegraf's best configuration: QoS 1, persistent session, 5 000 undelivered messages, batches of
5 000. Ours: `twin run` with the roles ingest, worker, store and InfluxDB as its one store: besides
the observations it journals, filters and writes estimates. Telegraf is found by TWIN_TELEGRAF, on
PATH, or in the cache (tests/servers/build_telegraf.sh builds it).

flood      as fast as it goes
disturbed  2 000 a second, a tenth of it stamped a minute late; the database is stopped for 3 s; the
           consumer is killed with -9 and started again; one point is refused by the database

delivered: points in the database; lost: acknowledged to the generator and not there (a point that
the database refuses is lost where nobody keeps it); stale_s: how old the newest point was when the
database was asked, four times a second; behind_s: from the last acknowledgement to the last point.
CPU is the consumer's, µs a message, a second start after the kill included. JSON out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import numpy as np
import paho.mqtt.client as mqtt
import psutil

from bench._load import SECOND
from bench.line import broker_config, cpu, free_port, program
from tests.support.servers import InfluxServer

RATE, LATE, AWAY_S, TELL_S = 2_000.0, 0.1, 3.0, 0.25
PATIENCE_S = 90.0
DAY = 86_400

TELEGRAF = """
[agent]
  interval = "1s"
  flush_interval = "200ms"
  metric_batch_size = 5000
  metric_buffer_limit = 200000
  omit_hostname = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["twin/v1/+/telemetry"]
  qos = 1
  persistent_session = true
  client_id = "telegraf"
  max_undelivered_messages = 5000
  topic_tag = ""
  data_format = "json_v2"
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "twin/v1/+/telemetry"
    tags = "_/_/device/_"
  [[inputs.mqtt_consumer.json_v2]]
    measurement_name = "observation"
    timestamp_path = "time"
    timestamp_format = "{stamps}"
    [[inputs.mqtt_consumer.json_v2.field]]
      path = "values.heart_rate"
      rename = "value"
      type = "float"
[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{token}"
  organization = "{org}"
  bucket = "{bucket}"
"""
TWIN = """
data_dir = "{folder}/twin"
[mqtt]
port = {port}
reconnect_max_s = 1.0
[devices]
unknown = "register"
register_at_most = 100000
[store]
kinds = ["influx"]
[store.influx]
url = "{url}"
token = "{token}"
org = "{org}"
bucket = "{bucket}"
"""


def telegraf() -> str:
    """The program, or exit."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wearable-twin"
    built = sorted(map(str, cache.glob("telegraf-v*")))
    found = os.environ.get("TWIN_TELEGRAF") or shutil.which("telegraf") or (built or [""])[-1]
    if not found:
        raise SystemExit("no telegraf: tests/servers/build_telegraf.sh builds it")
    return found


@dataclass(slots=True)
class Consumer:
    """The process that is compared, which may be killed and started again."""

    argv: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    spent: float = 0.0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.spent += cpu(self.process.pid)
        self.process.kill()
        self.process.wait()

    def cpu(self) -> float:
        assert self.process is not None
        return self.spent + cpu(self.process.pid)

    def megabytes(self) -> float:
        assert self.process is not None
        return float(psutil.Process(self.process.pid).memory_info().rss / 1e6)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def points(server: InfluxServer) -> int:
    """Observations of the load in the database."""
    answer = server.query(
        f'from(bucket: "{server.bucket}") |> range(start: -1d) |> filter(fn: (r) => '
        'r._measurement == "observation" and r._field == "value")'
        ' |> group() |> count() |> keep(columns: ["_value"])'
    )
    numbers = [line.rpartition(",")[2].strip() for line in answer.splitlines()]
    return sum(int(number) for number in numbers if number.isdecimal())


class Freshness:
    """Asks, four times a second, how old the newest point is."""

    def __init__(self, server: InfluxServer) -> None:
        self._server = server
        self._stop = threading.Event()
        self.ages: list[float] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        flux = (
            f'from(bucket: "{self._server.bucket}") |> range(start: -30s) |> filter(fn: (r) => '
            'r._measurement == "observation" and r._field == "value")'
            ' |> last() |> group() |> max(column: "_time") |> keep(columns: ["_time"])'
        )
        while not self._stop.wait(TELL_S):
            with suppress(httpx2.HTTPError):  # it is stopped on purpose
                self._note(self._server.query(flux))

    def _note(self, answer: str) -> None:
        stamps = [text for text in answer.replace(",", " ").split() if text.endswith("Z")]
        if stamps:
            newest = np.datetime64(stamps[-1].rstrip("Z"), "ns").astype(np.int64)
            self.ages.append((time.time_ns() - int(newest)) / SECOND)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def consumer(
    which: str, folder: Path, port: int, server: InfluxServer, stamps: str
) -> Iterator[Consumer]:
    where = {"port": port, "url": server.url, "token": server.token, "org": server.org,
             "bucket": server.bucket, "folder": folder, "stamps": stamps}  # fmt: skip
    config = folder / ("telegraf.conf" if which == "telegraf" else "config.toml")
    config.write_text((TELEGRAF if which == "telegraf" else TWIN).format(**where))
    if which == "telegraf":
        argv = [telegraf(), "--config", str(config)]
    else:
        argv = [sys.executable, "-m", "twin", "run", "-c", str(config)]
        argv += ["--role", "ingest", "--role", "worker", "--role", "store"]
    made = Consumer(argv, folder / f"{which}.log")
    made.start()
    try:
        yield made
    except BaseException:
        sys.stderr.write(made.log.read_text(errors="replace")[-2_000:])
        raise
    finally:
        made.stop()


def refuse_one_point(server: InfluxServer, port: int) -> None:
    """A field of another type is in an older shard; a device then sends a sample of that time."""
    old = time.time_ns() - 30 * DAY * SECOND
    assert server.write(f'observation,device=other value="text" {old}').status_code == 204
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(old / SECOND)) + ".5Z"
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    payload = json.dumps({"time": stamp, "values": {"heart_rate": 61.5}})
    client.publish("twin/v1/load-00000/telemetry", payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def disturb(server: InfluxServer, port: int, made: Consumer, seconds: float) -> None:
    """A refused point, the database away, the consumer killed: all of it while messages come, also
    where stopping and starting the database takes some seconds."""
    time.sleep(seconds / 8)
    refuse_one_point(server, port)
    time.sleep(seconds / 8)
    server.stop()
    time.sleep(AWAY_S)
    server.start()
    time.sleep(seconds / 8)
    made.kill()
    made.start()


def run(which: str, scenario: str, messages: int, connections: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="twin-peers-"))
    port, disturbed = free_port(), scenario == "disturbed"
    stamps = "2006-01-02T15:04:05.999999999Z07:00" if disturbed else "unix_ms"
    load = [sys.executable, "-m", "bench._load", "--port", str(port), "--messages", str(messages),
            "--connections", str(connections),
            *(["--rate", str(RATE), "--late", str(LATE)] if disturbed else [])]  # fmt: skip
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ExitStack() as opened:
        opened.callback(shutil.rmtree, folder, ignore_errors=True)
        server = opened.enter_context(InfluxServer())
        broker = [mosquitto, "-c", str(broker_config(folder, port))]
        opened.enter_context(program(broker, folder / "broker.log"))
        time.sleep(0.5)
        made = opened.enter_context(consumer(which, folder, port, server, stamps))
        time.sleep(4.0)
        source = opened.enter_context(program(load, folder / "load.log", **pipes))
        assert source.stdin is not None
        assert source.stdout is not None
        source.stdout.readline()  # ready
        greeted = 0 if disturbed and which == "telegraf" else connections  # their stamps are in ms
        wait(lambda: points(server) >= greeted, PATIENCE_S)
        already, before = points(server), made.cpu()
        fresh = Freshness(server) if disturbed else None
        source.stdin.write("go\n")
        source.stdin.flush()
        if disturbed:
            disturb(server, port, made, messages / RATE)
        report = json.loads(source.stdout.readline())
        peak = made.megabytes()
        arrive(lambda: points(server) - already, report["acked"])
        end = time.time_ns()
        if fresh is not None:
            fresh.stop()
        delivered = points(server) - already
        answer: dict[str, object] = {
            "acked": report["acked"],
            "delivered": delivered,
            "lost": report["acked"] - delivered,
            "messages_per_s": round(delivered * SECOND / (end - report["begin"])),
            "behind_s": round((end - report["end"]) / SECOND, 1),
            "cpu_us": round((made.cpu() - before) * 1e6 / report["published"], 1),
            "mb": round(max(peak, made.megabytes())),
        }
        if fresh is not None and fresh.ages:
            p50, p99 = np.percentile(fresh.ages, [50, 99])
            answer["stale_s"] = {"p50": round(p50, 2), "p99": round(p99, 2)}
        return answer


def arrive(count: Callable[[], int], expected: int) -> None:
    """Until there are so many, or none more for a while."""
    last, since = -1, time.monotonic()
    while (found := count()) < expected and time.monotonic() - since < PATIENCE_S:
        if found > last:
            last, since = found, time.monotonic()
        time.sleep(0.2)


def wait(enough: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while not enough() and time.monotonic() < deadline:
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--only", default="flood,disturbed")
    chosen = parser.parse_args()
    results: dict[str, object] = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    lost = 0
    for scenario in chosen.only.split(","):
        found = {}
        for which in ("telegraf", "twin"):
            count = chosen.messages if scenario == "flood" else round(RATE * 16)
            found[which] = run(which, scenario, count, chosen.connections)
            sys.stderr.write(f"{scenario} {which}: {json.dumps(found[which])}\n")
        ours, theirs = found["twin"], found["telegraf"]
        found["ratio"] = {
            name: round(float(str(ours[name])) / float(str(theirs[name])), 2)
            for name in ("messages_per_s", "cpu_us")
        }
        results[scenario] = found
        lost += int(str(ours["lost"]))
    json.dump(results | {"load_after": os.getloadavg()[0]}, sys.stdout, indent=2)
    print()
    if lost:
        raise SystemExit("messages were lost")


if __name__ == "__main__":
    main()
