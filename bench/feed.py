"""The live feed under a full ward: what folding, encoding and sending cost of one core.

    python -m bench.feed [--patients 1000] [--signals 6] [--viewers 50] [--seconds 20]

Every patient's every signal gets a new estimate each second, in ten records a second. The page runs
as it does in production (journal file, feed thread, uvicorn); the writer of the journal and the
viewers are processes of their own. Shares are CPU time of the page's process over wall time. Also:
how many times as much it would be if each viewer's frame were encoded anew. One line of JSON.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from itertools import count, islice
from pathlib import Path

import numpy as np

from ingest.journal.sqlite import SqliteJournal
from tests.support.ward import MemoryHistory, MemoryPeople, MemoryQuarantine
from twin.care.app import create_app
from twin.care.feed import Feed
from twin.care.frames import Framer
from twin.care.latest import Latest
from twin.care.server import PageServer
from twin.care.settings import CareSettings
from twin.care.vitals import VITALS
from twin.estimate import (
    ESTIMATE_ROW,
    EstimateBatch,
    Kind,
    Status,
    Verdict,
    decode_output,
    encode_output,
)

RECORDS = 10


def batch_at(patients: list[str], codes: tuple[str, ...], now: int) -> bytes:
    """A new estimate of every key of these patients."""
    rows = np.zeros(len(patients) * len(codes), ESTIMATE_ROW)
    rows["patient"] = np.repeat(np.arange(len(patients)), len(codes))
    rows["signal"] = np.tile(np.arange(len(codes)), len(patients))
    rows["kind"], rows["verdict"], rows["status"] = Kind.VERDICT, Verdict.ACCEPTED, Status.FRESH
    for name in ("measured_at", "received_at", "device_stamp", "as_of"):
        rows[name] = now
    rows["mean"] = rows["value"] = np.random.default_rng(now % 2**32).normal(75, 8, len(rows))
    rows["std"], rows["trend_std"] = 1.3, 0.2
    rows["scale50"] = rows["scale90"] = rows["scale95"] = 1.0
    return encode_output(EstimateBatch("bench", tuple(patients), ("watch",), codes, ("",), rows))


def write(folder: Path, patients: int, signals: int) -> None:
    """Child: ten records a second into the journal, until killed."""
    codes = tuple(islice(VITALS, signals))
    ids = [f"p{i:06}" for i in range(patients)]
    journal = SqliteJournal(folder, reserve_bytes=1 << 20)
    due = time.monotonic()
    for turn in count():
        group = ids[turn % RECORDS :: RECORDS]
        journal.append("estimates", [(0, batch_at(group, codes, time.time_ns()))])
        due += 1 / RECORDS
        time.sleep(max(0.0, due - time.monotonic()))


def view(port: int, viewers: int) -> None:
    """Child: open streams and read them; a line with the bytes so far, each second."""
    selector = selectors.DefaultSelector()
    for _ in range(viewers):
        viewer = socket.create_connection(("127.0.0.1", port))
        viewer.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        selector.register(viewer, selectors.EVENT_READ, viewer)
    received, told = 0, time.monotonic()
    while True:
        for key, _ in selector.select(0.2):
            received += len(key.data.recv(1 << 20))
        if time.monotonic() - told >= 1:
            print(received, flush=True)
            told = time.monotonic()


def child(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.feed", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def share(port: int, viewers: int, seconds: int) -> tuple[float, float]:
    """(CPU of this process as a share of a core, MB/s sent) with so many viewers."""
    reading = child("--view", port, viewers)
    assert reading.stdout
    for _ in range(3):
        reading.stdout.readline()
    cpu, wall, first = time.process_time(), time.monotonic(), int(reading.stdout.readline())
    for _ in range(seconds):
        last = int(reading.stdout.readline())
    spent, took = time.process_time() - cpu, time.monotonic() - wall
    reading.kill()
    reading.wait()
    reading.stdout.close()
    return spent / took, (last - first) / took / 1e6


def parts(patients: int, signals: int) -> dict[str, float]:
    """ms for each second's worth: folding ten records, encoding one frame, one row of each."""
    codes = tuple(islice(VITALS, signals))
    ids = [f"p{i:06}" for i in range(patients)]
    latest, framer = Latest(), Framer("bench")
    spent = {"fold_ms": 0.0, "encode_ms": 0.0}
    labels = dict.fromkeys(ids, "")
    turns = 5
    for turn in range(turns + 1):
        now = time.time_ns()
        batches = [decode_output(batch_at(ids[i::RECORDS], codes, now)) for i in range(RECORDS)]
        began = time.process_time()
        for batch in batches:
            if isinstance(batch, EstimateBatch):
                latest.fold(batch)
        folded = time.process_time()
        frame, _ = framer.delta(latest, labels, now, "live")
        if turn:
            spent["fold_ms"] += (folded - began) * 1e3 / turns
            spent["encode_ms"] += (time.process_time() - folded) * 1e3 / turns
    assert frame
    return {**{k: round(v, 2) for k, v in spent.items()}, "frame_kB": len(frame.payload) / 1e3}


def measure(folder: Path, patients: int, signals: int, viewers: int, seconds: int) -> None:
    feed = Feed(
        SqliteJournal(folder / "journal", reserve_bytes=1 << 20),
        MemoryPeople(),
        time.time_ns,
        saved=folder / "latest.bin",
    )
    settings = CareSettings(simulated=True, token=None)
    app = create_app(settings, feed, MemoryHistory(), MemoryPeople(), MemoryQuarantine())
    page = PageServer(app)
    page.start()
    writing = child("--write", folder / "journal", "--patients", patients, "--signals", signals)
    few, _ = share(page.port, 1, seconds)
    many, megabytes = share(page.port, viewers, seconds)
    writing.kill()
    writing.wait()
    page.stop()
    costs = parts(patients, signals)
    result = {
        "patients": patients,
        "signals": signals,
        "viewers": viewers,
        "core_share": round(many, 4),
        "core_share_one_viewer": round(few, 4),
        "core_share_each_further_viewer": round((many - few) / max(1, viewers - 1), 5),
        "sent_MB_per_s": round(megabytes, 2),
        **costs,
        "encoding_per_client_would_cost_times": round(
            (many + (viewers - 1) * costs["encode_ms"] / 1e3) / many, 1
        ),
    }
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("patients", 1_000), ("signals", 6), ("viewers", 50), ("seconds", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--view", nargs=2, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.write:
        write(asked.write, asked.patients, asked.signals)
    elif asked.view:
        view(*asked.view)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), asked.patients, asked.signals, asked.viewers, asked.seconds)


if __name__ == "__main__":
    main()
