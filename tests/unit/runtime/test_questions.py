"""Scenarios and smoothed histories over HTTP, from a data folder that stays as it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from ingest.instant import MILLISECOND, SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import Tick, batch_of
from tests.support.care import SIMULATED, feed_of
from tests.support.twins import T0, observation
from tests.support.ward import MemoryHistory, MemoryPeople, MemoryQuarantine, Said
from tests.unit.estimation.test_worker import append, wait_for, working
from twin.care.app import create_app
from twin.estimate import EstimateBatch, decode_output
from twin.forecast import WATERMARK
from twin.runtime.questions import TwinQuestions
from twin.store.embedded import EmbeddedStore

PARTITIONS = 16
SECONDS = 300
SCENARIO = '{"horizon_s": 600, "lost": ["watch"]}'
SMOOTHED = f"/api/v1/patients/p1/signals/heart_rate/smoothed?from={T0 // MILLISECOND}"
SMOOTHED += f"&to={(T0 + SECONDS * SECOND) // MILLISECOND}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five minutes of p1's heart rate: snapshots, and the embedded store's record."""
    folder = tmp_path_factory.mktemp("twin")
    own = partition_of("p1", PARTITIONS)
    journal = SqliteJournal(folder / "journal", PARTITIONS, linger=0.0, reserve_bytes=1 << 20)
    for second in range(SECONDS):
        said = batch_of([observation(second, 70 + second % 5)])
        tick = Tick(T0 + second * SECOND + SECOND // 2, True)
        append(journal, [(own, said), (ALL_PARTITIONS, tick)])
    with working(journal, folder / "snapshots") as worker:
        wait_for(worker, journal)
    reader = journal.reader("estimates", 0)
    with EmbeddedStore(folder / "store.db") as store:
        outputs = [decode_output(entry.record) for entry in reader.read(10_000, 1.0)]
        store.write_all([one for one in outputs if isinstance(one, EstimateBatch)], None)
    reader.close()
    journal.close()
    return folder


def ask(folder: Path, method: str, path: str, content: str = "") -> httpx.Response:
    asked = TwinQuestions(folder / "snapshots", PARTITIONS, (folder / "store.db",), None)
    app = create_app(
        SIMULATED,
        feed_of(Said()),
        MemoryHistory(),
        MemoryPeople(),
        MemoryQuarantine(),
        asked=asked,
    )

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"origin": "http://localhost", "content-type": "application/json"}
            return await client.request(method, path, content=content, headers=headers)

    return asyncio.run(answer())


def files(folder: Path) -> dict[Path, Any]:
    kept = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {p: p.read_bytes() for p in kept if not p.name.endswith("-shm")}


def test_a_scenario_is_watermarked_and_changes_no_file(folder: Path) -> None:
    before = files(folder)
    said = ask(folder, "POST", "/api/v1/patients/p1/scenario", SCENARIO)
    assert said.status_code == 200, said.text
    body = said.json()
    assert body["watermark"] == WATERMARK
    curve = body["signals"]["heart_rate"]
    assert len(curve["time"]) == len(curve["mean"]) == 11
    assert curve["time"][0] == (T0 + (SECONDS - 1) * SECOND) // MILLISECOND
    assert curve["known_std"] == sorted(curve["known_std"])
    assert all(low < high for low, high in zip(curve["lo95"], curve["hi95"], strict=True))
    assert files(folder) == before


def test_a_wrong_scenario_says_where_and_what_was_expected(folder: Path) -> None:
    path = "/api/v1/patients/p1/scenario"
    wrong = ask(folder, "POST", path, '{"horizon_s": -1}')
    assert wrong.status_code == 422
    assert "$.horizon_s" in wrong.json()["expected"]
    lost = ask(folder, "POST", path, '{"lost": ["ring"]}')
    assert "lost[0]: got 'ring', expected one of watch" in lost.json()["expected"]
    assert ask(folder, "POST", path, "{").status_code == 422
    assert ask(folder, "POST", "/api/v1/patients/nobody/scenario", "{}").status_code == 404
    assert ask(folder, "POST", path, '{"name": "' + "x" * 20_000 + '"}').status_code == 413


def test_a_smoothed_history_is_surer_than_the_filtered_one(folder: Path) -> None:
    said = ask(folder, "GET", SMOOTHED)
    assert said.status_code == 200, said.text
    body = said.json()
    assert len(body["time"]) == SECONDS
    assert body["unit"] == "/min"
    pairs = list(zip(body["std"], body["filtered_std"], strict=True))
    assert all(std <= filtered * (1 + 1e-9) for std, filtered in pairs)
    assert sum(std for std, _ in pairs) < 0.95 * sum(filtered for _, filtered in pairs)


def test_what_was_not_measured_cannot_be_smoothed(folder: Path) -> None:
    assert ask(folder, "GET", SMOOTHED.replace("heart_rate", "moonlight")).status_code == 404
    empty = ask(folder, "GET", SMOOTHED.replace("heart_rate", "spo2"))
    assert empty.status_code == 422
    assert empty.json()["expected"] == "nothing was measured in this interval"
    ends = ask(folder, "GET", "/api/v1/patients/p1/signals/heart_rate/smoothed?from=9&to=8")
    assert ends.json()["name"] == "from"
