"""A signal that only a model file knows, from the wire to the page and back out of the store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ingest.instant import MILLISECOND, SECOND
from tests.support.commands import eventually, succeeded, twin, wait_for
from tests.support.contents import embedded_count
from tests.support.declared import LACTATE
from tests.support.fleets import write_registry
from tests.support.publisher import publish_all, reading
from tests.support.runs import TwinRun
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.integration]

MAPPING = """
[[ingest.mapping]]
name = "acme"
topic = "acme/{device}/data"
time = { path = "ts", unit = "ms" }
fields = [{ signal = "lactate", path = "blood.lac" }]
"""
SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Line:
    run: TwinRun
    folder: Path


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A patch that speaks the native format and a box that speaks its own, both of lactate."""
    folder = tmp_path_factory.mktemp("declared")
    (folder / "ward.toml").write_text(LACTATE)
    registry = write_registry(folder / "devices.csv", {"patch": "ann", "box": "bob"})
    with ExitStack() as running:
        broker = running.enter_context(MosquittoServer())
        tables = {
            "mqtt": {"port": broker.port, "filters": ["twin/v1/#", "acme/#"]},
            "devices": {"file": str(registry)},
            "model": {"file": str(folder / "ward.toml")},
        }
        run = TwinRun(folder / "run", tables)
        run.config.write_text(run.config.read_text() + MAPPING)
        running.enter_context(run)
        run.wait_until_connected()
        # Nothing may be kept of before its patient was registered.
        begin = time.time_ns() // SECOND * SECOND + SECOND
        stamps = [begin + n * 50 * MILLISECOND for n in range(SAMPLES)]
        native = [reading("patch", at, {"lactate": 2.0 + n % 2 / 5}) for n, at in enumerate(stamps)]
        own = [
            ("acme/box/data", json.dumps({"ts": at // MILLISECOND, "blood": {"lac": 4}}).encode())
            for at in stamps
        ]
        too_much = reading("patch", stamps[-1] + SECOND, {"lactate": 31.0})
        publish_all(broker.port, [*native, *own, too_much])
        wait_for(lambda: embedded_count(run.store), 2 * SAMPLES)
        eventually(lambda: len(latest(run)) == 2, "both on the page")
        eventually(lambda: run.get("/api/v1/quarantine")["items"], "refused")
        eventually(lambda: time.time_ns() > stamps[-1] + SECOND, "past the last stamp")
        yield Line(run, folder)


def latest(run: TwinRun) -> dict[str, Any]:
    """Patient → the newest estimate of lactate that the API gives."""
    patients = run.get("/api/v1/patients")["patients"]
    return {p["id"]: p["estimates"]["lactate"] for p in patients if "lactate" in p["estimates"]}


def test_page_and_api_show_it_with_its_unit(line: Line) -> None:
    found = latest(line.run)
    ann = found["ann"]
    assert ann["unit"] == "mmol/L"
    assert ann["mean"] == pytest.approx(2.1, abs=0.15)
    assert found["bob"]["mean"] == pytest.approx(4, abs=0.3)
    series = line.run.get("/api/v1/patients/ann/signals/lactate")
    assert series["unit"] == "mmol/L"
    assert len(series["observations"]["value"]) == SAMPLES
    with urlopen(f"{line.run.url}/p/ann?lang=fr", timeout=60) as page:
        text = page.read().decode()
    assert "Lactate sanguin" in text
    assert "mmol/L" in text


def test_a_value_that_nobody_can_have_is_refused_with_the_declared_range(line: Line) -> None:
    (item,) = line.run.get("/api/v1/quarantine")["items"]
    assert item["reason"] == "value_out_of_range"
    assert item["expected"] == "0.1 to 30 mmol/L"


def test_the_record_is_replayed_and_outlives_the_model_file(line: Line) -> None:
    assert line.run.stop() == 0
    out = line.folder / "observations.csv"
    data = str(line.run.data_dir)
    succeeded(twin("export", "observations", "--out", out, "--data-dir", data))
    replayed = line.folder / "estimates.csv"
    model = str(line.folder / "ward.toml")
    succeeded(twin("replay", out, "--out", replayed, "--model", model))
    assert replayed.read_text().count(",lactate,") == 2 * SAMPLES
    line.run.config.write_text(
        "\n".join(
            row
            for row in line.run.config.read_text().split(MAPPING)[0].splitlines()
            if model not in row
        )
    )
    line.run.start()
    line.run.wait_until_connected()
    series = line.run.get("/api/v1/patients/ann/signals/lactate")
    assert series["unit"] == "mmol/L"
    assert series["observations"]["value"][:2] == [2.0, 2.2]
