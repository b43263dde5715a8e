"""The commands of docs/devices.md that need a running line, in its order, as a new user types them:
a device announces itself, is seen by `tail`, approved, on the page, and taken out of use again."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import TWIN, eventually, succeeded, twin, twin_json
from tests.support.runs import TwinRun, metric
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.integration]

PAGE = (Path(__file__).parents[2] / "docs" / "devices.md").read_text("utf-8")
WAITING = "device_unknown"


@pytest.fixture
def run(mosquitto_server: MosquittoServer, tmp_path: Path) -> Iterator[TwinRun]:
    with TwinRun(tmp_path, {"mqtt": {"port": mosquitto_server.port}}) as run:
        run.wait_until_connected()
        yield run


def on_the_page(command: str) -> list[str]:
    """The words of a command behind `twin`, which the page has so."""
    inline = {" ".join(each.split()) for each in re.findall(r"`(twin [^`]+)`", PAGE)}
    assert command in inline
    return [word for word in shlex.split(command)[1:] if word not in ("-c", "trial.toml")]


def typed(run: TwinRun, command: str) -> str:
    return succeeded(twin(*on_the_page(command), "-c", run.config))


def published(port: int, topic: str, device: str) -> None:
    """The page's command that publishes on the topic, as another device if it is to be one."""
    (block,) = (
        each
        for each in re.findall(r"```sh\n(.*?)```", PAGE, re.S)
        if each.startswith(f"mosquitto_pub -q 1 -t {topic} ")
    )
    of = topic.split("/")[2]
    here = block.replace("mosquitto_pub", f"mosquitto_pub -p {port}").replace(of, device)
    subprocess.run(["bash", "-ec", here], check=True, timeout=90)


def test_an_announced_device_is_seen_approved_used_and_taken_out_of_use(
    run: TwinRun, mosquitto_server: MosquittoServer
) -> None:
    (run.folder / "models.toml").write_text(_models(), "utf-8")
    words = on_the_page("twin devices models --read models.toml")
    succeeded(twin(*words[:-1], run.folder / "models.toml", "-c", run.config))
    typed(run, "twin patients add --id p-1")
    published(mosquitto_server.port, "twin/v1/watch-7/announce", "watch-7")
    eventually(lambda: "1.4.2" in typed(run, "twin devices list"), "announced")

    sent = [0]
    with (run.folder / "tail.txt").open("w") as told:
        words = on_the_page("twin devices tail watch-1 -c trial.toml")
        words = ["watch-7" if word == "watch-1" else word for word in words]
        command = [*TWIN, *words, "-c", str(run.config)]
        with subprocess.Popen(command, stdout=told) as tail:
            try:
                eventually(lambda: _heard(run, mosquitto_server.port, sent), "shown by the tail")
                tail.send_signal(signal.SIGINT)
                assert tail.wait(90) == 0
            finally:
                tail.kill()  # if it has not ended; or leaving would wait for it
    eventually(lambda: refused(run) == sent[0], "all refused, before it is approved")
    waits = run.get("/api/v1/quarantine")
    assert set(waits["by_reason"]) == {WAITING}

    said = typed(run, "twin devices approve watch-7 --patient p-1")
    assert "; 0 refused again, 0 not kept whole, 0 dropped" in said
    assert run.get("/api/v1/quarantine")["total"] == 0
    eventually(lambda: _rate(run) is not None, "on the page")
    shown = twin_json("devices", "show", "watch-7", "-c", run.config)
    assert (shown["model"], shown["firmware"], shown["serial"]) == ("band-2", "1.4.2", "S-0042")

    typed(run, "twin devices unbind watch-7")
    eventually(lambda: _nobodys(run, mosquitto_server.port), "nobody's again")
    typed(run, "twin devices retire watch-7")
    again = twin("devices", "bind", "watch-7", "p-1", "-c", run.config)
    assert (again.returncode, "retired" in again.stderr) == (2, True)


def _models() -> str:
    found = re.search(r"```toml\n(\[\[models\]\].*?)```", PAGE, re.S)
    assert found is not None
    return found[1]


def refused(run: TwinRun) -> float:
    return metric(run.text("/metrics"), "twin_observations_refused_total")


def _heard(run: TwinRun, port: int, sent: list[int]) -> bool:
    """Publish until the tail, which ingest looks for once a second, has shown one."""
    sent[0] += 1
    published(port, "twin/v1/watch-1/telemetry", "watch-7")
    time.sleep(0.1)
    told = (run.folder / "tail.txt").read_text()
    return "watch-7" in told and WAITING in told


def _nobodys(run: TwinRun, port: int) -> bool:
    """Publish until one is refused: its time is that of a whole second, perhaps before the end."""
    published(port, "twin/v1/watch-1/telemetry", "watch-7")
    time.sleep(0.1)
    return "device_unbound" in run.get("/api/v1/quarantine")["by_reason"]


def _rate(run: TwinRun) -> Any:
    (patient,) = run.get("/api/v1/patients")["patients"]
    return patient["estimates"].get("heart_rate")
