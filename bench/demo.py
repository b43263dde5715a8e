"""The demo as a user starts it: time until the page is live, memory: `python -m bench.demo`.

Starts `twin demo --json --patients N` on a fresh folder, waits until every patient has a heart
rate, then samples the resident memory of the process and its broker. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request

import psutil


def live_patients(url: str) -> int:
    """How many patients the page's API shows with a heart rate."""
    with urllib.request.urlopen(f"{url}/api/v1/patients", timeout=5) as answer:
        patients = json.load(answer)["patients"]
    return sum("heart_rate" in patient["estimates"] for patient in patients)


def resident_mb(process: psutil.Process) -> float:
    """Resident memory of the process and its children, MB."""
    family = [process, *process.children(recursive=True)]
    return sum(one.memory_info().rss for one in family) / 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, default=50)
    options.add_argument("--seconds", type=float, default=60.0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "twin", "demo", "--json", "--data-dir", folder]
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, "--patients", str(given.patients)], stdout=subprocess.PIPE, text=True
        ) as demo:
            assert demo.stdout is not None
            url = json.loads(demo.stdout.readline())["url"]
            answered = time.perf_counter() - began
            while live_patients(url) < given.patients:
                time.sleep(0.2)
            live = time.perf_counter() - began
            process = psutil.Process(demo.pid)
            memory, end = [], time.perf_counter() + given.seconds
            process.cpu_percent()
            while time.perf_counter() < end:
                memory.append(resident_mb(process))
                time.sleep(1)
            cpu = process.cpu_percent()
            demo.terminate()
            code = demo.wait(15)
    print(
        json.dumps(
            {
                "patients": given.patients,
                "page_answers_s": round(answered, 1),
                "all_patients_live_s": round(live, 1),
                "memory_mb_max": round(max(memory), 1),
                "memory_mb_end": round(memory[-1], 1),
                "cpu_percent_of_a_core": round(cpu, 1),
                "exit_code": code,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
