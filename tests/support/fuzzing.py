"""The fuzz campaign: a million inputs for each decoder, the two cores shared by processes.

`python -m tests.support.fuzzing [--inputs N] [--processes N] [--report FILE] [--document FILE]`
writes a line of JSON for each decoder, renews the table of docs/formats.md from them and prints it;
exit code 1 if any input made a decoder raise or break a promise (its bytes are printed, in hex).
`--slowest` only tells which payloads of 100 kB take longest.
An input is a well-formed document changed in structure and bytes; equal seeds give equal inputs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from multiprocessing import get_context
from pathlib import Path
from random import Random

from ingest.judge import FORMATS, judge
from ingest.payload import mapped, sparkplug
from ingest.payload.decoded import Decoded, Reason
from ingest.payload.fields import MAX_STAMP
from ingest.payload.sparkplug_births import NO_TABLE, table_of
from tests.support.large_payloads import LARGE
from tests.support.payloads import DOCUMENTS, cpu_seconds, mutated, scratched
from tests.support.reliability import commit, renewed
from tests.support.sparkplug import by_alias, double, payload
from twin.config_mapping import MappingTable

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "formats.md"
REPORT = ROOT / "build" / "fuzz.jsonl"
MARKS = "<!-- fuzz -->\n", "<!-- end of fuzz -->\n"
#: CPU seconds that 100 kB may take, at most.
LONGEST = 0.05
_SHARD = 25_000
_ROUNDS = 7
_KEPT = 3  # failures that are kept whole, of each shard

_BIRTH = payload(double("heart_rate", 72, alias=1, unit="/min", quality=192), double("spo2", 97))
_TABLE = table_of(sparkplug.decode(_BIRTH, "BIRTH").declared)
_SPARKPLUG = [_BIRTH, payload(by_alias(1, 73), by_alias(9, 1), {"name": "bdSeq", "long_value": 1})]
_RULE = MappingTable.model_validate(
    {
        "name": "fuzz",
        "topic": "fuzz/{device}",
        "each": "a[*].b[*]",
        "time": {"path": "^.t", "unit": "s", "zone_path": "z", "local": True},
        "fields": [
            {"signal": "heart_rate", "path": "v", "exponent_path": "e", "quality_path": "q"},
            {"signal": "spo2", "path": "w[*]", "unit_path": "$.u", "missing": [0]},
        ],
        "battery_path": "bat",
        "contact_path": "on",
        "sequence_path": "n",
        "device_path": "id",
    }
).rule()
_RECORD = {"v": 72, "e": 0, "q": 0.5, "z": "+01:00", "w": [97, 0, None]}
_MAPPED = {
    "a": [{"t": 1_795_608_000, "b": [_RECORD, {"v": "x"}]}, {"t": 1.5, "b": []}],
    "u": "%",
    "bat": 0.5,
    "on": True,
    "n": 7,
    "id": "d",
}


def _sparkplug(message: bytes) -> Decoded:
    sparkplug.decode(message, "BIRTH")
    sparkplug.decode(message, "DEATH", NO_TABLE)
    return sparkplug.decode(message, "DATA", _TABLE).decoded


def _scratched_birth(random: Random) -> bytes:
    message = random.choice(_SPARKPLUG)
    return scratched(message, random) if random.random() < 0.9 else message


@dataclass(frozen=True, slots=True)
class Decoder:
    """What is fuzzed: bytes → samples and rejections; bytes that are good at breaking it."""

    decode: Callable[[bytes], Decoded]
    make: Callable[[Random], bytes]


DECODERS: Mapping[str, Decoder] = {
    **{form: Decoder(FORMATS[form], partial(mutated, form)) for form in DOCUMENTS},
    "sparkplug": Decoder(_sparkplug, _scratched_birth),
    "mapped": Decoder(partial(mapped.decode, rule=_RULE), partial(mutated, [_MAPPED])),
}


def check(decoded: object) -> Decoded:
    """What every decoder promises of every payload. Raises AssertionError."""
    assert isinstance(decoded, Decoded)
    for sample in decoded.samples:
        assert isfinite(sample.value)
        assert -MAX_STAMP <= sample.stamp <= MAX_STAMP
        assert sample.path
    for kept in decoded.kept:
        assert isfinite(kept.value)
        assert kept.measured_at
    for rejection in decoded.rejections:
        assert rejection.reason in Reason
        assert rejection.expected
        assert len(rejection.got) <= 64
        assert rejection.samples >= 1
        # What is printed, journalled and shown can be encoded.
        f"{rejection.path}{rejection.got}{rejection.expected}".encode()
    return decoded


def fuzz(form: str, inputs: int, seed: int) -> tuple[Counter[str], list[str]]:
    """What became of so many inputs (`inputs`, `used`, by reason), and what failed, in words."""
    decoder, random = DECODERS[form], Random(seed)
    decode, make = decoder.decode, decoder.make
    seen: Counter[str] = Counter()
    failed: list[str] = []
    for number in range(inputs):
        message = make(random)
        try:
            decoded = check(decode(message))
            if form in FORMATS and number % 10 == 0:  # and what the screen makes of it is printable
                json.dumps(judge(message, form), allow_nan=False)
        except Exception:  # noqa: BLE001 — that none is raised is what is asked
            seen["failed"] += 1
            if len(failed) < _KEPT:
                failed.append(f"{form} {message.hex()}\n{traceback.format_exc(limit=-3)}")
            continue
        seen["used"] += bool(decoded.samples or decoded.kept)
        if decoded.rejections:
            seen["refused"] += 1
            seen.update(each.reason for each in decoded.rejections[:8])
    seen["inputs"] = inputs
    return seen, failed


def slowest(form: str, rounds: int = 1) -> tuple[float, str]:
    """CPU seconds for 100 kB of the worst of the payloads made to take long, and which it is.

    Each takes the best of the rounds, which go over all of them in turn: where a core is shared, a
    busy moment does not meet the same one in every round.
    """
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, message in LARGE.items():
            of = {"CBOR": "senml-cbor", "Sparkplug": "sparkplug"}.get(name.split()[0])
            if of != form and (of or form in ("senml-cbor", "sparkplug")):
                continue
            decode = partial(DECODERS[form].decode, message)
            enough = max(best.values(), default=0.0) if rounds == 1 else best.get(name, 1e9)
            took = cpu_seconds(decode, enough) * 100_000 / max(len(message), 100_000)
            best[name] = min(took, best.get(name, took))
    return max((took, name) for name, took in best.items())


def _fixed_work() -> None:
    digits = 0
    for number in range(60_000):
        digits += len(str(number))


def told_slowest(rounds: int) -> Iterator[str]:
    """A line for each decoder, and before and behind them what a fixed loop takes: where its best
    and its other times differ, the machine had other work."""
    for form in (None, *DECODERS, None):
        if form is None:
            times = sorted(cpu_seconds(_fixed_work, 1e9) for _ in range(5 * rounds))
            best, median = (1000 * times[i] for i in (0, len(times) // 2))
            load = os.getloadavg()[0]
            yield f"a fixed loop: best {best:.1f} ms, median {median:.1f} ms; load {load:.1f}"
        else:
            took, name = slowest(form, rounds)
            yield f"{form}: {1000 * took:.1f} ms of CPU for 100 kB ({name})"


def campaign(inputs: int, processes: int) -> Iterator[tuple[dict[str, object], list[str]]]:
    """A line of the report for each decoder as it is done, and what failed."""
    began = time.monotonic()
    with get_context("spawn").Pool(processes) as pool:
        running = {
            form: [
                pool.apply_async(fuzz, (form, min(_SHARD, inputs - begin), begin))
                for begin in range(0, inputs, _SHARD)
            ]
            for form in DECODERS
        }
        for form, shards in running.items():
            seen: Counter[str] = Counter()
            failed: list[str] = []
            for shard in shards:
                counts, failures = shard.get()
                seen += counts
                failed += failures
            reasons = sorted({*seen} & {*map(str, Reason)})
            yield (
                {
                    "decoder": form,
                    **{key: seen[key] for key in ("inputs", "used", "refused", "failed")},
                    "reasons": len(reasons),
                    "seconds": round(time.monotonic() - began, 1),
                },
                failed,
            )


def table(lines: Sequence[Mapping[str, object]], day: str, of: str) -> Iterator[str]:
    """Markdown lines."""
    total = sum(int(str(each["inputs"])) for each in lines)
    failed = sum(int(str(each["failed"])) for each in lines)
    count = f"{total:,}".replace(",", " ")
    yield f"{day}, commit {of}: {count} inputs, {failed} raised."
    yield ""
    yield (
        "| decoder | inputs | used in part or whole | refused in part or whole | reasons | "
        "raised | slowest, ms of CPU for 100 kB |"
    )
    yield "|---|---|---|---|---|---|---|"
    for each in lines:
        numbers = [f"{each[k]:,}".replace(",", " ") for k in ("inputs", "used", "refused")]
        slow = f"{each['slowest_ms']} ({each['slowest']})"
        row = [each["decoder"], *numbers, each["reasons"], each["failed"], slow]
        yield "| " + " | ".join(map(str, row)) + " |"


def main() -> None:
    """Run the campaign, renew the document, say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--report", type=Path, default=REPORT)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--slowest", action="store_true", help="only what takes longest")
    chosen = parser.parse_args()
    if chosen.slowest:
        for told in told_slowest(_ROUNDS):
            print(told, flush=True)
        return
    lines: list[dict[str, object]] = []
    wrong: list[str] = []
    for line, failed in campaign(chosen.inputs, chosen.processes):
        print(f"{line['decoder']}: {line['inputs']} inputs, {line['failed']} raised", flush=True)
        lines.append(line)
        wrong += failed
    for line in lines:  # one after another, when the processes are done
        took, name = slowest(str(line["decoder"]), _ROUNDS)
        line |= {"slowest_ms": round(1000 * took, 1), "slowest": name}
        if took > LONGEST:
            wrong.append(f"{line['decoder']}: {name} took {1000 * took:.0f} ms for 100 kB")
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    chosen.report.write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    made = list(table(lines, datetime.now(UTC).date().isoformat(), commit()))
    page = chosen.document.read_text("utf-8")
    chosen.document.write_text(renewed(page, made, MARKS), "utf-8")
    print("\n".join(["", *made, "", *wrong]))
    print("failed" if wrong else "every decoder kept every promise")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
