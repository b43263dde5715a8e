"""docs/wire-format.md says what the code does."""

import re
import subprocess
from pathlib import Path

import pytest

from ingest.catalogue import SIGNALS
from ingest.payload.decoded import Reason
from ingest.payload.native import decode
from ingest.settings import MqttSettings
from ingest.topic import parse_topic

DOCUMENT = (Path(__file__).parents[3] / "docs" / "wire-format.md").read_text("utf-8")
COMMANDS = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_explained(reason: Reason) -> None:
    assert f"| `{reason}` |" in DOCUMENT


@pytest.mark.parametrize("code", SIGNALS)
def test_each_signal_is_listed_with_unit_units_accepted_loinc_and_range(code: str) -> None:
    signal = SIGNALS[code]
    (row,) = re.findall(rf"^\| `{code}` \|.*$", DOCUMENT, re.MULTILINE)
    assert f"| `{signal.unit}`" in row
    assert all(f"`{unit}`" in row for unit in signal.accepted)
    assert signal.loinc is None or signal.loinc in row
    assert f"| {signal.lower:g}–{signal.upper:g} |" in row.replace("10 000", "10000")


@pytest.mark.parametrize("command", [c for c in COMMANDS if "telemetry" in c])
def test_each_example_is_accepted_whole(command: str) -> None:
    # The shell fills in the time; mosquitto_pub is replaced by printing what it was given.
    script = "mosquitto_pub() { printf '%s\\n' \"$@\"; }\n" + command
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    topic = said.split("-t\n")[1].split("\n")[0]
    payload = said.split("-m\n")[1]
    message = decode(payload.encode())
    assert parse_topic(topic) is not None
    assert message.samples
    assert (list(message.rejections), message.surplus) == ([], 0)


def test_the_root_of_the_topics_is_what_is_subscribed_to() -> None:
    assert MqttSettings().filters == ("twin/v1/#",)
