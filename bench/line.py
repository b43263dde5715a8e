"""The line under load: real mosquitto with the shipped configuration, real `twin run`, QoS 1.

    twin bench line [--messages 100000] [--patients 200] [--seconds 15] [--only flood,steady,…]

A cheap generator (bench/_load.py) publishes, each message is committed before its PUBACK, and what
was acknowledged to the generator is then looked for in the journal: `lost` must be 0. Rates are of
unique messages from the first departure to the last commit. The baseline is the same flood through
stock paho (`mqtt.reader = "stock"`) in the same run. CPU is that of each process, µs a message;
other work on the machine changes rates, much less CPU and ratios. JSON out.

flood          ingest alone, as fast as it goes           flood_stock   the same with stock paho
flood_columns  ingest alone, ten samples a message        line          ingest, twin, embedded store
steady         the whole line at 2 000 a second: age of an accepted observation, from its departure
               to when a reader of the estimates in another process, who looks each millisecond, has
               it; steady_5000: at 5 000
one_core       the whole line on one core, from something that feeds frames as a broker would
               (bench/_broker.py, on another core); one_core_ingest: ingest alone
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np
import psutil

from ingest.journal.sqlite import SqliteJournal
from ingest.observation import ObservationBatch, Tick, decode_record
from twin.estimate import EstimateBatch, Kind, Verdict, decode_output

SECOND = 1_000_000_000
SHIPPED = Path(__file__).parents[1] / "deploy/mosquitto/mosquitto.conf"
PATIENCE_S = 20.0
#: How often estimates are looked for. By itself a reader in another process looks each 5 ms, which
#: would add 2.5 ms or more to half of the ages.
LOOK_S = 0.001
#: A hundred thousand devices are registered, each with a new patient, before anything is measured.
MEETING_S = 600.0
_LAST_CORE = max(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Load:
    """What is run: roles of `twin run`, how it reads, what is published."""

    roles: tuple[str, ...] = ("ingest",)
    reader: str = "bulk"
    samples: int = 1
    rate: float | None = None
    share: float = 1.0  # of the messages asked for
    fed: bool = False  # by frames made beforehand, on one core, instead of devices and a broker

    @property
    def whole(self) -> bool:
        return "worker" in self.roles


WHOLE = ("ingest", "worker", "store")
LOADS = {
    "flood": Load(),
    "flood_stock": Load(reader="stock", share=0.3),
    "flood_columns": Load(samples=10),
    "line": Load(WHOLE),
    "steady": Load(WHOLE, rate=2_000.0),
    "steady_5000": Load(WHOLE, rate=5_000.0),
    "one_core": Load(WHOLE, fed=True, share=4.0),
    "one_core_ingest": Load(fed=True, share=4.0),
}


@contextmanager
def program(argv: list[str], log: Path, **options: int) -> Iterator[subprocess.Popen[str]]:
    with log.open("wb") as stderr:
        child = subprocess.Popen(argv, stderr=stderr, text=True, **options)
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def broker_config(folder: Path, port: int) -> Path:
    """The shipped one, on a free port of loopback, saving into its own folder."""
    shipped = SHIPPED.read_text()
    text = shipped.replace("listener 1883", f"listener {port} 127.0.0.1")
    text = text.replace(
        "persistence_location /var/lib/mosquitto/", f"persistence_location {folder}/"
    )
    assert text.count(str(port)) == 1
    assert text.count(str(folder)) == 1
    if os.geteuid() == 0:
        text += "user root\n"
    place = folder / "mosquitto.conf"
    place.write_text(text)
    return place


def twin_config(folder: Path, port: int, load: Load) -> Path:
    place = folder / "config.toml"
    place.write_text(
        f'data_dir = "{folder}/twin"\n'
        f'[mqtt]\nport = {port}\nreader = "{load.reader}"\nreconnect_max_s = 1.0\n'
        '[devices]\nunknown = "register"\nregister_at_most = 100000\n'
    )
    return place


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Observed:
    """What the observations journal holds, read as far as it is."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._reader = journal.reader("observations", 0)
        self.messages: set[tuple[str, int]] = set()  # device, sequence: one for each message
        self.samples = 0
        self.connected = False

    def read(self) -> int:
        while entries := self._reader.read(1_000, 0.0):
            for entry in entries:
                record = decode_record(entry.record)
                if isinstance(record, Tick):
                    self.connected = record.broker_connected
                elif isinstance(record, ObservationBatch):
                    table = record.table()
                    names = np.array(record.devices, object)[table["device"]]
                    numbers = table["device_sequence"].tolist()
                    self.messages.update(zip(names.tolist(), numbers, strict=True))
                    self.samples += len(table)
        return len(self.messages)


class Estimated:
    """Accepted observations in the estimates journal, and how old they were when they came."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._reader = journal.reader("estimates", 0)
        self.ages: list[int] = []

    def read(self, timeout: float = 0.0) -> int:
        """How many there are by now; waits for the next ones, timeout seconds at most."""
        until = time.monotonic() + timeout
        while not (entries := self._reader.read(1_000, 0.0)) and time.monotonic() < until:
            time.sleep(LOOK_S)
        while entries:
            now = time.time_ns()
            for entry in entries:
                output = decode_output(entry.record)
                if isinstance(output, EstimateBatch):
                    rows = output.rows
                    accepted = (rows["kind"] == Kind.VERDICT) & (
                        rows["verdict"] == Verdict.ACCEPTED
                    )
                    self.ages += (now - rows["device_stamp"][accepted]).tolist()
            entries = self._reader.read(1_000, 0.0)
        return len(self.ages)


def until(holds: object, what: str, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not holds():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise SystemExit(f"not {what} within {within:g} s")
        time.sleep(0.05)


def cpu(pid: int) -> float:
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system)


def last_commit(database: Path, kind_of_rows: int) -> int:
    """When the last record with observations (or estimates) was appended, ns UTC."""
    db = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    found = db.execute(
        "SELECT max(appended_at) FROM entry WHERE substr(record, 4, 1) = ?",
        (bytes([kind_of_rows]),),
    ).fetchone()
    db.close()
    return int(found[0])


def run(load: Load, messages: int, connections: int, in_flight: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="twin-line-"))
    port = free_port()
    roles = [word for role in load.roles for word in ("--role", role)]
    ingest = [sys.executable, "-m", "twin", "run", "-c", str(twin_config(folder, port, load))]
    generator = [
        sys.executable, "-m", "bench._load", "--port", str(port), "--messages", str(messages),
        "--connections", str(connections), "--samples", str(load.samples),
        "--in-flight", str(in_flight), *(["--rate", str(load.rate)] if load.rate else []),
    ]  # fmt: skip
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    between = [mosquitto, "-c", str(broker_config(folder, port))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    if load.fed:
        between = [
            sys.executable, "-m", "bench._broker", "--port", str(port),
            "--messages", str(messages), "--devices", str(connections),
            "--samples", str(load.samples), "--core", str(_LAST_CORE),
        ]  # fmt: skip
        ingest = ["taskset", "-c", "0", *ingest]
    try:
        with (
            program(between, folder / "b.log", **(pipes if load.fed else {})) as broker,
            program([*ingest, *roles], folder / "twin.log") as twin,
        ):
            place = folder / "twin/journal"
            until((place / "estimates.db").exists, "a journal")
            time.sleep(0.5)
            journal = SqliteJournal(place)
            observed, estimated = Observed(journal), Estimated(journal)
            until(lambda: observed.read() >= 0 and observed.connected, "connected to the broker")
            with ExitStack() as started:
                source = broker
                if not load.fed:
                    source = started.enter_context(program(generator, folder / "load.log", **pipes))
                report = measure(load, connections, (broker, twin, source), observed, estimated)
            journal.close()
            database = place / ("estimates.db" if load.whole else "observations.db")
            done = last_commit(database, 4 if load.whole else 1)
        return summed(load, report, done, observed, estimated, connections)
    except BaseException:
        for log in folder.glob("*.log"):
            sys.stderr.write(f"--- {log.name}\n{log.read_text(errors='replace')[-2_000:]}\n")
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(
    load: Load,
    connections: int,
    children: tuple[subprocess.Popen[str], ...],
    observed: Observed,
    estimated: Estimated,
) -> dict[str, float]:
    """The generator's report and the CPU that each process spent."""
    broker, twin, source = children
    assert source.stdin is not None
    assert source.stdout is not None
    source.stdout.readline()  # ready
    until(lambda: observed.read() >= connections, "every first message", MEETING_S)
    if load.whole:
        until(lambda: estimated.read() >= connections, "every first estimate", MEETING_S)
    time.sleep(1.0)
    estimated.ages.clear()
    before = cpu(broker.pid), cpu(twin.pid)
    source.stdin.write("go\n")
    source.stdin.flush()
    if load.rate:
        os.set_blocking(source.stdout.fileno(), False)
        line = ""
        while not line:
            estimated.read(0.05)
            line = source.stdout.readline()
        # Before the observations are looked through, which would age the last ones.
        rest = time.monotonic() + 2.0
        while estimated.read(0.05) < json.loads(line)["published"] and time.monotonic() < rest:
            pass
    else:
        line = source.stdout.readline()
    report: dict[str, float] = json.loads(line)
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < PATIENCE_S:
        now = observed.read() + (estimated.read() if load.whole else 0)
        if now != seen:
            seen, since = now, time.monotonic()
        complete = len(observed.messages) >= report["published"] + connections
        if complete and (not load.whole or len(estimated.ages) >= report["published"]):
            break
        time.sleep(0.1)
    report["broker_cpu_s"] = cpu(broker.pid) - before[0]
    report["twin_cpu_s"] = cpu(twin.pid) - before[1]
    report["twin_mb"] = psutil.Process(twin.pid).memory_info().rss / 1e6
    return report


def summed(
    load: Load,
    report: dict[str, float],
    done: int,
    observed: Observed,
    estimated: Estimated,
    connections: int,
) -> dict[str, object]:
    published = report["published"]
    unique = len(observed.messages) - connections  # without the greetings
    seconds = (done - report["begin"]) / SECOND
    per_message = 1e6 / published
    answer: dict[str, object] = {
        "published": published,
        "acked": report["acked"],
        "journalled_unique": unique,
        "redelivered": (observed.samples - connections) // load.samples - unique,
        "lost": report["acked"] - unique,
        "messages_per_s": round(unique / seconds),
        "samples_per_s": round(unique * load.samples / seconds),
        "offered_per_s": round(published * SECOND / (report["end"] - report["begin"])),
        "cpu_us": {
            "twin": round(report["twin_cpu_s"] * per_message, 1),
            "broker": round(report["broker_cpu_s"] * per_message, 1),
            "generator": round(report["cpu_s"] * per_message, 1),
        },
        "twin_mb": round(report["twin_mb"]),
    }
    if load.whole:
        answer["estimated"] = len(estimated.ages)
    if load.rate:
        p50, p99, worst = np.percentile(np.array(estimated.ages) / 1e6, [50, 99, 100])
        answer["age_ms"] = {"p50": round(p50, 1), "p99": round(p99, 1), "worst": round(worst, 1)}
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument(
        "--patients", "--connections", dest="connections", type=int, default=200,
        help="each with a device of its own, on a connection of its own",
    )  # fmt: skip
    parser.add_argument("--seconds", type=int, default=15, help="of the steady load")
    parser.add_argument("--in-flight", type=int, default=20)
    parser.add_argument("--only", default=",".join(LOADS))
    chosen = parser.parse_args()
    results: dict[str, object] = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    found: dict[str, dict[str, object]] = {}
    for name in chosen.only.split(","):
        load = LOADS[name]
        messages = chosen.messages if load.rate is None else int(load.rate * chosen.seconds)
        found[name] = run(load, int(messages * load.share), chosen.connections, chosen.in_flight)
        sys.stderr.write(f"{name}: {json.dumps(found[name])}\n")
    if {"flood", "flood_stock"} <= found.keys():
        bulk, stock = found["flood"], found["flood_stock"]
        results["bulk_over_stock"] = {
            "messages_per_s": round(bulk["messages_per_s"] / stock["messages_per_s"], 2),  # type: ignore[operator]
            "twin_cpu": round(bulk["cpu_us"]["twin"] / stock["cpu_us"]["twin"], 3),  # type: ignore[index]
        }
    json.dump(results | {"load_after": os.getloadavg()[0]} | found, sys.stdout, indent=2)
    print()
    if any(each["lost"] for each in found.values()):
        raise SystemExit("messages were lost")


if __name__ == "__main__":
    main()
