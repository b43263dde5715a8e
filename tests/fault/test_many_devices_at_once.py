"""Fault: 1 000 devices (10 000 in `make fault`) connect at once. Budget: 0 lost, 0 double.

TWIN_FAULT_DEVICES says how many, 1 000 without it. The script is one of `twin fleet`.
"""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from tests.fault.conftest import Account
from tests.support.commands import succeeded, twin, wait_for
from tests.support.contents import embedded_content, embedded_count
from tests.support.runs import TwinRun
from tests.support.servers import MosquittoServer

DEVICES = int(os.environ.get("TWIN_FAULT_DEVICES", "1000"))
pytestmark = [pytest.mark.fault, pytest.mark.slow]
SCRIPT = f"""
patients = 0
[[fault]]
kind = "connecting"
devices = {DEVICES}
"""


def test_all_are_heard(mosquitto_server: MosquittoServer, tmp_path: Path, account: Account) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DEVICES + 500:
        pytest.skip(f"{DEVICES} connections are more than this machine allows ({hard})")
    devices = {"unknown": "register", "register_at_most": DEVICES}
    port = str(mosquitto_server.port)
    script = tmp_path / "faults.toml"
    script.write_text(SCRIPT)
    with TwinRun(tmp_path / "run", {"mqtt": {"port": int(port)}, "devices": devices}) as run:
        run.wait_until_connected()
        fleet = twin("fleet", "--script", script, "--port", port, "--json")
        (crowd,) = json.loads(succeeded(fleet))["connecting"]
        assert (crowd["connected"], crowd["acknowledged"]) == (DEVICES, DEVICES)
        wait_for(lambda: embedded_count(run.store), DEVICES)
        assert run.stop() == 0
    held = embedded_content(run.store).observations
    assert {key[2] for key in held} == {f"crowd-a{n:05}" for n in range(DEVICES)}
    assert len(held) == DEVICES
    account(runs=1, stall_s=crowd["seconds"], devices=DEVICES)
