"""Decode rates of Sparkplug B and of declared mappings on one core; JSON out."""

import json
import sys
import time
from collections.abc import Callable
from functools import partial

from google.protobuf.message import Message

from ingest.payload import mapped, sparkplug
from ingest.payload.mapped import FieldRule, MappingRule
from ingest.payload.mapped_time import TimeRule
from ingest.payload.paths import parse_path
from ingest.payload.sparkplug_births import table_of
from ingest.payload.sparkplug_wire import DOUBLE, Payload

_MESSAGES = 4_000
_ROUNDS = 5
_AT = 1_795_000_000_000
_NAMES = (b"vitals/heart_rate", b"vitals/spo2", b"vitals/respiratory_rate")


def _birth() -> bytes:
    payload = Payload(timestamp=_AT, seq=0)
    for alias, name in enumerate(_NAMES):
        payload.metrics.add(name=name, alias=alias, datatype=DOUBLE, double_value=70.0)
    return _bytes(payload)


def _data(i: int) -> bytes:
    payload = Payload(timestamp=_AT + 1000 * i, seq=i % 256)
    for alias in range(len(_NAMES)):
        payload.metrics.add(alias=alias, double_value=60.0 + i % 40)
    return _bytes(payload)


def _bytes(payload: Message) -> bytes:
    return payload.SerializeToString()


def _single(i: int) -> bytes:
    vitals = {"hr": 60 + i % 40, "spo2": 97, "battery": 80}
    return json.dumps({"ts": _AT + 1000 * i, "serial": "S-1", "vitals": vitals}).encode()


def _batch(i: int) -> bytes:
    items = [{"ts": _AT + 1000 * (10 * i + k), "hr": 60 + (i + k) % 40} for k in range(10)]
    return json.dumps({"items": items}).encode()


def _rule(each: str | None, *fields: tuple[str, str]) -> MappingRule:
    return MappingRule(
        "bench",
        "bench/{device}",
        TimeRule(parse_path("ts"), "ms"),
        tuple(FieldRule(signal, parse_path(path)) for signal, path in fields),
        None if each is None else parse_path(each),
    )


def _rate(decode: Callable[[bytes], object], payloads: list[bytes]) -> float:
    """Messages a second of CPU time, the best round (other work on the machine only slows)."""
    best = 0.0
    for _ in range(_ROUNDS):
        begin = time.process_time()
        for payload in payloads:
            decode(payload)
        best = max(best, len(payloads) / (time.process_time() - begin))
    return best


def main() -> None:
    """Prints rates, and each as a ratio to the bare parsing of the same payloads."""
    table = table_of(sparkplug.decode(_birth(), "BIRTH").declared)
    single = _rule(None, ("heart_rate", "vitals.hr"), ("spo2", "vitals.spo2"))
    batch = _rule("items[*]", ("heart_rate", "hr"))
    report: dict[str, dict[str, float]] = {}
    cases: list[tuple[str, Callable[[int], bytes], Callable[[bytes], object], object, int]] = [
        (
            "sparkplug_by_alias",
            _data,
            lambda payload: sparkplug.decode(payload, "DATA", table),
            Payload.FromString,
            len(_NAMES),
        ),
        ("mapped_single", _single, partial(_mapped, single), json.loads, 2),
        ("mapped_batch_of_10", _batch, partial(_mapped, batch), json.loads, 10),
    ]
    for name, make, decode, parse, samples in cases:
        payloads = [make(i) for i in range(_MESSAGES)]
        rate, parsed = _rate(decode, payloads), _rate(parse, payloads)  # type: ignore[arg-type]
        report[name] = {
            "messages_per_s": round(rate),
            "observations_per_s": round(rate * samples),
            "of_bare_parse": round(rate / parsed, 3),
        }
    json.dump(report, sys.stdout, indent=2)
    print()


def _mapped(rule: MappingRule, payload: bytes) -> object:
    return mapped.decode(payload, rule)


if __name__ == "__main__":
    main()
