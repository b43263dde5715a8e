"""The command as people type it: processes, exit codes, JSON, a running service beside it."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.commands import TWIN, eventually, twin, twin_json
from tests.support.processes import free_port, refusing_port
from tests.support.runs import TwinRun, influx_tables
from tests.support.servers import InfluxServer, MosquittoServer

pytestmark = pytest.mark.integration

#: What help must not import. (typer takes in pydantic by itself for the help of one command.)
HEAVY = {
    "apsw", "fastapi", "influxdb_client", "jinja2", "msgspec", "numba", "numpy", "paho", "pandas",
    "pyarrow", "rich", "uvicorn",
}  # fmt: skip
_IMPORTED = """
import sys
from twin.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
sys.stderr.write("imported " + " ".join(sorted({name.split(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("demo", "--help"), ("devices", "--help"), ("export", "--help")],
)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *arguments], capture_output=True, text=True, check=True
    )

    imported = set(done.stderr.partition("imported ")[2].split())
    assert "typer" in imported
    assert imported & (HEAVY if len(arguments) > 1 else HEAVY | {"pydantic"}) == set()


def test_help_answers(record_property: Callable[[str, object], None]) -> None:
    begun = time.perf_counter()
    done = twin("--help")
    took = time.perf_counter() - begun

    record_property("twin --help, seconds", f"{took:.2f}")
    assert done.returncode == 0
    for command in ("demo", "run", "fleet", "replay", "decode", "check", "quarantine", "patients"):
        assert f"\n  {command} " in done.stdout


def test_module_is_the_same_command() -> None:
    done = twin("nonsense")

    assert done.returncode == 2
    assert "Usage: twin " in done.stderr
    assert done.stdout == ""


def test_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    payload = tmp_path / "many.json"
    rows = [1_795_000_000_000 + i for i in range(20_000)]
    payload.write_text(json.dumps({"times": rows, "values": {"heart_rate": [70] * len(rows)}}))
    command = [*TWIN, "decode", str(payload)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.fixture
def run(tmp_path: Path, mosquitto_server: MosquittoServer) -> Iterator[TwinRun]:
    """A service of its own at a broker of its own; two simulated patients' devices are known."""
    registry = tmp_path / "devices.csv"
    assert twin("fleet", "--patients", "2", "--registry", registry).returncode == 0
    tables = {"mqtt": {"port": mosquitto_server.port}, "devices": {"file": str(registry)}}
    with TwinRun(tmp_path / "run", tables) as started:
        started.wait_until_connected()
        yield started


def publish(port: int, device: str, payload: str) -> None:
    """One message at QoS 1."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(f"twin/v1/{device}/telemetry", payload, qos=1).wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def test_tail_shows_what_is_accepted_and_what_is_refused(
    run: TwinRun, mosquitto_server: MosquittoServer
) -> None:
    command = [*TWIN, "devices", "tail", "watch-01", "--json", "-c", str(run.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        try:
            lease = run.data_dir / "ingest" / "tail.lease"
            eventually(lease.exists, "watched")
            assert tail.stdout is not None
            told: list[dict[str, object]] = []
            begun = time.monotonic()
            # Ingest looks once a second whether somebody watches, so the first may be missed.
            for number in range(100):
                at = int(time.time() * 1000) + number
                publish(
                    mosquitto_server.port, "patch-01", f'{{"time":{at},"values":{{"spo2":97}}}}'
                )
                publish(
                    mosquitto_server.port,
                    "watch-01",
                    f'{{"time":{at},"values":{{"heart_rate":72,"pulse":1}}}}',
                )
                if run_has_told(tail, told) or time.monotonic() - begun > 90:
                    break
        finally:
            tail.send_signal(signal.SIGINT)
        assert tail.wait(60) == 0

    assert {event["device"] for event in told} == {"watch-01"}
    refused, accepted = told[:2]
    assert (refused["reason"], refused["got"]) == ("signal_unknown", "pulse")
    assert accepted["accepted"] == 1


def test_a_message_that_holds_nothing_is_in_tail_and_ledger(
    run: TwinRun, mosquitto_server: MosquittoServer
) -> None:
    command = [*TWIN, "devices", "tail", "watch-empty", "-c", str(run.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        try:
            assert tail.stdout is not None
            heard: list[str] = []

            def tailed() -> bool:
                """Sent again until ingest has seen, as it looks once a second, that one watches."""
                at = time.time_ns() // 1_000_000
                message = f'{{"time":{at},"values":{{}}}}'
                publish(mosquitto_server.port, "watch-empty", message)
                while select.select([tail.stdout], [], [], 0.5)[0]:
                    heard.append(tail.stdout.readline())  # type: ignore[union-attr]
                    return True
                return False

            eventually(tailed, "a line of the tail", 60.0)
        finally:
            tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 0
    assert "refused empty: expected a measurement" in heard[0]
    devices = twin_json("devices", "ledger", "-c", run.config)["devices"]
    (told,) = (each for each in devices if each["id"] == "watch-empty")
    assert told["ledger"]["refused"]["empty"] >= 1
    assert told["ledger"]["journalled"] == 0


def run_has_told(tail: subprocess.Popen[str], told: list[dict[str, object]]) -> bool:
    """Take what the tail has printed within half a second; whether two events are there."""
    assert tail.stdout is not None
    while len(told) < 2 and select.select([tail.stdout], [], [], 0.5)[0]:
        told.append(json.loads(tail.stdout.readline()))
    return len(told) >= 2


def test_what_a_fleet_sent_is_in_ledger_export_and_replay(
    run: TwinRun, mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    sent = tmp_path / "sent.csv"
    counts = twin_json(
        *("fleet", "--patients", "2", "--port", str(mosquitto_server.port)),
        *("--duration", "4", "--record", sent),
    )
    assert counts["acknowledged"] == counts["published"] > 0
    rows = len(sent.read_text().splitlines()) - 1
    # The broker has acknowledged all of it; what is still on its way to us would wait there.
    eventually(lambda: received(run) == rows, "all received")
    run.stop()

    ledger = twin_json("devices", "ledger", "-c", run.config)["devices"]
    twin_json("export", "observations", "--out", tmp_path / "o.csv", "-c", run.config)
    replayed = twin_json("replay", tmp_path / "o.csv", "--out", tmp_path / "e.csv")

    assert sum(device["ledger"]["received"] for device in ledger) == rows
    assert [device["ledger"]["difference"] for device in ledger] == [0] * len(ledger)
    stored = sum(device["ledger"]["stored"] for device in ledger)
    assert stored == len((tmp_path / "o.csv").read_text().splitlines()) - 1
    assert replayed["rows"] == stored
    assert {device["patient"] for device in ledger} == {"patient-1", "patient-2"}


def received(run: TwinRun) -> int:
    return sum(ledger["received"] for ledger in run.ledgers().values())


def test_quarantined_message_is_used_beside_the_running_service(
    run: TwinRun, mosquitto_server: MosquittoServer
) -> None:
    at = int(time.time() * 1000)
    publish(mosquitto_server.port, "new-9", f'{{"time":{at},"values":{{"heart_rate":72}}}}')

    def quarantined() -> bool:
        return bool(twin_json("quarantine", "list", "-c", run.config)["total"])

    eventually(quarantined, "in quarantine")
    twin("patients", "add", "--id", "p-9", "-c", run.config)
    twin("devices", "bind", "new-9", "p-9", "-c", run.config)
    assert twin_json("quarantine", "replay", "-c", run.config)["used"] == 1

    eventually(lambda: run.ledgers().get("new-9", {}).get("stored") == 1, "stored")
    assert twin_json("quarantine", "list", "-c", run.config)["total"] == 0


def test_second_service_on_one_folder_is_refused_with_exit_code_1(run: TwinRun) -> None:
    config = run.folder / "second.toml"
    config.write_text(run.config.read_text().replace(str(run.port), str(free_port())))

    done = twin("run", "-c", config)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(run.data_dir) in done.stderr


def test_second_ingest_on_one_folder_is_refused(run: TwinRun) -> None:
    done = twin("run", "-c", run.config, "--role", "ingest")

    assert done.returncode == 1
    assert "has an ingest process" in done.stderr
    assert "Traceback" not in done.stderr


def test_log_says_when_the_broker_is_away(run: TwinRun, mosquitto_server: MosquittoServer) -> None:
    mosquitto_server.stop()
    eventually(lambda: "degraded: broker" in run.log(), "said to be away")
    mosquitto_server.start()
    eventually(lambda: "well again: broker" in run.log(), "said to be back")


def test_address_in_use_and_other_partitions_are_said(run: TwinRun, tmp_path: Path) -> None:
    used, other = tmp_path / "used.toml", tmp_path / "other.toml"
    used.write_text(f'data_dir = "fresh"\n[care]\nport = {run.port}\n')
    other.write_text(run.config.read_text() + "[journal]\npartitions = 3\n")

    in_use = twin("run", "-c", used)
    run.stop()
    differ = twin("run", "-c", other)

    assert in_use.returncode == 1
    assert f"twin: page 127.0.0.1:{run.port}: Address already in use\n" in in_use.stderr
    assert differ.returncode == 2
    assert "made with 16 partitions, not 3" in differ.stderr
    assert "Traceback" not in in_use.stderr + differ.stderr


def test_connections_are_checked(
    tmp_path: Path, mosquitto_server: MosquittoServer, influx_server: InfluxServer
) -> None:
    store = influx_tables(influx_server)
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    address = store["store.influx"]
    text = "[mqtt]\nport = {port}\n[store]\nkinds = ['influx']\n[store.influx]\n" + "".join(
        f"{key} = {json.dumps(value)}\n" for key, value in address.items()
    )
    good.write_text(text.format(port=mosquitto_server.port))
    with refusing_port() as nobody:
        bad.write_text(text.format(port=nobody).replace(influx_server.token, "another-token"))
        serves, fails = (twin("check", "-c", each, "--connect") for each in (good, bad))

    assert serves.returncode == 0
    assert "serves (2000 in flight: at most about 200000 messages/s)\n" in serves.stdout
    bucket = influx_server.bucket
    missing = f"{bucket}_1m, {bucket}_15m, {bucket}-1m, {bucket}-15m"
    database = f"database {influx_server.url}: serves"
    assert f"{database} (`twin store init` has to make {missing})\n" in serves.stdout
    assert twin("store", "init", "-c", good).returncode == 0
    assert twin("check", "-c", good, "--connect").stdout.endswith(f"{database}\n")
    assert "0 points erased" in twin("store", "erase", "--patient", "p-1", "-c", good).stdout
    assert fails.returncode == 1
    assert "Connection refused" in fails.stdout
    assert "the token is not accepted" in fails.stdout
    assert "another-token" not in fails.stdout + fails.stderr


def test_fleet_without_broker_fails(tmp_path: Path) -> None:
    with refusing_port() as port:
        done = twin("fleet", "--patients", "1", "--port", str(port), "--duration", "1")

    assert done.returncode == 1
    assert "nothing was acknowledged" in done.stderr
