"""The credibility reports of docs/credibility, made again: `make credibility`.

    python scripts/credibility.py [--data ../shared/data] [--out docs/credibility] [NAME…]

The recordings lie beside the checkout and are never copied into it; what needs another shape is
written to a temporary folder. Thresholds are in docs/credibility/NAME.toml. Exit code 1 if one is
not kept (the reports are written all the same), 2 if a recording is missing.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: The strap's phone stamps local time (Korea) as if it were UTC.
_KOREA_MS = 32_400_000
Row = tuple[str, str, str, int, str]  # patient, device, value, ns, unit


def bidmc(data: Path, _: Path) -> list[str]:
    """27 ICU patients, 8 min at 1 Hz: the next minute's readings are the reference."""
    files = sorted((data / "bidmc").glob("*_Numerics.csv"))
    columns = "HR=heart_rate,RESP=respiratory_rate,SpO2=spo2"
    return [*map(str, files), "--columns", columns, "--time", "Time [s]", "--horizons", "60s"]


def galaxyppg(data: Path, folder: Path) -> list[str]:
    """Smartwatch and wrist band; the chest strap is the reference. P01 wore no watch."""
    written = []
    for person in ("P02", "P03"):
        where = data / "galaxyppg" / person
        rows: list[Row] = [
            (person, "band", cell["value"], int(cell["timestamp"]) * 1000, "")
            for cell in _rows(where / "E4" / "HR.csv")
        ]
        rows += [
            (person, "watch", cell["hr"], int(cell["timestamp"]) * 10**6, "")
            for cell in _rows(where / "GalaxyWatch" / "HR.csv")
            if cell["hrStatus"] == "1"
        ]
        rows += [
            (person, "strap", cell["hr"], (int(cell["phoneTimestamp"]) - _KOREA_MS) * 10**6, "")
            for cell in _rows(where / "PolarH10" / "HR.csv")
        ]
        written.append(_long(folder / f"galaxyppg-{person}.csv", "heart_rate", rows))
    return [*written, "--reference-device", "strap", "--horizons", "60s"]


def d1namo(data: Path, folder: Path) -> list[str]:
    """Six people with a glucose sensor: its own reading half an hour later is the reference."""
    sensors, _ = _glucose(data, folder)
    return [*sensors, "--horizons", "30min,1h"]


def d1namo_fingersticks(data: Path, folder: Path) -> list[str]:
    """The same, judged by blood from the finger, which the twin never sees."""
    sensors, sticks = _glucose(data, folder)
    return [*sensors, "--reference", sticks, "--horizons", "30min"]


def resting_heart_rate(data: Path, folder: Path) -> list[str]:
    """Sixteen weeks of one smartwatch, resting heart rates only."""
    rows: list[Row] = []
    with gzip.open(data / "nightsignal_covid" / "AW_rhr.csv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            # The first record hangs on the header's line.
            cells = line.strip().removeprefix("Device,Start_Date,Start_Time,Value").split(",")
            stamp = _utc(cells[1], cells[2])
            rows.append(("P355472", "watch", cells[3], stamp, ""))
    return [_long(folder / "P355472.csv", "heart_rate", rows), "--horizons", "1h"]


def _glucose(data: Path, folder: Path) -> tuple[list[str], str]:
    """A file of the sensor for each person, and one of everybody's finger-sticks."""
    sensors, sticks = [], []
    for where in sorted((data / "d1namo_cgm").glob("*/glucose.csv")):
        person = f"d1namo-{where.parent.name}"
        rows: list[Row] = []
        for cell in _rows(where):
            stamp = _utc(cell["date"], cell["time"])
            into, device = (rows, "sensor") if cell["type"] == "cgm" else (sticks, "finger")
            into.append((person, device, cell["glucose"], stamp, "mmol/L"))
        sensors.append(_long(folder / f"{person}.csv", "glucose", rows))
    return sensors, _long(folder / "fingersticks.csv", "glucose", sticks)


def _utc(date: str, clock: str) -> int:
    """ns of a local time, as if it were UTC: only differences count."""
    return int(datetime.fromisoformat(f"{date}T{clock}").replace(tzinfo=UTC).timestamp()) * 10**9


def _rows(path: Path) -> Iterable[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        yield from csv.DictReader(lines)


def _long(path: Path, signal: str, rows: Sequence[Row]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("patient", "device", "signal", "value", "measured_at", "unit"))
        writer.writerows((p, d, signal, value, at, unit) for p, d, value, at, unit in rows)
    return str(path)


REPORTS: dict[str, tuple[str, Callable[[Path, Path], list[str]]]] = {
    "bidmc": ("bidmc", bidmc),
    "galaxyppg": ("galaxyppg", galaxyppg),
    "d1namo": ("d1namo_cgm", d1namo),
    "d1namo-fingersticks": ("d1namo_cgm", d1namo_fingersticks),
    "resting-heart-rate": ("nightsignal_covid", resting_heart_rate),
}


def main() -> int:
    """Make the reports named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(REPORTS))
    parser.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "credibility")
    given = parser.parse_args()
    worst = 0
    for name in given.names or REPORTS:
        if name not in REPORTS:
            parser.error(f"got {name!r}, expected one of {', '.join(REPORTS)}")
        folder, arguments = REPORTS[name]
        if not (given.data / folder).is_dir():
            print(f"{name}: the recordings {folder} are not in {given.data}", file=sys.stderr)
            worst = 2
            continue
        print(f"\n{name}", flush=True)
        worst = max(worst, _report(name, arguments, given.data, given.out))
    return worst


def _report(name: str, arguments: Callable[[Path, Path], list[str]], data: Path, out: Path) -> int:
    limits = ROOT / "docs" / "credibility" / f"{name}.toml"
    with tempfile.TemporaryDirectory(prefix="credibility-") as folder:
        command = [
            *(sys.executable, "-m", "twin", "validate", *arguments(data, Path(folder))),
            *("--out", str(out), "--name", name, "--thresholds", str(limits)),
        ]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
