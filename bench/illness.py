"""Illness onset against NightSignal on a real record of nights: `python -m bench.illness [FOLDER]`.

FOLDER (that of the shared data beside the checkout) holds one person's resting heart rates of 108
nights and NightSignal's own alert levels. No symptom or test date is known, so what the record says
itself is compared (nights up, first night), and then illnesses are scripted into its usual nights
(before 2026-03-05), drawn in blocks of five: the resting heart rate rises by 4, 7 or 10 /min over
three nights and stays for a week. NightSignal here is the comparator as published (Alavi et al.
2022): a night is red when it and the night before are at least 4 /min above the median of all
nights before. Detected: within the illness; false nights: in 60 nights before it. Prints one JSON
object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from ingest.instant import SECOND
from ingest.recording import Recording
from twin.assessment.illness import Measured, judged
from twin.nights import EPOCH, Nights, nights_of

SHARED = Path(__file__).parents[2] / "shared" / "data" / "nightsignal_covid"
USUAL_UNTIL = date(2026, 3, 5)
PEOPLE, BEFORE, ILL = 400, 60, 10
RED = 4.0


def read(folder: Path) -> Recording:
    """Resting heart rates; local times are taken as they are."""
    with gzip.open(folder / "AW_rhr.csv.gz", "rt") as file:
        text = file.read().replace("Value", "Value\n", 1)  # its header has no end of line
    rows = [line.split(",") for line in text.splitlines()[1:] if line]
    at = [datetime.fromisoformat(f"{row[1]}T{row[2]}+00:00").timestamp() for row in rows]
    stamps = np.array(at).astype(np.int64) * SECOND
    value = np.array([float(row[3]) for row in rows])
    keep = value > 0
    n = int(keep.sum())
    nothing = np.full(n, np.nan)
    return Recording(
        ["p"] * n, ["watch"] * n, ["heart_rate"] * n, value=value[keep], measured_at=stamps[keep],
        received_at=stamps[keep], noise_std=nothing, quality=nothing, line=np.arange(n), blank=0,
        refused={},
    )  # fmt: skip


def nightsignal(nights: Nights) -> list[int]:
    """Nights that are red by the comparator."""
    red, before, high = [], list[float](), False
    for night in sorted(nights):
        value = nights[night]["heart_rate"].value
        rises = bool(before) and value >= statistics.median(before) + RED
        if rises and high:
            red.append(night)
        high = rises
        before.append(value)
    return red


def ours(nights: Nights) -> list[int]:
    return [row.night for row in judged(nights) if row.state == "onset"]


def scripted(usual: list[Measured], rise: float, rng: np.random.Generator) -> dict[str, object]:
    """Both on the same made-up people."""
    caught: dict[str, list[int]] = {"twin": [], "nightsignal": []}
    false, people = {"twin": 0, "nightsignal": 0}, 0
    for _ in range(PEOPLE):
        starts = rng.integers(0, len(usual) - 5, (BEFORE + ILL) // 5 + 1)
        row = [usual[start + k] for start in starts for k in range(5)][: BEFORE + ILL]
        nights = {}
        for n, one in enumerate(row):
            ill = min(max(n - BEFORE + 1, 0), 3) / 3 * rise
            nights[n] = {"heart_rate": Measured(one.value + ill, one.variance)}
        people += 1
        for name, red in (("twin", ours(nights)), ("nightsignal", nightsignal(nights))):
            false[name] += sum(n < BEFORE for n in red)
            first = next((n - BEFORE for n in red if n >= BEFORE), None)
            if first is not None:
                caught[name].append(first + 1)
    return {
        name: {
            "detected": len(days) / people,
            "median_night": statistics.median(days) if days else None,
            "false_nights_of_60": false[name] / people,
        }
        for name, days in caught.items()
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, nargs="?", default=SHARED)
    folder = options.parse_args().folder
    if not folder.is_dir():
        print(json.dumps({"skipped": f"{folder}: no such folder"}))
        return
    nights = nights_of(read(folder), ZoneInfo("UTC"))["p"]
    levels = json.loads((folder / "NS-signals.json").read_text())["nightsignal"]
    given = [(date.fromisoformat(one["date"][:10]) - EPOCH).days for one in levels
             if one["val"] == "2"]  # fmt: skip
    border = (USUAL_UNTIL - EPOCH).days
    real = {}
    for name, red in (
        ("twin", ours(nights)), ("nightsignal", nightsignal(nights)), ("given_levels", given),
    ):  # fmt: skip
        first = [n for n in red if n >= border]
        real[name] = {
            "nights_up": len(red),
            "before_2026_03_05": sum(n < border for n in red),
            "first_after": str(date.fromordinal(EPOCH.toordinal() + first[0])) if first else None,
        }
    usual = [of["heart_rate"] for night, of in sorted(nights.items()) if night < border]
    rng = np.random.default_rng(1)
    print(
        json.dumps(
            {
                "nights": len(nights),
                "usual_nights": len(usual),
                "as_recorded": real,
                "scripted": {f"+{rise:g} /min": scripted(usual, rise, rng) for rise in (4, 7, 10)},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
