"""Decode rate of the native format on one core, single messages and batches of ten; JSON out."""

import json
import sys
import time
from collections.abc import Callable

import msgspec

from ingest.payload.native import decode
from ingest.payload.native_explained import decode_explained

_MESSAGES = 20_000
_ROUNDS = 5


def _single(i: int) -> bytes:
    at = f"2026-11-25T08:{i // 60 % 60:02d}:{i % 60:02d}Z"
    return b'{"time":"%s","values":{"heart_rate":%d.5}}' % (at.encode(), 60 + i % 40)


def _with_state(i: int) -> bytes:
    return _single(i)[:-1] + b',"sequence":%d,"boot":"a7","battery":0.83}' % i


def _batch(i: int) -> bytes:
    times = [1_795_000_000_000 + 1000 * (10 * i + k) for k in range(10)]
    values = {"heart_rate": [60 + (i + k) % 40 for k in range(10)]}
    return json.dumps({"times": times, "values": values}, separators=(",", ":")).encode()


def _rate(decoded: Callable[[bytes], object], payloads: list[bytes]) -> float:
    """Messages a second of CPU time, the best round (other work on the machine only slows)."""
    best = 0.0
    for _ in range(_ROUNDS):
        begin = time.process_time()
        for payload in payloads:
            decoded(payload)
        best = max(best, len(payloads) / (time.process_time() - begin))
    return best


def main() -> None:
    """Prints rates, and each as a ratio to the untyped parsing of the same payloads."""
    report: dict[str, dict[str, float]] = {}
    parse = msgspec.json.Decoder().decode
    for name, make, samples in (
        ("single", _single, 1),
        ("single_with_state", _with_state, 1),
        ("batch_of_10", _batch, 10),
    ):
        payloads = [make(i) for i in range(_MESSAGES)]
        rate, parsed = _rate(decode, payloads), _rate(parse, payloads)
        explained = _rate(decode_explained, payloads[:2_000])
        report[name] = {
            "messages_per_s": round(rate),
            "samples_per_s": round(rate * samples),
            "of_untyped_parse": round(rate / parsed, 3),
            "times_the_explained_path": round(rate / explained, 1),
        }
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
