"""The whole line as people run it: `twin` commands as processes, and what they left in the stores.

An estimate is known by (patient, signal, as_of), an observation by (patient, signal, device,
measured_at); stamps are int64 ns UTC.
"""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGSTOP
from types import TracebackType
from typing import Any, Self

import httpx2
import numpy as np
import pytest
from pyarrow import parquet

from ingest.instant import SECOND, parse_instant
from ingest.recording import LONG_COLUMNS, read_recording
from tests.support.processes import ServerProcess, free_port
from tests.support.servers import InfluxServer
from twin.estimate import Verdict
from twin.store.blocks import rounded
from twin.store.embedded import EmbeddedStore

TWIN = (sys.executable, "-m", "twin")
#: Where synthetic recordings begin; a fleet re-stamps them.
EPOCH = parse_instant("2026-01-01T00:00:00Z")
SHARED = Path(__file__).parents[2] / "../shared"

EstimateKey = tuple[str, str, int]
ObservationKey = tuple[str, str, str, int]
#: mean, std, trend
Numbers = tuple[float, float, float]
#: Tables of a configuration: {"store.influx": {"url": …}}
Tables = dict[str, Mapping[str, object]]


def shared_recording(name: str) -> Path:
    """A recording of the `shared` folder beside the checkout; skips the test where it is absent."""
    path = (SHARED / "data" / name).resolve()
    if not path.exists():
        pytest.skip(f"the recording shared/data/{name} is not beside this checkout")
    return path


def twin(*arguments: str | Path, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """One `twin` command, run to its end."""
    command = [*TWIN, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """Its stdout; fails the test with its words if the command failed."""
    assert done.returncode == 0, f"{done.args[2:4]} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def twin_json(*arguments: str | Path) -> Any:
    """What one command reports with --json."""
    return json.loads(succeeded(twin(*arguments, "--json")))


def eventually(holds: Callable[[], object], what: str, timeout: float = 30.0) -> float:
    """Wait until it holds and return how long that took, in s; fails the test after `timeout`."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > timeout:
            pytest.fail(f"not {what} after {timeout} s")
        time.sleep(0.02)
    return time.monotonic() - begun


def wait_for(count: Callable[[], int], expected: int, patience: float = 30.0) -> None:
    """Until there are so many, or none came for `patience` s; comparing says what is missing."""
    last, since = -1, time.monotonic()
    while (found := count()) < expected and time.monotonic() - since < patience:
        if found > last:
            last, since = found, time.monotonic()
        time.sleep(0.05)


# --- processes ------------------------------------------------------------------------------------


class TwinRun:
    """`twin run` on a folder and a page port of its own; started on entry, stopped on exit.

    tables: the configuration's tables beside `[care]`. roles: only these, of a process that shares
    data_dir with others; then its port is that of its monitor.
    """

    def __init__(
        self,
        folder: Path,
        tables: Tables,
        roles: Sequence[str] = (),
        data_dir: Path | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir or folder / "data"
        self.port = free_port()
        self.config = folder / "config.toml"
        served = {"monitor" if roles and "care" not in roles else "care": {"port": self.port}}
        self.config.write_text(_toml(self.data_dir, {**served, **tables}))
        command = [*TWIN, "run", "-c", str(self.config)]
        command += [word for role in roles for word in ("--role", role)]
        self._process = ServerProcess(command, port=self.port, directory=folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """File of its embedded store."""
        return self.data_dir / "store.db"

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self) -> float:
        """Start it and wait until its page listens; returns the seconds that took."""
        begun = time.monotonic()
        self._process.start(timeout=60.0)
        return time.monotonic() - begun

    def launch(self) -> None:
        """Start it and wait for nothing."""
        self._process.launch()

    def stop(self) -> int | None:
        """SIGTERM; its exit code, None if it was not running."""
        return self._process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def log(self) -> str:
        return self._process.log()

    def get(self, path: str) -> Any:
        """The body of an answer of its API."""
        answer = httpx2.get(self.url + path, timeout=10.0)
        answer.raise_for_status()
        return answer.json()

    def answers(self) -> bool:
        """Whether its page can be asked."""
        try:
            return httpx2.get(f"{self.url}/healthz", timeout=2.0).status_code == 200
        except httpx2.TransportError:
            return False

    def ledgers(self) -> dict[str, Any]:
        """Device → its ledger."""
        return {each["id"]: each["ledger"] for each in self.get("/api/v1/devices")["devices"]}

    def wait_until_connected(self) -> float:
        """Until it has a session at the broker; returns the seconds that took."""
        return eventually(
            lambda: self.answers() and metric(self.text("/metrics"), "twin_broker_connected") == 1,
            f"connected; its log ends: {self.log()}",
            60.0,
        )

    def text(self, path: str) -> str:
        return httpx2.get(self.url + path, timeout=10.0).text

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.close()


def metric(text: str, name: str) -> float:
    """The sum of a metric over its labels in a Prometheus page; 0 where it is absent."""
    lines = (line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def influx_tables(server: InfluxServer) -> Tables:
    """The tables that make a run write both stores."""
    address = {
        "url": server.url,
        "org": server.org,
        "bucket": server.bucket,
        "token": server.token,
    }
    return {"store": {"kinds": ["embedded", "influx"]}, "store.influx": address}


def _toml(data_dir: Path, tables: Tables) -> str:
    lines = [f"data_dir = {json.dumps(str(data_dir))}"]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


class FleetRun:
    """`twin fleet` playing a recording; `sent` is its record of what the broker acknowledged."""

    def __init__(
        self, folder: Path, recording: Path, port: int, speed: float, *options: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.sent = folder / f"sent-{recording.stem}.csv"
        settings = folder / f"fleet-{recording.stem}.toml"
        settings.write_text(f'[connection]\nclient_id = "fleet-{recording.stem}"\n')
        self._words = folder / f"fleet-{recording.stem}.log"
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                [
                    *(*TWIN, "fleet", "-c", str(settings)),
                    *("--recording", str(recording), "--speed", str(speed)),
                    *("--record", str(self.sent), "--host", "127.0.0.1", "--port", str(port)),
                    *options,
                ],
                stdout=words,
                stderr=words,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float = 120.0) -> Path:
        """Until it has played all; fails the test if it failed. Its record."""
        code = self._process.wait(seconds)
        assert code == 0, f"twin fleet ended with {code}: {self._words.read_text()[-2000:]}"
        return self.sent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.running:
            self._process.terminate()
            self._process.wait(15)


class DemoRun:
    """`twin demo --json` on a folder; started on entry, ended on exit."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._command = [*TWIN, "demo", "--json", "--data-dir", str(folder / "data"), *options]
        self._out, self._words = folder / "stdout", folder / "stderr"
        self._process: subprocess.Popen[bytes] | None = None
        self.announced: dict[str, str] = {}

    def start(self) -> float:
        """Start it and wait for what it announces; returns the seconds that took."""
        with self._out.open("wb") as out, self._words.open("ab") as words:
            self._process = subprocess.Popen(self._command, stdout=out, stderr=words)
        took = eventually(
            lambda: self.stdout().endswith("\n") or not self.running, "announced", 60.0
        )
        assert self.running, f"twin demo ended: {self._words.read_text()[-2000:]}"
        self.announced = json.loads(self.stdout())
        return took

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def mqtt_port(self) -> int:
        return int(self.announced["mqtt"].rsplit(":", 1)[1])

    def stdout(self) -> str:
        return self._out.read_text()

    def stderr(self) -> str:
        return self._words.read_text()

    def patients(self) -> list[dict[str, Any]]:
        """/api/v1/patients."""
        found: list[dict[str, Any]] = self.get("/api/v1/patients")["patients"]
        return found

    def get(self, path: str) -> Any:
        """The body of an answer of its API."""
        answer = httpx2.get(self.announced["url"] + path, timeout=10.0)
        answer.raise_for_status()
        return answer.json()

    def wait(self, seconds: float) -> int:
        """Until it has ended by itself; its exit code."""
        return self._started().wait(seconds)

    def stop(self) -> int:
        """SIGTERM, and 10 s to end; its exit code."""
        self._started().terminate()
        return self._started().wait(10.0)

    def pause(self) -> None:
        """Freeze the main process alone (SIGSTOP): its broker goes on without it."""
        self._started().send_signal(SIGSTOP)

    def kill(self) -> None:
        """SIGKILL of the main process alone."""
        self._started().kill()
        self._started().wait()

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self.running:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


# --- recordings -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """A row of a long recording."""

    patient: str
    device: str
    signal: str
    value: float
    measured_at: int
    received_at: int


def write_recording(path: Path, samples: Iterable[Sample]) -> Path:
    """A long CSV file with epoch ns."""
    with path.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(LONG_COLUMNS[:6])
        rows.writerows(
            (s.patient, s.device, s.signal, repr(s.value), s.measured_at, s.received_at)
            for s in samples
        )
    return path


def write_registry(path: Path, patients: Mapping[str, str]) -> Path:
    """A registry file: device → patient."""
    rows = [f"{device},{patient}\n" for device, patient in patients.items()]
    path.write_text("device,patient\n" + "".join(rows), encoding="utf-8")
    return path


def sent_observations(*records: Path) -> dict[ObservationKey, float]:
    """What fleets sent, each identity once with the value that came first."""
    sent: dict[ObservationKey, float] = {}
    for record in records:
        read = read_recording(record)
        keys = zip(read.patient, read.signal, read.device, read.measured_at.tolist(), strict=True)
        for key, value in zip(keys, read.value.tolist(), strict=True):
            sent.setdefault(key, value)
    return sent


def joined_records(path: Path, records: Sequence[Path], leave_out: object = ()) -> Path:
    """One record of several, without the observations whose keys are in `leave_out`."""
    unwanted = set(leave_out) if isinstance(leave_out, Iterable) else set()
    with path.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.DictWriter(lines, LONG_COLUMNS)
        rows.writeheader()
        for record in records:
            with record.open(encoding="utf-8", newline="") as source:
                for row in csv.DictReader(source):
                    stamp = parse_instant(row["measured_at"])
                    if (row["patient"], row["signal"], row["device"], stamp) not in unwanted:
                        rows.writerow(row)
    return path


def replayed(record: Path, out: Path, order: str = "measured") -> dict[EstimateKey, Numbers]:
    """`twin replay` of a record: of each key its last row."""
    succeeded(twin("replay", record, "--out", out, "--order", order, timeout=300))
    table = parquet.read_table(out)
    stamps = np.asarray(table.column("as_of").to_numpy().astype("datetime64[ns]"), np.int64)
    names = (table.column(name).to_pylist() for name in ("patient", "signal"))
    columns = (table.column(name).to_numpy() for name in ("mean", "std", "trend"))
    numbers = zip(*(column.tolist() for column in columns), strict=True)
    return dict(zip(zip(*names, stamps.tolist(), strict=True), numbers, strict=True))


def rounded_estimates(estimates: Mapping[EstimateKey, Numbers]) -> dict[EstimateKey, Numbers]:
    """The same as the embedded store keeps them."""
    made: dict[EstimateKey, Numbers] = {}
    for signal in {key[1] for key in estimates}:
        keys = [key for key in estimates if key[1] == signal]
        numbers = rounded(np.array([estimates[key] for key in keys]), signal)
        made |= zip(keys, map(tuple, numbers.tolist()), strict=True)
    return made


def synthetic_samples(devices: int, seconds: int, seed: int) -> Iterator[Sample]:
    """A message a second of each device, two signals in it; one in thirty comes twice.

    They come out of order within six seconds, which every ring takes. No two observations of a
    device have the same value, so that none can stand for another.
    """
    chance = random.Random(seed)
    signals = (("heart_rate", 50.0, 100.0), ("respiratory_rate", 8.0, 24.0))
    for device in range(devices):
        phase = chance.randrange(SECOND)
        for second in range(seconds):
            stamp = EPOCH + second * SECOND + phase
            received = stamp + chance.randrange(6 * SECOND)
            again = received + 2 * SECOND if chance.random() < 1 / 30 else None
            for arrived in (received,) if again is None else (received, again):
                for signal, low, span in signals:
                    value = low + span * second / seconds
                    yield Sample(
                        f"patient-{device}", f"watch-{device}", signal, value, stamp, arrived
                    )


def synthetic_registry(path: Path, devices: int) -> Path:
    """The registry file that belongs to `synthetic_samples`."""
    return write_registry(path, {f"watch-{n}": f"patient-{n}" for n in range(devices)})


# --- what the stores hold -------------------------------------------------------------------------


@dataclass(slots=True)
class Content:
    """What a store holds. belated: the observations that it marks so (the embedded store only)."""

    estimates: dict[EstimateKey, Numbers] = field(default_factory=dict)
    observations: dict[ObservationKey, float] = field(default_factory=dict)
    belated: set[ObservationKey] = field(default_factory=set)

    def estimates_of(self, patients: Iterable[str]) -> dict[EstimateKey, Numbers]:
        """Only these patients' estimates."""
        wanted = set(patients)
        return {key: numbers for key, numbers in self.estimates.items() if key[0] in wanted}


def embedded_content(path: Path) -> Content:
    """All of an embedded store; fails the test if it holds a key twice."""
    content = Content()
    with EmbeddedStore(path, readonly=True) as store:
        for part in store.estimates():
            for row in part.rows:
                key = (part.patient, part.signal, int(row["time"]))
                assert key not in content.estimates, f"twice in the store: {key}"
                numbers = (float(row["mean"]), float(row["std"]), float(row["trend"]))
                content.estimates[key] = numbers
        for part in store.observations():
            for row in part.rows:
                identity = (part.patient, part.signal, part.device, int(row["time"]))
                assert identity not in content.observations, f"twice in the store: {identity}"
                content.observations[identity] = float(row["value"])
                if row["verdict"] == Verdict.BELATED:
                    content.belated.add(identity)
    return content


def embedded_count(path: Path) -> int:
    """Observations in an embedded store that may not exist yet."""
    try:
        with EmbeddedStore(path, readonly=True) as store:
            return sum(store.stored().values())
    except FileNotFoundError:
        return 0


def influx_content(server: InfluxServer) -> Content:
    """All of a bucket; fails the test if it holds a key twice (two model versions, say)."""
    content = Content()
    for row in _points(server, "estimate"):
        key = (row["patient"], row["signal"], parse_instant(row["_time"]))
        assert key not in content.estimates, f"twice in the bucket: {key}"
        content.estimates[key] = (float(row["mean"]), float(row["std"]), float(row["trend"]))
    for row in _points(server, "observation"):
        stamp = parse_instant(row["_time"])
        identity = (row["patient"], row["signal"], row["device"], stamp)
        assert identity not in content.observations, f"twice in the bucket: {identity}"
        content.observations[identity] = float(row["value"])
    return content


def influx_count(server: InfluxServer) -> int:
    """Observations in a bucket."""
    answer = server.query(
        f'from(bucket: "{server.bucket}") |> range(start: 0) |> filter(fn: (r) => '
        'r._measurement == "observation" and r._field == "value") |> group() |> count()'
    )
    return sum(int(row["_value"]) for row in _rows(answer))


def _points(server: InfluxServer, measurement: str) -> list[dict[str, str]]:
    answer = server.query(
        f'from(bucket: "{server.bucket}") |> range(start: 0) |> filter(fn: (r) => '
        f'r._measurement == "{measurement}") |> pivot(rowKey: ["_time"], columnKey: ["_field"], '
        'valueColumn: "_value") |> group()'
    )
    return _rows(answer)


def _rows(answer: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.replace("\r\n", "\n").strip())))


# --- comparing ------------------------------------------------------------------------------------


def assert_same(found: Mapping[Any, Any], expected: Mapping[Any, Any], what: str) -> None:
    """Both hold the same; else fails with counts and the first differences."""
    lost, more = expected.keys() - found.keys(), found.keys() - expected.keys()
    other = [key for key in expected.keys() & found.keys() if expected[key] != found[key]]
    if not (lost or more or other):
        return
    examples = [f"lost {key}" for key in sorted(lost, key=str)[:3]]
    examples += [f"not expected {key}" for key in sorted(more, key=str)[:3]]
    examples += [
        f"{key}: {found[key]}, expected {expected[key]}" for key in sorted(other, key=str)[:3]
    ]
    pytest.fail(
        f"{what}: {len(lost)} lost, {len(more)} not expected, {len(other)} different of "
        f"{len(expected)}; {'; '.join(examples)}"
    )


def by_device(keys: Iterable[ObservationKey]) -> Counter[str]:
    """Observations of each device."""
    return Counter(key[2] for key in keys)
