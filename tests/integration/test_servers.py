"""The servers that other tests rely on do what those tests take for granted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.programs import mosquitto_client_path, nats_server_path
from tests.support.servers import InfluxServer, MosquittoServer, NatsServer, Server, ServerFailed

pytestmark = pytest.mark.integration


def published(server: Server, topic: str, payload: str) -> None:
    """Publishes one QoS 1 message and returns when it was acknowledged."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="publisher")
    client.connect(server.host, server.port)
    client.loop_start()
    client.publish(topic, payload, qos=1).wait_for_publish(timeout=60)
    client.disconnect()
    client.loop_stop()


def session_opened(server: Server, topic: str) -> None:
    """Subscribes a persistent session to the topic and leaves."""
    with mosquitto_sub(server, topic, "-E") as leaving:
        assert leaving.wait(timeout=60) == 0


def session_received(server: Server, topic: str) -> str:
    """Comes back to the persistent session for one message."""
    with mosquitto_sub(server, topic, "-C", "1", "-W", "60") as receiving:
        output, _ = receiving.communicate(timeout=90)
    return output.strip()


def mosquitto_sub(server: Server, topic: str, *options: str) -> subprocess.Popen[str]:
    command = [mosquitto_client_path("mosquitto_sub"), "-h", server.host, "-p", str(server.port)]
    command += ["-q", "1", "-c", "-i", "subscriber", "-t", topic, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_mosquitto_carries_a_message_between_its_own_clients(
    mosquitto_server: MosquittoServer,
) -> None:
    session_opened(mosquitto_server, "twin/#")
    send = [mosquitto_client_path("mosquitto_pub"), "-h", mosquitto_server.host]
    send += ["-p", str(mosquitto_server.port), "-q", "1", "-t", "twin/v1/w/telemetry", "-m", "72"]
    subprocess.run(send, check=True, timeout=60)

    assert session_received(mosquitto_server, "twin/#") == "72"


def test_mosquitto_keeps_a_session_and_its_messages_over_a_restart(
    mosquitto_server: MosquittoServer,
) -> None:
    port = mosquitto_server.port
    session_opened(mosquitto_server, "twin/#")
    published(mosquitto_server, "twin/v1/w/telemetry", "72")

    mosquitto_server.restart()

    assert mosquitto_server.port == port
    assert session_received(mosquitto_server, "twin/#") == "72"


def test_killed_mosquitto_starts_again_on_its_port(mosquitto_server: MosquittoServer) -> None:
    mosquitto_server.kill()
    assert not mosquitto_server.running

    mosquitto_server.start()

    session_opened(mosquitto_server, "twin/#")


def test_mosquitto_announces_its_window(mosquitto_server: MosquittoServer) -> None:
    windows: list[int] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_connect = lambda _client, _userdata, _flags, _reason, properties: windows.append(
        properties.ReceiveMaximum
    )
    client.connect(mosquitto_server.host, mosquitto_server.port)
    deadline = time.monotonic() + 60
    while not windows and time.monotonic() < deadline:
        client.loop(timeout=0.1)
    client.disconnect()

    assert windows == [2000]


def test_mosquitto_with_a_wrong_setting_fails_with_its_own_words() -> None:
    server = MosquittoServer(settings={"no_such_setting": "1"})

    with pytest.raises(ServerFailed, match="no_such_setting"), server:
        pass

    assert not server.directory.exists()


def test_nats_delivers_to_a_session_after_it_was_killed(nats_server: NatsServer) -> None:
    session_opened(nats_server, "twin/#")
    published(nats_server, "twin/v1/w/telemetry", "72")

    nats_server.kill()
    nats_server.start()

    assert session_received(nats_server, "twin/#") == "72"


def test_influx_answers_what_was_written_also_after_a_stop_and_a_kill(
    influx_server: InfluxServer,
) -> None:
    written = influx_server.write("raw,patient=p1,signal=heart_rate value=72 1700000000000000000")
    assert written.status_code == 204

    influx_server.restart()
    influx_server.kill()
    influx_server.start()

    answer = influx_server.query(
        f'from(bucket: "{influx_server.bucket}") |> range(start: 2023-11-14T00:00:00Z)'
    )
    header, row = (line.split(",") for line in answer.split("\r\n")[:2])
    found = dict(zip(header, row, strict=True))
    assert found["patient"] == "p1"
    assert float(found["_value"]) == 72.0
    assert found["_time"] == "2023-11-14T22:13:20Z"


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    nats_server_path()
    starter = (
        "import pathlib, sys, time\n"
        "from tests.support.servers import NatsServer\n"
        "server = NatsServer(directory=pathlib.Path(sys.argv[1]))\n"
        "server.start()\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        assert is_alive(server)
        os.kill(parent.pid, signal.SIGKILL)

    deadline = time.monotonic() + 60
    while is_alive(server) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(server)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
